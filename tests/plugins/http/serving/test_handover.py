"""Requests that wait and streams: none of them has a thread."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.waiting import is_quick
from torc_http.serving.handed import KEEP_ALIVE
from torc_http.serving.listening import listen
from torc_http.serving.server import raise_open_files

HELD = b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n"
JSON = (("Content-Type", "application/json"),)


def stream_of(user: str = "") -> bytes:
    return f"GET /stream?{user} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def opened(served: Any, stack: ExitStack, count: int, request: bytes) -> list[socket.socket]:
    every = [stack.enter_context(served.connect()) for _ in range(count)]
    for one in every:
        one.sendall(request)
    return every


def test_three_hundred_held_requests_are_answered_within_a_second(serve) -> None:
    served = serve(threads=2)

    def answered() -> float:
        served.site.held.clear()
        with ExitStack() as stack:
            waiting = opened(served, stack, 300, HELD)
            assert served.eventually(lambda: len(served.site.held) == 300)
            assert served.service.handover.held == 300
            assert served.get("/x")[0] == 200
            began = time.monotonic()
            for number, held in enumerate(served.site.held):
                assert held.answer(200, JSON, b"%d" % number)
            answers = {served.answer_of(one)[1] for one in waiting}
            lasted = time.monotonic() - began

        assert answers == {b"%d" % number for number in range(300)}
        assert served.service.handover.held == 0
        return lasted

    assert is_quick(answered, 1)


def test_an_answer_says_that_the_connection_ends(served) -> None:
    with served.connect() as waiting:
        waiting.sendall(HELD)
        assert served.eventually(lambda: served.site.held)
        served.site.held[0].answer(409, (*JSON, ("Torc-Proof", "x")), b"{}")
        answer = served.until_closed(waiting)

    assert answer.startswith(b"HTTP/1.1 409 Conflict\r\n")
    for field in (b"Connection: close", b"Content-Length: 2", b"Torc-Proof: x", b"X-Request-Id: "):
        assert field in answer
    assert answer.endswith(b"\r\n\r\n{}")


def test_a_held_request_is_answered_once(served) -> None:
    with served.connect() as waiting:
        waiting.sendall(HELD)
        assert served.eventually(lambda: served.site.held)
        (held,) = served.site.held
        said = []
        threads = [
            threading.Thread(target=lambda: said.append(held.answer(200, JSON, b"1"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(said) == [False] * 7 + [True]
        assert served.until_closed(waiting).count(b"HTTP/1.1") == 1


def test_at_its_deadline_a_request_is_answered(served) -> None:
    served.site.seconds = 0.2
    with served.connect() as waiting:
        began = time.monotonic()
        waiting.sendall(HELD)

        assert served.answer_of(waiting) == (200, b'{"late":true}')
        assert 0.15 < time.monotonic() - began < 15
    assert served.service.handover.counts["deadline"] == 1


def test_who_answers_at_the_deadline_may_be_another_thread(served) -> None:
    served.site.seconds = 0.2
    served.site.late = lambda held: None
    with served.connect() as waiting:
        waiting.sendall(HELD)
        assert served.eventually(lambda: served.service.handover.counts["deadline"])

        assert served.site.held[0].answer(200, JSON, b"1")

        assert served.answer_of(waiting) == (200, b"1")


def test_a_client_that_hangs_up_is_noticed(served) -> None:
    with served.connect() as waiting:
        waiting.sendall(HELD)
        assert served.eventually(lambda: served.site.held)

    assert served.eventually(lambda: served.site.gone == served.site.held)
    assert not served.site.held[0].answer(200, JSON, b"1")
    assert served.service.handover.held == 0


def test_a_large_late_answer_arrives_whole(served) -> None:
    with served.connect() as waiting:
        waiting.sendall(HELD)
        assert served.eventually(lambda: served.site.held)
        served.site.held[0].answer(200, JSON, b"x" * 20_000_000)
        code, body = served.answer_of(waiting)

    assert (code, len(body)) == (200, 20_000_000)


def test_answers_before_a_held_one_arrive_first(served) -> None:
    with served.connect() as waiting:
        waiting.sendall(
            b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" + HELD + b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        code, first = served.answer_of(waiting)
        assert served.eventually(lambda: served.site.held)
        served.site.held[0].answer(200, JSON, b"second")
        got = served.until_closed(waiting)

    assert (code, len(first)) == (200, 30_000_000)
    assert got.endswith(b"second")
    assert "/never" not in served.site.seen


def test_a_bug_after_handing_over_is_an_error_for_the_client(served) -> None:
    code, told = served.get("/held-then-boom")

    assert (code, told["code"]) == (500, 500)
    assert served.service.handover.held == 0


def test_more_than_the_bound_are_not_held(serve) -> None:
    served = serve(held=3)
    with ExitStack() as stack:
        opened(served, stack, 3, HELD)
        assert served.eventually(lambda: served.service.handover.held == 3)

        assert served.get("/held") == (200, "full")


def test_streams_deliver_and_the_unread_ones_are_cut_while_plain_requests_go_on(serve) -> None:
    served = serve(threads=4, streams=150, streams_per_user=150)
    handover = served.service.handover
    with ExitStack() as stack:
        readers = opened(served, stack, 150, stream_of())
        assert served.eventually(lambda: handover.streams == 150)
        unread, read = readers[:50], readers[50:]
        got = dict.fromkeys(read, b"")
        stop = threading.Event()

        def reading() -> None:
            import selectors

            with selectors.DefaultSelector() as selector:
                for one in read:
                    one.setblocking(False)
                    selector.register(one, selectors.EVENT_READ)
                while not stop.is_set():
                    for key, _ in selector.select(0.1):
                        got[key.fileobj] += key.fileobj.recv(1_000_000)  # type: ignore[index,union-attr]

        thread = threading.Thread(target=reading)
        thread.start()
        event = b"data: " + b"x" * 1000 + b"\n\n"
        waits = []
        for number in range(1000):
            for stream in served.site.streams:
                stream.send(event)
            time.sleep(0.002)
            if number % 20 == 0:
                began = time.monotonic()
                assert served.get("/x")[0] == 200
                waits.append(time.monotonic() - began)
                sent = number * len(event)
                assert served.eventually(lambda sent=sent: all(len(data) > sent for data in got.values()))
        whole = served.eventually(lambda: all(data.count(event) == 1000 for data in got.values()))
        stop.set()
        thread.join()

        assert whole
        assert served.eventually(lambda: handover.streams == 100)
        assert handover.counts["overflow"] + handover.counts["stalled"] == 50
        assert statistics.median(waits) < 0.3
        assert unread


def test_a_reader_that_takes_nothing_is_cut_after_a_while(serve) -> None:
    served = serve(stream_stall=1.0, stream_buffer=64 * 1024**2)
    with served.connect() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(stream_of())
        assert served.eventually(lambda: served.site.streams)
        served.site.streams[0].send(b"x" * 30_000_000)

        assert served.eventually(lambda: served.service.handover.counts["stalled"] == 1)
        assert served.eventually(lambda: served.site.gone == served.site.streams)


def test_a_reader_that_is_lost_without_a_word_is_cut_after_a_while(serve, far_away) -> None:
    served = serve(listen(far_away.here, port=0, unix=False), keep_alive=0.5, stream_stall=2.0)
    with far_away.connect(served.port) as reader:
        reader.sendall(stream_of())
        assert served.eventually(lambda: served.site.streams)

        far_away.lose()

        assert served.eventually(lambda: served.service.handover.counts["gone"] == 1)
        assert served.eventually(lambda: served.site.gone == served.site.streams)


def test_a_silent_stream_is_kept_alive(serve) -> None:
    served = serve(keep_alive=0.5)
    with served.connect() as reader:
        reader.sendall(stream_of())
        got = b""
        while KEEP_ALIVE not in got:
            got += reader.recv(1000)

    assert b"Content-Type: text/event-stream" in got
    assert b"Connection: close" in got


def test_streams_are_bounded_in_all_and_by_user(serve) -> None:
    served = serve(streams=3, streams_per_user=2)
    handover = served.service.handover
    with ExitStack() as stack:
        opened(served, stack, 2, stream_of("ann"))
        opened(served, stack, 1, stream_of("bob"))
        assert served.eventually(lambda: handover.streams == 3)

        assert (handover.streams_of("ann"), handover.streams_of("bob")) == (2, 1)
        assert served.get("/stream?bob") == (200, "full")
        served.site.streams[0].close()
        assert served.eventually(lambda: handover.streams == 2)
        assert served.get("/stream?ann")[1] == "full" if handover.streams_of("ann") == 2 else True


def test_a_stream_that_is_closed_ends_after_what_was_sent(served) -> None:
    with served.connect() as reader:
        reader.sendall(stream_of())
        assert served.eventually(lambda: served.site.streams)
        (stream,) = served.site.streams
        for number in range(1000):
            assert stream.send(b"data: %d\n\n" % number)
        stream.close()
        got = served.until_closed(reader)

    assert got.endswith(b"data: 999\n\n")
    assert not stream.send(b"more")


def test_a_thousand_held_requests_and_all_streams_do_not_slow_plain_ones(serve) -> None:
    if raise_open_files() < 8_192:
        pytest.skip("too few files may be open here")
    idle = serve(threads=4)
    others = threading.active_count()
    served = serve(threads=4, streams_per_user=64)

    def asked(plain: socket.socket) -> float:
        began = time.monotonic()
        plain.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert served.answer_of(plain)[0] == 200
        return time.monotonic() - began

    with ExitStack() as stack:
        opened(served, stack, 1000, HELD)
        opened(served, stack, 64, stream_of())
        assert served.eventually(lambda: served.service.handover.held == 1000)
        assert served.eventually(lambda: served.service.handover.streams == 64)

        with served.connect() as one, idle.connect() as other:
            waits = [(asked(one), asked(other)) for _ in range(500)]
        busy, quiet = map(statistics.median, zip(*waits, strict=True))
        assert busy < 2 * quiet + 0.002
        assert threading.active_count() - others < 12
