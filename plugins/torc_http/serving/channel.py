"""One connection: waitress's channel, with an end for those who are too slow and no thread waiting for its reader."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel

from torc_http.serving.identity import Peer
from torc_http.serving.parser import RequestParser
from torc_http.serving.spool import Spool
from torc_http.serving.task import Refusal, Request

log = logging.getLogger(__name__)

LINGER_BYTES = 64 * 1024**2
"""What a refused sender may still send; beyond it the connection is cut."""

PIPELINED = 64
"""Requests that are read ahead of the one that is being answered; further ones stay in the kernel."""


class Channel(HTTPChannel):
    """One connection."""

    request: RequestParser | None
    sent_continue: bool

    task_class = Request
    error_task_class = Refusal
    parser_class = RequestParser

    def __init__(
        self, server: Any, sock: socket.socket, peer: Peer, key: tuple[str, object], rules: Any
    ) -> None:
        self.peer = peer
        self.key = key
        """By whom its connections are counted."""
        self.linger = False
        self._lingering: float | None = None
        self._thrown_away = 0
        self._active = time.monotonic()
        self._left: bytes = b""
        self._deferred = False
        super().__init__(server, sock, (peer.address or peer.kind, peer.port), rules, map=server.loop.map)
        self.outbufs = [self._buffer()]

    @property
    def last_activity(self) -> float:
        """When a byte came or went; waitress stamps it with a clock that may be set, so its value is not taken."""
        return self._active

    @last_activity.setter
    def last_activity(self, _: float) -> None:
        self._active = time.monotonic()

    def overdue(self, now: float) -> str | None:
        """Why this connection is to be closed, if it is (W4)."""
        settings = self.server.settings
        if self._lingering is not None:
            return "lingers" if now - self._lingering > settings.linger else None
        if self.total_outbufs_len:
            return "unread" if now - self._active > settings.unread else None
        if self.requests:
            return None
        request = self.request
        if request is None:
            return "idle" if now - self._active > settings.idle else None
        if not request.headers_finished:
            return "slow head" if now - request.since > settings.head_seconds else None
        return self._slow_body(request, now)

    def _slow_body(self, request: RequestParser, now: float) -> str | None:
        settings = self.server.settings
        since, seen = request.advanced
        if now - since <= settings.body_seconds:
            return None
        if request.body_bytes_received - seen < settings.body_advance:
            return "slow body"
        request.advanced = (now, request.body_bytes_received)
        return None

    def give_up(self) -> None:
        """Close now, in the thread of all connections: one that is never writable would wait for ever to be told."""
        self.will_close = True
        self.handle_close()

    def finish(self) -> None:
        """Close if nothing is in flight: the service stops."""
        if not self.in_flight and not self._lingering:
            self.give_up()

    @property
    def in_flight(self) -> bool:
        """Whether a request is being received or answered."""
        request = self.request
        return bool(self.requests or self.total_outbufs_len or (request and request.headers_finished))

    def leftover(self) -> bytes:
        """Take what was written and not sent yet: answers to requests before the one that is handed over."""
        with self.outbuf_lock:
            left = b"".join(one.get(len(one), skip=True) for one in self.outbufs)
            self.total_outbufs_len = 0
            return left

    def next_request(self) -> bool:
        """Whether the next request that was read ahead may be answered: the answers before it have to be on the way.

        Else somebody who asks for much and reads nothing fills the disk.
        """
        self._deferred = self.total_outbufs_len > 0
        return not self._deferred

    # What follows is called by waitress.

    def readable(self) -> bool:
        if self._lingering is not None:
            return True
        if self.will_close or self.close_when_flushed or self.requests or self.total_outbufs_len:
            return False
        if self._left:
            # NOTE: here nobody else reads, so what came with an earlier request is read before what comes later.
            left, self._left = self._left, b""
            self.received(left)
            return self.readable()
        return True

    def writable(self) -> bool:
        if self._lingering is not None:
            return bool(self.will_close)
        return bool(self.total_outbufs_len or self.will_close or self.close_when_flushed or self._deferred)

    def handle_read(self) -> None:
        if self._lingering is None:
            super().handle_read()
            return
        data = self.recv(self.adj.recv_bytes)
        self._thrown_away += len(data)
        if not data or self._thrown_away > LINGER_BYTES:
            self.handle_close()

    def handle_write(self) -> None:
        if self._lingering is None and self.outbuf_lock.acquire(blocking=False):
            try:
                self._flush_exception(self._flush_some)
                flushed = self.close_when_flushed and not self.total_outbufs_len
            finally:
                self.outbuf_lock.release()
            if flushed and self.linger and self.connected:
                self._start_lingering()
            elif flushed:
                self.will_close = True
        if self.will_close:
            self.handle_close()
        elif self._deferred and not self.total_outbufs_len:
            self._deferred = False
            self.server.add_task(self)

    def handle_close(self) -> None:
        super().handle_close()
        request, self.request = self.request, None
        if request is not None:
            request.close()

    def _start_lingering(self) -> None:
        """Say that nothing more comes, and let the sender read why; closing at once would take it the answer."""
        self.close_when_flushed = False
        self._lingering = time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True

    def received(self, data: bytes) -> bool:
        with self.requests_lock:
            if self.will_close or self.close_when_flushed or not data:
                return False
            while data:
                if len(self.requests) >= PIPELINED:
                    self._left = data
                    break
                if self.request is None:
                    self.request = RequestParser(self.adj)
                request = self.request
                taken = request.received(data)
                if request.expect_continue and request.headers_finished and not self.sent_continue:
                    if self.requests:
                        self._left = data[taken:]
                        break
                    self.send_continue()
                if request.completed:
                    self.sent_continue = False
                    self.request = None
                    if not request.empty:
                        self.requests.append(request)
                        if len(self.requests) == 1:
                            self.server.add_task(self)
                    if request.error is not None:
                        break
                data = data[taken:]
        return True

    def send(self, data: bytes, do_close: bool = True) -> int:  # noqa: FBT002 - waitress's signature
        # NOTE: a worker may not close: it would take the descriptor from under the thread of all connections.
        return int(super().send(data, do_close=False))

    def write_soon(self, data: Any) -> int:
        """Send what the kernel takes at once, and keep the rest for the loop. Never waits for the reader (W1)."""
        if not self.connected:
            raise ClientDisconnected
        if not data:
            return 0
        with self.outbuf_lock:
            if not self.connected:
                raise ClientDisconnected
            if isinstance(data, ReadOnlyFileBasedBuffer):
                self.outbufs += [data, self._buffer()]
            else:
                self.outbufs[-1].append(data)
            size = len(data)
            self.total_outbufs_len += size
            self._flush_exception(self._flush_some, do_close=False)
            waiting = self.total_outbufs_len or self.will_close
        if waiting:
            self.server.loop.touch(self)
            self.server.loop.wake()
        return size

    def _flush_outbufs_below_high_watermark(self) -> None:
        """No thread waits for a reader; waitress has this one wait."""

    def service(self) -> None:
        self.current_outbuf_count = 0
        super().service()
        self.server.loop.touch(self)
        self.server.loop.wake()

    def cancel(self) -> None:
        super().cancel()
        self.server.loop.touch(self)

    def add_channel(self, map: Any = None) -> None:
        super().add_channel(map)
        self.server.loop.touch(self)

    def del_channel(self, map: Any = None) -> None:
        if self._fileno is not None:
            self.server.loop.forget(self._fileno)
            self.server.gone(self)
        super().del_channel(map)

    def _buffer(self) -> Spool:
        return Spool(self.adj.outbuf_overflow, self.adj.spool)
