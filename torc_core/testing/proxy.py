"""A proxy between runners and a server that loses, delays, cuts and doubles what passes: for tests of faults.

It understands just enough of HTTP/1.1 to know where a request and an answer end: heads and `Content-Length`, or
chunks. Faults are drawn for each request by a seeded random number generator, so that a test may be repeated.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

WAIT = 120.0
"""Seconds after which a connection on which nothing happens is closed."""
CHUNK = 1 << 16
LOOK = 0.02
"""Seconds between two looks whether something passes again."""


@dataclass(slots=True)
class Faults:
    """What goes wrong, each with its probability (0-1); may be changed at any time.

    Parameters
    ----------
    drop
        The server gets the request and answers; the answer is lost and the connection broken.
    refuse
        The connection is broken before the request reaches the server.
    double
        The request is sent twice, at once; the first answer is passed on.
    again
        The request is sent a second time after `later` seconds (least, most), when the answer has been passed on.
    delay
        Seconds (least, most) by which each answer is late.
    partition
        Nothing passes in either direction, and nothing is closed: packets are lost.
    one_way
        Requests pass, answers do not.
    mute
        Answers pass, requests do not.
    only
        Which requests may be struck, by their first line; None: all.
    """

    drop: float = 0.0
    refuse: float = 0.0
    double: float = 0.0
    again: float = 0.0
    later: tuple[float, float] = (1.0, 20.0)
    delay: tuple[float, float] = (0.0, 0.0)
    partition: bool = False
    one_way: bool = False
    mute: bool = False
    only: Callable[[str], bool] | None = None


@dataclass(slots=True)
class Counts:
    """How often something went wrong."""

    requests: int = 0
    dropped: int = 0
    refused: int = 0
    doubled: int = 0
    repeated: int = 0


@dataclass
class Proxy:
    """Listens on a port of its own on loopback, and passes requests on to a server there.

    Parameters
    ----------
    port
        Of the server; may be changed, as after a restart.
    """

    port: int
    faults: Faults = field(default_factory=Faults)
    seed: int = 0

    def __post_init__(self) -> None:
        self.counts = Counts()
        self._random = random.Random(self.seed)  # faults, not secrets
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url: str) -> str:
        """The address of the server, by way of this proxy."""
        return url.replace(f":{self.port}/", f":{self.address}/")

    def close(self) -> None:
        """Break everything off."""
        self._closed.set()
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            connections = list(self._open)
        for one in connections:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        answers: object = None
        self._enter(client)
        try:
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.settimeout(WAIT)
                incoming = client.makefile("rb")
                while (request := _message(incoming)) is not None:
                    while self.faults.mute and not self._closed.is_set():
                        time.sleep(LOOK)
                    self._pass_by()
                    if server is None:
                        server = self._connect()
                        answers = server.makefile("rb")
                    if not self._one(client, server, answers, request):
                        return
        except (OSError, ValueError):
            return
        finally:
            self._leave(client)
            if server is not None:
                self._leave(server)
                server.close()

    def _one(self, client: socket.socket, server: socket.socket, answers: object, request: bytes) -> bool:
        """Pass one request on; whether the connection goes on."""
        faults, line = self.faults, request.split(b"\r\n", 1)[0].decode("latin-1")
        struck = faults.only is None or faults.only(line)
        self.counts.requests += 1
        if struck and self._hits(faults.refuse):
            self.counts.refused += 1
            return False
        server.sendall(request)
        if struck and self._hits(faults.double):
            self.counts.doubled += 1
            threading.Thread(target=self._twice, args=(request, 0.0), daemon=True).start()
        answer = _message(answers, answer=True)
        if answer is None:
            return False
        time.sleep(self._between(*faults.delay))
        while faults.one_way and not self._closed.is_set():
            time.sleep(LOOK)
        self._pass_by()
        if struck and self._hits(faults.drop):
            self.counts.dropped += 1
            return False
        client.sendall(answer)
        if struck and self._hits(faults.again):
            self.counts.repeated += 1
            wait = self._between(*faults.later)
            threading.Thread(target=self._twice, args=(request, wait), daemon=True).start()
        return b"connection: close" not in answer.split(b"\r\n\r\n", 1)[0].lower()

    def _twice(self, request: bytes, seconds: float) -> None:
        """Send a request once more, and forget the answer."""
        if self._closed.wait(seconds):
            return
        with suppress(OSError, ValueError):
            server = self._connect()
            try:
                server.sendall(request)
                _message(server.makefile("rb"), answer=True)
            finally:
                self._leave(server)
                server.close()

    def _pass_by(self) -> None:
        """Wait as long as nothing passes."""
        while self.faults.partition and not self._closed.is_set():
            time.sleep(LOOK)

    def _connect(self) -> socket.socket:
        server = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._enter(server)
        return server

    def _enter(self, one: socket.socket) -> None:
        with self._lock:
            self._open.add(one)

    def _leave(self, one: socket.socket) -> None:
        with self._lock:
            self._open.discard(one)

    def _hits(self, probability: float) -> bool:
        with self._lock:
            return probability > 0 and self._random.random() < probability

    def _between(self, least: float, most: float) -> float:
        with self._lock:
            return self._random.uniform(least, most)


def _message(stream: object, *, answer: bool = False) -> bytes | None:
    """A request or an answer as it came, whole; None: there is none any more."""
    read, readline = stream.read, stream.readline  # type: ignore[attr-defined]
    head = bytearray()
    while (line := readline(CHUNK)) not in (b"\r\n", b"\n"):
        if not line:
            return None
        head += line
    head += line
    lowered = bytes(head).lower()
    body = bytearray()
    if b"transfer-encoding: chunked" in lowered:
        while True:
            size = readline(CHUNK)
            body += size
            count = int(size.split(b";")[0], 16)
            body += _exactly(read, count + 2)
            if not count:
                break
    elif b"content-length:" in lowered:
        length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body += _exactly(read, length)
    elif answer and not lowered.startswith((b"http/1.1 204", b"http/1.1 304")):
        while piece := read(CHUNK):
            body += piece
    return bytes(head + body)


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        piece = read(count - len(found))
        if not piece:
            raise ValueError("cut off")
        found += piece
    return bytes(found)
