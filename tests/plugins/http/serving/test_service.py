"""A service as a whole: many connections, a start when it is needed, an orderly end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.ports import free_port
from tests.waiting import SOON
from torc_http.serving.lazy import LazyService
from torc_http.serving.listening import listen
from torc_http.serving.server import raise_open_files
from torc_http.serving.settings import Application, ServingSettings

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"


def test_fifteen_hundred_idle_connections_hinder_nobody(serve) -> None:
    if raise_open_files() < 8_192:
        pytest.skip("too few files may be open here")
    served = serve(idle=300.0)
    with ExitStack() as stack:
        for _ in range(1500):
            stack.enter_context(served.connect())
        assert served.eventually(lambda: served.service.connections == 1500)
        began = time.monotonic()

        assert served.get("/x")[0] == 200
        assert time.monotonic() - began < 15


def test_five_hundred_half_sent_requests_hinder_nobody(served) -> None:
    with ExitStack() as stack:
        for _ in range(500):
            one = stack.enter_context(served.connect())
            one.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
        began = time.monotonic()

        assert served.get("/x")[0] == 200
        assert time.monotonic() - began < 15


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process of another user")
def test_another_user_gets_so_many_connections_and_no_more(serve) -> None:
    served = serve(connections_per_peer=20)
    program = f"""
import os, selectors, socket
os.setgid(4242); os.setuid(4242)
said = selectors.DefaultSelector()
for one in [socket.socket() for _ in range(25)]:
    one.connect(("127.0.0.1", {served.port}))
    said.register(one, selectors.EVENT_READ)
for _ in range(5):
    (key, _), *_ = said.select({SOON})
    print(key.fileobj.recv(12)[9:].decode() or "closed")
    said.unregister(key.fileobj)
print(*["said" for _ in said.select(0.5)] or ["open"] * 20)
"""
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    assert sorted(ran.stdout.split()) == ["503"] * 5 + ["open"] * 20
    assert served.get("/x")[0] == 200


def test_beyond_the_bound_connections_wait_until_others_end(serve) -> None:
    served = serve(connections=10, idle=3.0)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(served.connect())
        assert served.eventually(lambda: served.service.counts["accepted"] == 10)

        assert served.get("/x")[0] == 200  # after the idle ones were closed


def test_what_is_in_flight_ends_before_the_service_does(serve) -> None:
    served = serve()
    with (
        served.connect() as busy,
        served.connect() as idle,
        served.connect() as waiting,
        served.connect() as sends,
    ):
        busy.sendall(SLOW)
        waiting.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        sends.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
        assert served.eventually(lambda: "/slow" in served.site.seen and served.site.held)
        assert served.eventually(lambda: sum(one.in_flight for one in served.service.channels.copy()) == 2)
        done: list[bool] = []
        closing = threading.Thread(target=lambda: done.append(served.service.close(SOON)))
        closing.start()

        assert served.answer_of(waiting) == (200, b'{"late":true}')
        assert served.until_closed(idle) == b""
        with pytest.raises(ConnectionRefusedError):
            served.connect()
        assert not served.listening.path.exists()
        sends.sendall(b"lo")
        assert b"Connection: close" in served.until_closed(sends)
        served.site.let_go.set()
        assert b'"done"' in served.until_closed(busy)
        closing.join()

    assert done == [True]


def test_what_takes_longer_than_the_grace_is_given_up(serve) -> None:
    served = serve()
    with served.connect() as busy:
        busy.sendall(SLOW)
        assert served.eventually(lambda: "/slow" in served.site.seen)
        began = time.monotonic()

        assert not served.service.close(0.3)
        assert time.monotonic() - began < 15


def test_a_service_starts_again_on_its_port_at_once(serve, tmp_path) -> None:
    first = serve(listen(port=free_port(), directory=str(tmp_path / "run")))
    with ExitStack() as stack:
        for _ in range(20):
            one = stack.enter_context(first.connect())
            one.sendall(GET)
            first.answer_of(one)
        first.service.close(1)
        second = serve(listen(port=first.port, directory=str(tmp_path / "run")))

        assert second.get("/x")[0] == 200


def test_nothing_is_left_of_a_service(serve) -> None:
    def open_files() -> set[str]:
        return {os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if one.isdigit() and os.path.islink(f"/proc/self/fd/{one}")}  # fmt: skip

    before, threads = open_files(), set(threading.enumerate())
    served = serve()
    with ExitStack() as stack:
        for path in (b"/x", b"/held", b"/stream", b"/large"):
            stack.enter_context(served.connect()).sendall(GET.replace(b"/x", path))
        assert served.eventually(lambda: len(served.site.seen) == 4)
        served.service.close(1)

    assert served.eventually(lambda: open_files() <= before)
    assert served.eventually(lambda: set(threading.enumerate()) <= threads)


def test_a_request_that_runs_long_is_told_with_its_stack(serve, caplog) -> None:
    served = serve(long_request=0.5)
    with served.connect() as busy:
        busy.sendall(SLOW)

        assert served.eventually(lambda: "request runs long" in caplog.text)
        assert "in _slow" in caplog.text
        served.site.let_go.set()


class Loading:
    """An application that is loaded late."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.times = 0
        self.broken = False

    def __call__(self) -> Application:
        self.times += 1
        if self.broken:
            raise RuntimeError("no such module")
        return Application(call=self.site, limit_of=self.site.limit_of)


def test_a_lazy_service_loads_when_the_first_caller_comes(site, tmp_path) -> None:
    loading = Loading(site)
    listening = listen(port=0, directory=str(tmp_path / "run"))
    lazy = LazyService(loading, listening.sockets, ServingSettings())
    lazy.start()
    try:
        assert (lazy.service, loading.times) == (None, 0)
        with socket.create_connection(("127.0.0.1", listening.port), SOON) as first:
            first.sendall(GET)
            assert b"200 OK" in first.recv(1000)
        with socket.socket(socket.AF_UNIX) as second:
            second.connect(str(listening.path))
            second.sendall(GET)
            assert b"200 OK" in second.recv(1000)
        assert loading.times == 1
        assert lazy.service is not None
    finally:
        lazy.close(1)
    assert not listening.path.exists()


def test_a_lazy_service_that_nobody_calls_ends_at_once(site, tmp_path) -> None:
    loading = Loading(site)
    lazy = LazyService(loading, listen(directory=str(tmp_path / "run")).sockets)
    lazy.start()

    assert lazy.close(10)
    assert loading.times == 0


def test_a_lazy_service_that_cannot_load_says_so_and_tries_again(site, tmp_path, caplog) -> None:
    loading = Loading(site)
    loading.broken = True
    listening = listen(port=0, unix=False)
    lazy = LazyService(loading, listening.sockets)
    lazy.start()
    try:
        with socket.create_connection(("127.0.0.1", listening.port), SOON) as first:
            first.sendall(GET)
            told = first.recv(4000)
        assert json.loads(told.partition(b"\r\n\r\n")[2])["code"] == 500
        assert "no such module" in caplog.text
        loading.broken = False
        with socket.create_connection(("127.0.0.1", listening.port), SOON) as second:
            second.sendall(GET)
            assert b"200 OK" in second.recv(1000)
    finally:
        lazy.close(1)


def test_waiting_for_a_caller_loads_nothing_heavy() -> None:
    program = (
        "import sys; from torc_http.serving import lazy, listening, settings, identity;"
        "print(*({'waitress', 'falcon', 'psutil', 'ssl', 'cryptography'} & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == []
