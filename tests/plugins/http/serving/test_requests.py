"""Requests as they come over real sockets: good ones, large ones, malformed ones, slow ones."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest


def head(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


GET = head("GET /x HTTP/1.1", "Host: localhost")


def status(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


def error_of(answer: bytes) -> dict[str, Any]:
    first, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in first
    told: dict[str, Any] = json.loads(body)
    return told


def test_a_connection_is_used_again(served) -> None:
    with closing(HTTPConnection("127.0.0.1", served.port)) as client:
        ports = set()
        for _ in range(200):
            client.request("GET", "/x")
            ports.add(json.loads(client.getresponse().read())["peer"]["port"])

    assert len(ports) == 1


def test_a_service_answers_on_every_socket_with_one_pool_of_threads(served) -> None:
    with socket.create_connection(("::1", served.port)) as v6, socket.socket(socket.AF_UNIX) as unix:
        unix.connect(str(served.listening.path))
        v6.sendall(GET)
        unix.sendall(GET)
        over_v6, over_unix = (json.loads(served.answer_of(one)[1]) for one in (v6, unix))

    assert over_v6["peer"]["address"] == "::1"
    assert over_unix["peer"]["kind"] == "unix"
    assert {over_v6["thread"], over_unix["thread"]} <= {"torc-http-1", "torc-http-2"}


def test_pipelined_requests_are_answered_in_order(served) -> None:
    asked = [f"/number/{number}" for number in range(200)]
    data = b"".join(head(f"GET {path} HTTP/1.1", "Host: a") for path in asked[:-1])
    data += head(f"GET {asked[-1]} HTTP/1.1", "Host: a", "Connection: close")

    answer = served.raw(data)

    assert re.findall(r'"path": "(.*?)"', answer.decode()) == asked
    assert answer.count(b"HTTP/1.1 200 OK") == 200


def test_a_pipelined_body_is_not_taken_for_a_request(served) -> None:
    inner = GET.replace(b"/x", b"/hidden")

    answer = served.raw(
        head("POST /x HTTP/1.1", "Host: a", f"Content-Length: {len(inner)}", "Connection: close") + inner
    )

    assert status(answer) == 200
    assert served.site.seen == ["/x"]


def test_ten_thousand_requests_go_through_one_connection(served) -> None:
    count = int(os.environ.get("TORC_TEST_REQUESTS", "1000"))
    with served.connect() as connection:
        for _ in range(count):
            connection.sendall(GET)
            assert served.answer_of(connection)[0] == 200

    assert served.service.counts["accepted"] == 1


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "BREW", "PATCH"])
def test_every_method_reaches_the_application(served, method) -> None:
    answer = served.raw(head(f"{method} /x HTTP/1.1", "Host: a", "Connection: close"))

    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\n") == (method == "HEAD")


def test_an_absolute_target_tells_path_and_host(served) -> None:
    answer = served.raw(head("GET http://torc.example:80/y?q=1 HTTP/1.1", "Host: other", "Connection: close"))
    told = json.loads(answer.partition(b"\r\n\r\n")[2])

    assert (told["path"], told["query"], told["host"]) == ("/y", "q=1", "torc.example:80")


def test_a_large_body_is_spooled_into_a_folder_of_ours(serve, tmp_path) -> None:
    folder = tmp_path / "spool"
    served = serve(spool_in=folder)
    with served.connect() as connection:
        connection.sendall(head("POST /x HTTP/1.1", "Host: a", "Content-Length: 3000000") + b"x" * 2_000_000)

        def spooled() -> list[str]:
            links = (Path("/proc/self/fd") / one for one in os.listdir("/proc/self/fd"))
            return [os.readlink(one) for one in links if one.is_symlink() and "spool" in os.readlink(one)]

        assert served.eventually(spooled)
        assert [path.startswith(str(folder)) for path in spooled()] == [True]
        assert os.stat(folder).st_mode & 0o777 == 0o700
        assert os.listdir(folder) == []
        connection.sendall(b"x" * 1_000_000)
        code, body = served.answer_of(connection)

    assert (code, json.loads(body)["length"]) == (200, 3_000_000)


def test_a_large_answer_that_nobody_reads_costs_no_thread(serve) -> None:
    served = serve(threads=1, unread=1.0)
    with ExitStack() as stack:
        for _ in range(5):
            lazy = stack.enter_context(served.connect())
            lazy.sendall(GET.replace(b"/x", b"/large"))

        assert served.eventually(lambda: served.site.seen.count("/large") == 5)
        assert served.get("/x")[0] == 200
        assert served.eventually(lambda: served.service.connections == 0)
        assert served.service.counts["unread"] == 5


def test_a_bug_of_the_application_is_told_by_its_number_only(served, caplog) -> None:
    code, told = served.get("/boom")

    assert code == 500
    assert told["error"]["request_id"] in caplog.text
    assert "a file of the application" in caplog.text
    assert "a file of" not in json.dumps(told)


def test_a_service_has_a_folder_of_its_own_only_when_something_is_spooled(
    serve, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    served = serve()

    served.get("/x", "POST", b"x" * 1_000)
    before = list(tmp_path.glob("torc-spool-*"))
    served.get("/x", "POST", b"x" * 3_000_000)

    assert (before, len(list(tmp_path.glob("torc-spool-*")))) == ([], 1)


def test_a_body_for_which_the_disk_has_no_room_is_refused_as_such(serve, tmp_path) -> None:
    served = serve(spool_in=tmp_path / "spool")
    (tmp_path / "spool").rmdir()

    code, told = served.get("/x", "POST", b"x" * 3_000_000)

    assert code == 507
    assert "No such file" in told["errorMessage"]


@pytest.mark.parametrize("size", [101, 5_000_000, 10**15])
def test_a_body_that_is_too_large_for_its_route_is_refused_before_it_is_read(served, size) -> None:
    answer = served.raw(head("POST /small HTTP/1.1", "Host: a", f"Content-Length: {size}"))

    assert status(answer) == 413
    assert "100 bytes" in error_of(answer)["errorMessage"]
    assert served.site.seen == []


def test_a_body_of_just_the_bound_is_taken(served) -> None:
    assert served.get("/small", "POST", b"x" * 100)[1]["length"] == 100


def test_who_sends_a_refused_body_to_its_end_can_read_why(served) -> None:
    code, told = served.get("/small", "POST", b"x" * 20_000_000)

    assert code == 413
    assert told["code"] == 413


def test_a_chunked_body_is_counted_too(served) -> None:
    start = head("POST /small HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")

    answer = served.raw(start + b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n")
    over = served.raw(start + b"fff\r\n" + b"x" * 4095 + b"\r\n0\r\n\r\n")

    assert [status(answer), status(over)] == [413, 413]  # the lines between count as well
    with served.connect() as connection:
        connection.sendall(start + b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n")
        assert served.answer_of(connection)[0] == 200


def test_a_route_without_a_known_bound_gets_the_usual_one(served) -> None:
    assert served.get("/broken-limit", "POST", b"x" * 2 * 1024**2)[0] == 200
    assert served.get("/broken-limit", "POST", b"x" * (2 * 1024**2 + 1))[0] == 413


def test_a_client_that_expects_leave_gets_it(served) -> None:
    with served.connect() as connection:
        connection.sendall(head("POST /x HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-continue"))
        leave = connection.recv(1000)
        connection.sendall(b"hello")

        assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert json.loads(served.answer_of(connection)[1])["length"] == 5


def test_a_client_that_expects_leave_for_too_much_gets_none(served) -> None:
    answer = served.raw(
        head("POST /small HTTP/1.1", "Host: a", "Content-Length: 500", "Expect: 100-continue")
    )

    assert status(answer) == 413


def test_a_client_that_expects_leave_for_nothing_is_answered(served) -> None:
    answer = served.raw(head("GET /x HTTP/1.1", "Host: a", "Expect: 100-continue", "Connection: close"))

    assert status(answer) == 200


BAD = {
    "no version": b"GET /x\r\n",
    "version 0.9": b"GET /x\r\n\r\n",
    "version 2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 3": head("GET /x HTTP/3.7", "Host: a"),
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(100),
    "noise": b"\x00" * 100,
    "lower case": head("get /x HTTP/1.1", "Host: a"),
    "no path": head("GET HTTP/1.1", "Host: a"),
    "spaces": head("GET  /x  HTTP/1.1", "Host: a"),
    "connect": head("CONNECT localhost:22 HTTP/1.1", "Host: a"),
    "no slash": head("GET x HTTP/1.1", "Host: a"),
    "file": head("GET file:///etc/passwd HTTP/1.1", "Host: a"),
    "bad address": head("GET http://[::1/x HTTP/1.1", "Host: a"),
    "no host": head("GET /x HTTP/1.1"),
    "two hosts": head("GET /x HTTP/1.1", "Host: a", "Host: b"),
    "host with user": head("GET /x HTTP/1.1", "Host: me@evil"),
    "folded": head("GET /x HTTP/1.1", "Host: a", "X: 1", "  2"),
    "no colon": head("GET /x HTTP/1.1", "Host: a", "nonsense"),
    "space before colon": head("GET /x HTTP/1.1", "Host: a", "X : 1"),
    "control sign": head("GET /x HTTP/1.1", "Host: a", "X: \x01"),
    "null": head("GET /x HTTP/1.1", "Host: a", "X: \x00"),
    "bare line feed": b"GET /x HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
    "negative length": head("POST /x HTTP/1.1", "Host: a", "Content-Length: -1"),
    "two lengths": head("POST /x HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 2"),
    "a list of lengths": head("POST /x HTTP/1.1", "Host: a", "Content-Length: 1, 1"),
    "hex length": head("POST /x HTTP/1.1", "Host: a", "Content-Length: 0x10"),
    "plus": head("POST /x HTTP/1.1", "Host: a", "Content-Length: +1"),
    "huge length": head("POST /x HTTP/1.1", "Host: a", "Content-Length: " + "9" * 5000),
    "length and chunks": head("POST /x HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"),
    "chunks in 1.0": head("POST /x HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"),
    "gzip": head("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked"),
    "chunked twice": head("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked, chunked"),
    "hidden chunked": head("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: \x0bchunked"),
    "256 KiB of head": head("GET /x HTTP/1.1", "Host: a", "X: " + "x" * 262_144),
    "1,000 headers": head("GET /x HTTP/1.1", "Host: a", *(f"X{number}: 1" for number in range(1000))),
    "long path": head("GET /" + "x" * 20_000 + " HTTP/1.1", "Host: a"),
}  # fmt: skip
CHUNKS = {
    "no number": b"xyz\r\n",
    "negative": b"-5\r\nhello\r\n",
    "too long a line": b"5;" + b"x" * 10_000 + b"\r\n",
    "no end of line": b"5" * 10_000,
    "bad extension": b"5;\x00=\r\nhello\r\n",
    "no end of chunk": b"5\r\nhelloworld\r\n",
    "endless trailer": b"0\r\n" + b"X: 1\r\n" * 3_000,
    "huge chunk": b"fffffffffffffffff\r\n" + b"x" * 100,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_malformed_head_is_refused_at_once_with_a_sentence(served, data) -> None:
    began = time.monotonic()

    answer = served.raw(data)

    assert status(answer) in {400, 413, 431}, answer
    assert error_of(answer)["errorMessage"]
    assert time.monotonic() - began < 8
    assert served.site.seen == []


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_chunked_nonsense_is_refused(served, body) -> None:
    answer = served.raw(head("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + body, 1.0)

    assert status(answer) in {0, 400, 413}  # a chunk that never ends waits for the rest
    assert served.site.seen == []


def test_a_head_of_random_bytes_never_does_harm(served) -> None:
    from random import Random

    chance = Random(5)
    good = head("POST /x HTTP/1.1", "Host: a", "Content-Length: 5", "X: y") + b"hello"
    for _ in range(300):
        broken = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with served.connect(0.2) as connection:
            connection.sendall(bytes(broken))
            connection.shutdown(socket.SHUT_WR)
            assert status(served.until_closed(connection)) < 500

    assert served.get("/x")[0] == 200


def test_many_tiny_chunks_do_not_stall_the_others(served) -> None:
    with served.connect() as busy:
        busy.sendall(head("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
        busy.sendall(b"1\r\nx\r\n" * 200_000)
        began = time.process_time()
        served.get("/x")
        waited = time.process_time() - began
        busy.sendall(b"0\r\n\r\n")

        assert json.loads(served.answer_of(busy)[1])["length"] == 200_000
    assert waited < 2


def test_a_slow_head_is_cut(serve) -> None:
    served = serve(head_seconds=1.0)
    with served.connect() as slow:
        began = time.monotonic()
        for sign in b"GET /x HTTP/1.1\r\nHost: localhost":
            slow.sendall(bytes([sign]))
            time.sleep(0.1)
            if served.service.counts["slow head"]:
                break

        assert served.until_closed(slow) == b""
        assert 0.9 < time.monotonic() - began < 15


def test_a_slow_body_is_cut_and_one_that_advances_is_not(serve) -> None:
    served = serve(body_seconds=5.0, body_advance=1000)
    start = head("POST /x HTTP/1.1", "Host: a", "Content-Length: 10000")
    with served.connect() as slow, served.connect() as steady:
        slow.sendall(start + b"x")
        steady.sendall(start)
        for _ in range(10):
            steady.sendall(b"x" * 1000)
            time.sleep(0.6)

        assert served.answer_of(steady)[0] == 200
        assert served.until_closed(slow) == b""
        assert served.service.counts["slow body"] == 1


def test_an_idle_connection_is_closed_and_one_in_use_is_not(serve) -> None:
    served = serve(idle=5.0)
    with served.connect() as idle, served.connect() as used:
        for _ in range(9):
            used.sendall(GET)
            assert served.answer_of(used)[0] == 200
            time.sleep(0.6)

        assert served.until_closed(idle) == b""
        assert served.service.counts["idle"] == 1
