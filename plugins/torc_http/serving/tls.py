"""A front that speaks TLS and passes the bytes on; who comes through it has no identity of the kernel (S11)."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal

from torc_http.serving.certificate import Certificate
from torc_http.serving.identity import Peer
from torc_http.serving.kernel import plain
from torc_http.serving.listening import give_up_when_lost, shut

log = logging.getLogger(__name__)

HANDSHAKE = 10.0
"""Seconds that a handshake may take."""

PIECE = 65_536
MOST = 4_000
PER_ADDRESS = 256
SWEEP = 1.0

LOST = 30.0
"""Seconds for which a client takes nothing that is gone without a word."""

NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

State = Literal["shaking", "open"]


class TlsFront:
    """One thread for all encrypted connections: each has a socket pair, whose other end the service adopts.

    Parameters
    ----------
    adopt
        `HttpService.adopt`.
    sockets
        TCP sockets that listen; they belong to the front from now on.
    """

    def __init__(
        self, adopt: Callable[[socket.socket, Peer], None], sockets: Sequence[socket.socket], by: Certificate
    ) -> None:
        self._adopt = adopt
        self._sockets = list(sockets)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(by.certificate, by.key)
        self._context.set_alpn_protocols(["http/1.1"])
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._pipes: set[Pipe] = set()
        self._resting: list[socket.socket] = []
        """Those of which nobody is accepted for a moment, since no descriptor is left."""
        self._thread = threading.Thread(target=self._run, name="torc-https", daemon=True)

    @property
    def connections(self) -> int:
        return len(self._pipes)

    def start(self) -> None:
        """Accept, in the background."""
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        for one in self._sockets:
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ, one)
        self._thread.start()

    def stop_listening(self) -> None:
        """Accept nobody any more; what is open goes on until the service has closed its ends."""
        self._wake_out.send(b"x")

    def close(self) -> None:
        """End it, after the service has ended."""
        self._wake_out.close()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._wake_in.close()

    def _run(self) -> None:
        due = time.monotonic() + SWEEP
        ended = False
        try:
            while not ended:
                for key, mask in self._selector.select(max(0.0, due - time.monotonic())):
                    if key.data is None:
                        ended = not self._wake_in.recv(16)
                        self._shut()
                    elif isinstance(key.data, Pipe):
                        key.data.go_on(key.fd, mask)
                    else:
                        self._accept(key.data)
                if time.monotonic() >= due:
                    due = time.monotonic() + SWEEP
                    for pipe in list(self._pipes):
                        pipe.look(time.monotonic())
                    while self._resting:
                        one = self._resting.pop()
                        self._selector.register(one, selectors.EVENT_READ, one)
        finally:
            self._shut()
            for pipe in list(self._pipes):
                pipe.end()
            self._selector.close()

    def _shut(self) -> None:
        for one in self._sockets:
            if one not in self._resting:
                self._selector.unregister(one)
            shut(one)
        self._sockets.clear()
        self._resting.clear()

    def _accept(self, listener: socket.socket) -> None:
        try:
            raw, name = listener.accept()
        except OSError as error:
            if error.errno in NO_DESCRIPTOR:
                log.warning("no connection can be accepted why=%s", error.strerror)
                self._selector.unregister(listener)
                self._resting.append(listener)
            return
        address = str(plain(name[0]))
        if len(self._pipes) >= MOST or sum(one.address == address for one in self._pipes) >= PER_ADDRESS:
            raw.close()
            return
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            give_up_when_lost(raw, LOST)
            raw.setblocking(False)
            outer = self._context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        except OSError:
            raw.close()
            return
        peer = Peer(kind="tls", address=address, port=name[1], why="proxied")
        pipe = Pipe(outer, peer, self._adopt, self._selector, self._pipes)
        self._pipes.add(pipe)
        pipe.go_on(outer.fileno(), 0)


class Pipe:
    """One encrypted connection and its plain twin; at most one piece waits in each direction."""

    def __init__(
        self,
        outer: ssl.SSLSocket,
        peer: Peer,
        adopt: Callable[[socket.socket, Peer], None],
        selector: selectors.BaseSelector,
        pipes: set[Pipe],
    ) -> None:
        self.address = peer.address
        self._outer = outer
        self._inner: socket.socket | None = None
        self._peer = peer
        self._adopt = adopt
        self._selector = selector
        self._pipes = pipes
        self._since = time.monotonic()
        self._inward = b""
        self._outward = b""
        self._finished = False
        """Whether the service has said all it will."""
        self._wants_write = False

    def look(self, now: float) -> None:
        """End it if its handshake takes too long; the service itself ends what is too slow later."""
        if self._inner is None and now - self._since > HANDSHAKE:
            self.end()

    def go_on(self, fd: int, mask: int) -> None:
        """Something can be read or written."""
        try:
            if self._inner is None:
                self._outer.do_handshake()
                self._open()
            self._wants_write = False
            while self._move():
                pass
        except ssl.SSLWantReadError:
            self._wants_write = False
        except ssl.SSLWantWriteError:
            self._wants_write = True
        except OSError as error:
            log.debug("encrypted connection ended address=%s why=%s", self.address, error)
            self.end()
            return
        if self._finished and not self._outward:
            try:
                self._outer.unwrap()  # says that this is the end; nobody waits for the reply
            except (OSError, ValueError):
                pass
            self.end()
            return
        self._wait()

    def end(self) -> None:
        """Close both sides."""
        for one in (self._outer, self._inner):
            if one is not None and one.fileno() >= 0:
                try:
                    self._selector.unregister(one)
                except KeyError:
                    pass  # it waited for nothing
                one.close()
        self._pipes.discard(self)

    def _open(self) -> None:
        inner, far = socket.socketpair()
        inner.setblocking(False)
        self._inner = inner
        self._adopt(far, self._peer)

    def _move(self) -> bool:
        """Move one piece each way; whether anything moved."""
        assert self._inner
        moved = False
        if not self._outward and not self._finished:
            try:
                self._outward = self._inner.recv(PIECE)
                self._finished = not self._outward
            except BlockingIOError:
                pass
        if self._outward:
            try:
                sent = self._outer.send(self._outward)
                self._outward = self._outward[sent:]
                moved = True
            except ssl.SSLWantWriteError:
                self._wants_write = True
            except ssl.SSLWantReadError:
                pass
        if not self._inward:
            try:
                self._inward = self._outer.recv(PIECE)
                if not self._inward:
                    raise ConnectionResetError("the client hung up")
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                self._wants_write = True
        if self._inward:
            try:
                sent = self._inner.send(self._inward)
                self._inward = self._inward[sent:]
                moved = True
            except BlockingIOError:
                pass
            except BrokenPipeError:
                self._inward = b""  # the service reads no more; its answer is still on the way
        return moved

    def _wait(self) -> None:
        outer = 0 if self._inward else selectors.EVENT_READ
        if self._wants_write or self._outward:
            outer |= selectors.EVENT_WRITE
        self._watch(self._outer, outer)
        if self._inner is not None:
            inner = 0 if self._outward or self._finished else selectors.EVENT_READ
            if self._inward:
                inner |= selectors.EVENT_WRITE
            self._watch(self._inner, inner)

    def _watch(self, one: socket.socket, mask: int) -> None:
        known = self._selector.get_map().get(one.fileno())
        if not mask:
            if known:
                self._selector.unregister(one)
        elif not known:
            self._selector.register(one, mask, self)
        elif known.events != mask:
            self._selector.modify(one, mask, self)
