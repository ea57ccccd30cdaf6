"""What a client says of what a server, or a proxy before it, refuses."""

from __future__ import annotations

import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from torc_core import __version__
from torc_core.config.credentials import Credentials
from torc_core.errors import Conflict, Forbidden, Invalid, NotFound, TorcError, Unavailable
from torc_core.model import NodeId, Orders, Query, Severity, Turn, Verdict, Workflow, WorkflowId
from torc_core.system import SystemClock
from torc_http import open_store
from torc_http.client.line import Answer
from torc_http.client.refusals import refusal
from torc_http.client.settings import HttpStoreSettings
from torc_http.client.versions import compare
from torc_http.wire import values


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (403, b'{"message": "user x is locked"}', Forbidden, "403 Forbidden: user x is locked"),
        (
            404,
            b'{"errorMessage": "no such thing", "errorNum": 404}',
            NotFound,
            "404 Not Found: no such thing",
        ),
        (400, b"the field a is missing\n", Invalid, "400 Bad Request: the field a is missing"),
        (502, b"<html><title>Bad gateway</title><h1>nginx</h1>", Unavailable, "502 Bad Gateway: Bad gateway"),
        (500, b"", TorcError, "500 Internal Server Error"),
    ],
)
def test_words_of_others_come_with_method_and_path(
    status: int, body: bytes, kind: type[TorcError], words: str
) -> None:
    error = refusal(Answer(status, {}, body), "GET /jobs/7")

    assert type(error) is kind
    assert str(error) == f"the server answered GET /jobs/7 with {words}"


def test_a_sentence_of_torc_stands_for_itself() -> None:
    body = b'{"error": {"message": "there is no job 7; list them", "kind": "NotFound", "hint": "list them"}}'

    error = refusal(Answer(404, {}, body), "GET /jobs/7")

    assert (str(error), error.hint) == ("there is no job 7", "list them")


def test_what_may_be_done_instead_is_told_a_line_each() -> None:
    body = b'{"error": {"message": "no credential", "kind": "Unauthorized", "how": ["find the key", "ask for a token"]}}'

    error = refusal(Answer(401, {}, body), "GET /jobs/7")

    assert (str(error), error.hint) == ("no credential", "find the key\n      ask for a token")
    assert error.details["how"] == ["find the key", "ask for a token"]


@pytest.mark.parametrize("theirs", ["1.2.3", "1.3.0", "1.2.9", None, "unknown"])
def test_equal_newer_and_nameless_servers_are_taken_in_silence(
    theirs: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    compare("1.2.3", theirs, "http://x")

    assert all(record.levelno == logging.DEBUG for record in caplog.records)


def test_an_older_server_is_warned_of_and_one_of_another_major_version_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    compare("1.10.0", "1.9.0", "http://x")
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    with pytest.raises(Conflict, match=r"torc 2\.0\.0 and this is torc 1\.10\.0"):
        compare("1.10.0", "2.0.0", "http://x")


class Talking(socketserver.StreamRequestHandler):
    """Gives the next answer to each request."""

    def handle(self) -> None:
        while first := self.rfile.readline():
            length = 0
            while (line := self.rfile.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.rfile.read(length)
            self.server.asked.append(first.strip())  # type: ignore[attr-defined]  # set below
            said: bytes = self.server.answers.pop(0)  # type: ignore[attr-defined]
            self.wfile.write(said)
            if b"Connection: close" in said:
                return


@contextmanager
def saying(answers: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, one for each request, and keeps the first lines of the requests."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talking) as server:
        server.daemon_threads = True
        server.answers, server.asked = answers, []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            port = server.server_address[1]
            yield f"http://127.0.0.1:{port}/torc-service/v1", server.asked  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def answer(body: bytes, version: str = __version__, kind: str = "application/json") -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nX-Torc-Version: {version}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def opened(url: str, tmp_path: Path, *, check: bool = True):  # type: ignore[no-untyped-def]  # a store behind a server
    credentials = Credentials(username="ann", key_folder=tmp_path, check_version=check)
    return closing(open_store(url, HttpStoreSettings(), SystemClock(), credentials))


def test_a_server_of_another_major_version_is_asked_nothing_that_changes_it(tmp_path: Path) -> None:
    with (
        saying([answer(b"{}", "9.0.0")]) as (url, asked),
        opened(url, tmp_path) as store,
        pytest.raises(Conflict),
    ):
        store.delete(WorkflowId(1))

    assert asked == [b"GET /torc-service/v1/version HTTP/1.1"]


def test_the_first_answer_tells_the_version_without_a_further_question(tmp_path: Path) -> None:
    with (
        saying([answer(b"{}", "9.0.0")]) as (url, asked),
        opened(url, tmp_path) as store,
        pytest.raises(Conflict),
    ):
        store.find(Workflow, Query())

    assert asked == [b"POST /torc-service/v1/x/store/find HTTP/1.1"]


def test_the_check_can_be_skipped(tmp_path: Path) -> None:
    with saying([answer(b'"x"', "9.0.0")]) as (url, _), opened(url, tmp_path, check=False) as store:
        assert store.server_id == "x"


def test_what_a_busy_server_has_not_begun_is_asked_again(tmp_path: Path) -> None:
    """Ten commands at once that initialize workflows: none of them fails since the others take long."""
    body = b'{"error": {"message": "4 requests of this kind are under way; try again", "busy": true}}'
    busy = (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )  # fmt: skip
    away = busy.replace(b"busy", b"much")

    with saying([busy, busy, answer(b'"x"')]) as (url, asked), opened(url, tmp_path) as store:
        name = store.server_id
    with (
        saying([away]) as (other, once),
        opened(other, tmp_path) as store,
        pytest.raises(Unavailable, match="under way"),
    ):
        store.find(Workflow, Query())

    assert (name, len(asked), len(once)) == ("x", 3, 1)


def with_status(status: str, body: bytes) -> bytes:
    return answer(body).replace(b"200 OK", status.encode())


ORDERS = values.dumps(Orders(endings=[Verdict.DONE]))


@pytest.mark.parametrize(
    "odd",
    [
        with_status("500 Oops", b'{"error": {"message": "this is a bug in the server"}, "code": 500}'),
        with_status("404 Not Found", b"default backend - 404"),
        with_status("401 Unauthorized", b"<html><title>Sign in</title></html>"),
        with_status("302 Found", b""),
        answer(b"<html><title>Welcome to this hotel</title></html>", kind="text/html"),
        answer(b'{"@": "Orders"'),
        answer(b"{}"),
        answer(ORDERS),
    ],
)
def test_an_answer_that_no_store_would_give_a_runner_is_none(tmp_path: Path, odd: bytes) -> None:
    with saying([odd]) as (url, _), opened(url, tmp_path) as store, pytest.raises(Unavailable):
        store.turn(Turn(node=NodeId(1), epoch="e"))


def test_what_a_store_says_to_a_runner_is_told_as_it_is(tmp_path: Path) -> None:
    gone = with_status(
        "404 Not Found", b'{"error": {"message": "no node 1", "kind": "NotFound"}, "code": 404}'
    )

    with (
        saying([gone]) as (url, _),
        opened(url, tmp_path) as store,
        pytest.raises(NotFound, match="no node 1"),
    ):
        store.turn(Turn(node=NodeId(1), epoch="e"))


TOLD = b'{"seq": 5, "workflow_id": 1, "timestamp": 0, "event_type": "%s", "severity": "info", "data": {}}'


def test_events_are_asked_for_where_there_is_no_stream(tmp_path: Path) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    told = b'{"events": [' + TOLD % b"user" + b"," + TOLD % b"other" + b'], "after": 5}'
    with saying([busy, answer(told)]) as (url, asked), opened(url, tmp_path, check=False) as store:
        told_events = store.follow(WorkflowId(1), after=4, level=Severity.INFO, types=["user"], seconds=60)

        first = next(told_events)

    assert first.category == "user"
    assert b"/workflows/1/events/stream?after=4&level=info&types=user" in asked[0]
    assert b"/x/workflows/1/events?after=4&wait_ms=15000" in asked[1]


def test_a_stream_that_breaks_is_told_as_unavailable_after_what_it_said(tmp_path: Path) -> None:
    frames = b": there\n\nid: 5\nevent: user\ndata: " + TOLD % b"user" + b"\n\n"
    with (
        saying([answer(frames, kind="text/event-stream")]) as (url, _),
        opened(url, tmp_path, check=False) as store,
    ):
        told = store.follow(WorkflowId(1), after=4, level=Severity.INFO, types=[], seconds=None)

        assert next(told) is None
        assert next(told).id == 5
        with pytest.raises(Unavailable):
            next(told)
