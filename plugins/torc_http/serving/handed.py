"""Connections that wait for their answer, or get one without end."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING

from torc_http.serving.refusals import JSON, refusal, status_line
from torc_http.serving.settings import Headers

if TYPE_CHECKING:
    from torc_http.serving.handover import Handover

log = logging.getLogger(__name__)

CHATTER = 65_536
"""Bytes that a client may still send while it waits; what it sends is thrown away."""

LATE = 10.0
"""Seconds after its deadline when a request is answered with an error, if nobody has answered it."""

KEEP_ALIVE = b": keep-alive\n\n"


def head_of(status: int | str, headers: Headers, request_id: str, length: int | None = None) -> bytes:
    """The head of an answer after which the connection ends.

    Raises
    ------
    ValueError
        If a header has a line break in it.
    """
    fields = [
        *headers,
        *((("Content-Length", str(length)),) if length is not None else ()),
        ("Connection", "close"),
        ("Date", formatdate(usegmt=True)),
        ("Server", "torc"),
    ]
    if not any(name.lower() == "x-request-id" for name, _ in fields):
        fields.append(("X-Request-Id", request_id))
    lines = [f"HTTP/1.1 {status_line(status)}", *(f"{name}: {value}" for name, value in fields)]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header of an answer has a line break in it")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Handed:
    """A connection that waitress has no part in any more."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._socket: socket.socket | None = None
        self._lock = threading.RLock()
        self._chunks: deque[bytes] = deque()
        self._chatter = 0
        self._closing = False
        self.unsent = 0
        self._taken = time.monotonic()
        """When the client took its last byte, or the first one began to wait for it."""

    def take(self, connection: socket.socket, unsent: bytes) -> None:
        """The connection, and what waitress had not sent yet."""
        self._socket = connection
        if unsent:
            self._append(unsent)

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket else -1

    def abandon(self) -> bool:
        """Let go of the connection without a word; true if nothing was said yet."""
        raise NotImplementedError

    def look(self, now: float) -> None:
        """End it if its client takes nothing."""
        if self.unsent and now - self._taken > self._handover.settings.stream_stall:
            self.end("stalled")

    def write(self) -> None:
        """Send what the kernel takes. In the thread of the handover only."""
        with self._lock:
            if self._socket is None:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
            try:
                sent = self._socket.send(data) if data else 0
            except BlockingIOError:
                sent = 0
            except OSError:
                self.end("gone")
                return
            if sent < len(data):
                self._chunks.append(data[sent:])
            self.unsent = len(data) - sent
            if sent:
                self._taken = time.monotonic()
            if not self.unsent and self._closing:
                self.end("answered")

    def read(self) -> None:
        """Notice that the client has hung up. In the thread of the handover only."""
        with self._lock:
            if self._socket is None:
                return
            try:
                data = self._socket.recv(CHATTER)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self._chatter += len(data)
            if not data or self._chatter > CHATTER:
                self.end("answered" if self._closing and not self.unsent else "gone")

    def end(self, how: str) -> None:
        """Close the connection. In the thread of the handover only."""
        with self._lock:
            if self._socket is None:
                return
            self._handover.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._chunks.clear()
            self.unsent = 0
            self._handover.counts[how] += 1
        self._handover.forget(self)
        self._ended(how)

    def _ended(self, how: str) -> None:
        raise NotImplementedError

    def _append(self, data: bytes) -> None:
        if not self.unsent:
            self._taken = time.monotonic()
        self._chunks.append(data)
        self.unsent += len(data)

    def _flush(self) -> None:
        """In the thread of the handover: write, and be told when more can be."""
        self.write()
        self._handover.watch(self)


class Held(Handed):
    """A request that waits for its answer."""

    def __init__(
        self,
        handover: Handover,
        request_id: str,
        headless: bool,
        on_deadline: Callable[[Held], None],
        on_gone: Callable[[Held], None] | None,
    ) -> None:
        super().__init__(handover)
        self.request_id = request_id
        self.waits = True
        """Whether an answer is still wanted."""
        self._without_body = headless
        self._on_deadline = on_deadline
        self._is_late = False
        self._on_gone = on_gone

    def answer(self, status: int | str, headers: Headers = (), body: bytes = b"") -> bool:
        """Give the answer, from any thread; false when there was one already or the client is gone."""
        head = head_of(status, headers, self.request_id, len(body))
        data = head if self._without_body else head + body
        with self._lock:
            if not self.waits or self._socket is None:
                return False
            self.waits = False
            self._closing = True
            self._append(data)
            # PERF: sent from here, not by the other thread: a runner that waits has its job 0.1 ms earlier.
            sent = 0
            if len(self._chunks) == 1:
                try:
                    sent = self._socket.send(data)
                except OSError:
                    pass  # the kernel is full, or the client gone: the other thread finds out
            self._chunks[-1] = data[sent:]
            self.unsent -= sent
        self._handover.forget(self)
        self._handover.call(self._flush)
        return True

    def fall_due(self) -> None:
        """Its time is up: have an answer made. In a worker."""
        if not self.waits:
            return
        if self._is_late:
            body = refusal(503, "nothing to tell yet; ask again")
            self.answer(503, (("Content-Type", JSON), ("Retry-After", "1")), body)
            return
        self._is_late = True
        self._handover.counts["deadline"] += 1
        try:
            self._on_deadline(self)
        except Exception:
            # The client must not wait for ever because of a bug in what answers it.
            log.exception("held request failed request_id=%s", self.request_id)
            message = "an internal error; the log of the server has it under this request_id"
            body = refusal(500, message, request_id=self.request_id)
            self.answer(500, (("Content-Type", JSON),), body)
        if self.waits:
            # Another thread has something to tell and is about to: at this moment its answer may be half written.
            self._handover.expect(self, LATE)

    def abandon(self) -> bool:
        with self._lock:
            if not self.waits or self._socket is None:
                return False
            self.waits = False
        self._on_gone = None
        self._handover.forget(self)
        self._handover.call(lambda: self.end("withdrawn"))
        return True

    def _ended(self, how: str) -> None:
        waited, self.waits = self.waits, False
        if waited and self._on_gone:
            gone = self._on_gone
            self._handover.run_by_worker(lambda: gone(self))


class Stream(Handed):
    """Events without end: the client takes them as fast as it can, and is cut when that is too slow."""

    def __init__(self, handover: Handover, user: str, on_gone: Callable[[Stream], None] | None) -> None:
        super().__init__(handover)
        self.user = user
        self._on_gone = on_gone
        self._said = time.monotonic()

    @property
    def open(self) -> bool:
        """Whether sending makes sense."""
        return self._socket is not None and not self._closing

    def send(self, data: bytes) -> bool:
        """Send bytes, from any thread, without waiting; false when the stream is over, or is by this."""
        with self._lock:
            if not self.open:
                return False
            overflows = self.unsent + len(data) > self._handover.settings.stream_buffer
            if overflows:
                self._closing = True
            else:
                first = not self.unsent
                self._append(data)
                self._said = time.monotonic()
        if overflows:
            self._handover.call(lambda: self.end("overflow"))
        elif first:
            self._handover.call(self._flush)
        return not overflows

    def close(self) -> None:
        """End it after what was sent has been taken."""
        with self._lock:
            self._closing = True
        self._handover.call(self._flush)

    def look(self, now: float) -> None:
        super().look(now)
        if self.open and not self.unsent and now - self._said > self._handover.settings.keep_alive:
            self.send(KEEP_ALIVE)

    def abandon(self) -> bool:
        return False  # its head is on the way

    def _ended(self, how: str) -> None:
        if self._on_gone:
            gone = self._on_gone
            self._handover.run_by_worker(lambda: gone(self))
