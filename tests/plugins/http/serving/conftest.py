"""A service on real sockets with an application that says what it was told."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.waiting import SOON
from torc_http.serving.listening import Listening, listen
from torc_http.serving.server import HttpService
from torc_http.serving.settings import Application, ServingSettings


class Site:
    """The application: every path shows one thing that an application may do."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.streams: list[Any] = []
        self.gone: list[Any] = []
        self.seen: list[str] = []
        self.seconds = 60.0
        self.let_go = threading.Event()
        self.late: Callable[[Any], Any] = lambda one: one.answer(
            200, (("Content-Type", "application/json"),), b'{"late":true}'
        )

    def limit_of(self, method: str, path: str) -> int:
        if path == "/broken-limit":
            raise KeyError(path)
        return 100 if path == "/small" else 8 * 1024**2

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.seen.append(path)
        act: Callable[[dict[str, Any]], bytes] = {
            "/held": self._hold,
            "/held-then-boom": self._hold_and_fail,
            "/stream": self._stream,
            "/slow": self._slow,
            "/boom": self._boom,
            "/large": lambda _: b"x" * 30_000_000,
        }.get(path, self._tell)
        body = act(environ)
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _tell(self, environ: dict[str, Any]) -> bytes:
        body = environ["wsgi.input"].read()
        told = {
            "peer": asdict(environ["torc.peer"]),
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ["QUERY_STRING"],
            "host": environ.get("HTTP_HOST"),
            "scheme": environ["wsgi.url_scheme"],
            "length": len(body),
            "thread": threading.current_thread().name,
        }
        return json.dumps(told).encode()

    def _hold(self, environ: dict[str, Any]) -> bytes:
        held = environ["torc.hold"].later(
            seconds=self.seconds,
            on_deadline=lambda one: self.late(one),
            on_gone=self.gone.append,
        )
        if held:
            self.held.append(held)
        return b'"full"'

    def _hold_and_fail(self, environ: dict[str, Any]) -> bytes:
        self._hold(environ)
        raise ValueError("after all")

    def _stream(self, environ: dict[str, Any]) -> bytes:
        stream = environ["torc.hold"].stream(user=environ["QUERY_STRING"], on_gone=self.gone.append)
        if stream:
            self.streams.append(stream)
        return b'"full"'

    def _slow(self, environ: dict[str, Any]) -> bytes:
        self.let_go.wait(SOON)
        return b'"done"'

    def _boom(self, environ: dict[str, Any]) -> bytes:
        raise FileNotFoundError("a file of the application")


class Served:
    """A service that runs, and how to reach it."""

    def __init__(self, site: Site, settings: ServingSettings, listening: Listening) -> None:
        self.site = site
        self.listening = listening
        self.port = listening.port
        self.service = HttpService(
            Application(call=site, limit_of=site.limit_of), listening.sockets, settings
        )
        self.service.start()

    def connect(self, timeout: float = SOON) -> socket.socket:
        """A connection; who opens many closes them."""
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def get(self, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=SOON)) as client:
            client.request(method, path, body)
            answer = client.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None

    def raw(self, data: bytes, seconds: float = SOON) -> bytes:
        """What comes back, until the server closes or is silent for so long."""
        with self.connect(seconds) as connection:
            try:
                connection.sendall(data)
            except ConnectionError:
                pass
            return self.until_closed(connection)

    @staticmethod
    def until_closed(connection: socket.socket) -> bytes:
        got = bytearray()
        try:
            while data := connection.recv(65_536):
                got += data
        except (TimeoutError, ConnectionError):
            pass
        return bytes(got)

    @staticmethod
    def answer_of(connection: socket.socket) -> tuple[int, bytes]:
        """One answer, by its Content-Length; status 0 when there is none."""
        got = b""
        while b"\r\n\r\n" not in got:
            data = connection.recv(65_536)
            if not data:
                return 0, got
            got += data
        head, _, rest = got.partition(b"\r\n\r\n")
        body = bytearray(rest)
        fields = [line.lower() for line in head.split(b"\r\n")]
        (length,) = (int(line[15:]) for line in fields if line.startswith(b"content-length:"))
        while len(body) < length:
            body += connection.recv(65_536)
        return int(head.split()[1]), bytes(body)

    @staticmethod
    def eventually(claim: Callable[[], object], seconds: float = SOON) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if claim():
                return True
            time.sleep(0.01)
        return False


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def serve(site: Site, tmp_path: Any) -> Iterator[Callable[..., Served]]:
    """Start a service with other settings than usual; it is closed afterwards."""
    running: list[Served] = []

    def started(listening: Listening | None = None, **settings: Any) -> Served:
        listening = listening or listen(port=0, directory=str(tmp_path / "run"))
        one = Served(site, ServingSettings(**settings), listening)
        running.append(one)
        return one

    yield started
    site.let_go.set()
    for one in running:
        one.service.close(2)


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()


class FarAway:
    """Another host, as a network namespace; the way to it can be lost without a word."""

    def __init__(self) -> None:
        number = os.getpid()
        self.name = f"torc-{number}"
        self.near, self.far = f"tn{number}", f"tf{number}"
        self._net = f"10.{64 + number // 256 % 64}.{number % 256}"
        self.here = f"{self._net}.1"

    def make(self) -> None:
        self._ip("netns", "add", self.name)
        self._ip("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.name)
        self._ip("addr", "add", f"{self.here}/24", "dev", self.near)
        self._ip("link", "set", self.near, "up")
        self._ip("-n", self.name, "addr", "add", f"{self._net}.2/24", "dev", self.far)
        self._ip("-n", self.name, "link", "set", self.far, "up")

    def connect(self, port: int) -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)

        def connected() -> socket.socket:
            with open(f"/run/netns/{self.name}", "rb") as space:
                if libc.setns(space.fileno(), 0):
                    raise OSError(ctypes.get_errno(), "no other network")
            return socket.create_connection((self.here, port), SOON)

        with ThreadPoolExecutor(1) as there:
            return there.submit(connected).result(SOON)

    def lose(self) -> None:
        self._ip("-n", self.name, "addr", "flush", "dev", self.far)

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self.near], capture_output=True, check=False)

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], capture_output=True, check=True)


@pytest.fixture
def far_away() -> Iterator[FarAway]:
    found = FarAway()
    try:
        found.make()
    except (OSError, subprocess.CalledProcessError):
        found.remove()
        pytest.skip("no network namespace can be made here")
    yield found
    found.remove()
