"""A service: one application, several listening sockets, one pool of threads, a start and an orderly end."""

from __future__ import annotations

import errno
import logging
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from waitress import wasyncore

from torc_http.serving.channel import Channel
from torc_http.serving.handover import Handover
from torc_http.serving.identity import Identity, Peer
from torc_http.serving.listening import shut
from torc_http.serving.loop import Loop
from torc_http.serving.parser import Rules
from torc_http.serving.refusals import whole_answer
from torc_http.serving.settings import Application, ServingSettings
from torc_http.serving.spool import SpoolFolder
from torc_http.serving.workers import Workers

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Connections that are accepted in one turn, so that a herd does not keep others waiting."""

SPARE = 256
"""Descriptors that the rest of the process keeps."""

PAUSE = 0.5
"""Seconds without accepting when no descriptor is left."""

GRACE = 10.0


def raise_open_files() -> int:
    """Allow this process as many descriptors as it may have; for a server, before it starts anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:
            log.warning("open files stay limited limit=%d why=%s", soft, error)
    if 0 <= soft < 8_192:
        log.warning("few files may be open at once limit=%d; raise it with 'ulimit -n 8192'", soft)
    return soft


class HttpService:
    """Serves an application on sockets that listen already, in threads of its own.

    Parameters
    ----------
    sockets
        TCP and Unix sockets, mixed; they belong to the service from now on.
    """

    def __init__(
        self,
        application: Application,
        sockets: Sequence[socket.socket],
        settings: ServingSettings | None = None,
    ) -> None:
        self.settings = settings or ServingSettings()
        self.application = application
        self.counts: Counter[str] = Counter()
        """`accepted`; `refused` by the bound per peer; `full`, when nobody more was let in for a moment; `failed`, for
        bugs of the application; and what was cut: `idle`, `slow head`, `slow body`, `unread`.
        """
        self.closing = False
        self._sockets = list(sockets)
        self._room = _room_for_connections(self.settings.connections)
        self._identity = Identity()
        self._spool = SpoolFolder(self.settings.spool_in)
        self._rules = Rules(self.settings, application.limit_of, self._spool)
        self.workers = Workers(self.settings.threads)
        self.handover = Handover(
            self.settings, self.workers, min(self.settings.held, max(32, self._room // 4))
        )
        self.loop = Loop(self._sweep)
        self.channels: set[Channel] = set()
        self._of_peer: Counter[tuple[str, object]] = Counter()
        self._doors: list[Door] = []
        self._inner = Door(self, None)

    @property
    def peer_identity(self) -> str:
        """`sock_diag`, `procfs` or `unix socket only`, for the start line (K8)."""
        return self._identity.method

    @property
    def connections(self) -> int:
        """How many are open, those handed over aside."""
        return len(self.channels)

    @property
    def in_flight(self) -> bool:
        """Whether a request is being received or answered, those handed over aside."""
        # NOTE: the set changes under our eyes; a channel that we miss this time is seen the next time.
        return any(one.in_flight for one in self.channels.copy())

    def start(self) -> None:
        """Serve, in the background."""
        self._doors = [Door(self, one) for one in self._sockets]
        self.loop.start("torc-http")

    def adopt(self, connection: socket.socket, peer: Peer) -> None:
        """Serve a connection that somebody else accepted: the TLS front."""
        if self.closing:
            connection.close()
        else:
            self.loop.call(lambda: self._inner.welcome(connection, peer))

    def close(self, grace: float = GRACE) -> bool:
        """Stop listening, let requests in flight end, then stop; true when all of them did.

        What is held is answered as at its deadline, streams end, connections without a request are closed at once.
        """
        if self.closing:
            return True
        until = time.monotonic() + grace
        self.closing = True
        if self._doors:
            self._call_and_wait(self._shut_doors)
        else:
            for one in self._sockets:
                shut(one)
        self.handover.release_all()
        done = self._drained(until)
        done &= self.workers.shutdown(max(0.0, until - time.monotonic()))
        self.handover.close()
        self.loop.stop(5.0)
        self._identity.close()
        self._spool.remove()
        return done

    # What follows is for doors and channels, in the thread of all connections.

    def admit(
        self, connection: socket.socket, peer: Peer | None = None
    ) -> tuple[Peer, tuple[str, object]] | None:
        """Who it is; None when this peer has too many connections, which it was told."""
        peer = peer or self._identity.of(connection)
        key, most = self._bound_of(peer)
        if self._of_peer[key] >= most:
            self.counts["refused"] += 1
            told = whole_answer(503, f"more than {most} connections from here", Retry_After="1")
            try:
                connection.setblocking(False)
                connection.send(told)
            except OSError:
                pass  # it is gone already
            connection.close()
            return None
        return peer, key

    def entered(self, channel: Channel) -> None:
        """A connection began."""
        self.channels.add(channel)
        self.counts["accepted"] += 1
        self._of_peer[channel.key] += 1

    def is_full(self) -> bool:
        return len(self.channels) >= self._room

    def gone(self, channel: Channel) -> None:
        """A connection ended."""
        if channel in self.channels:
            self.channels.discard(channel)
            self._of_peer[channel.key] -= 1
            if self._of_peer[channel.key] <= 0:
                del self._of_peer[channel.key]
            if len(self.channels) == self._room - 1:
                for door in self._doors:
                    self.loop.touch(door)

    def _bound_of(self, peer: Peer) -> tuple[tuple[str, object], int]:
        if peer.uid is not None:
            return ("user", peer.uid), self.settings.connections
        if peer.other_uid is not None:
            return ("user", peer.other_uid), self.settings.connections_per_peer
        return ("address", peer.address or peer.kind), self.settings.connections_per_peer

    def _sweep(self, now: float) -> None:
        for channel in list(self.channels):
            if why := channel.overdue(now):
                self.counts[why] += 1
                log.debug("connection cut why=%s peer=%s", why, channel.peer.address)
                channel.give_up()
            elif self.closing:
                channel.finish()
        for door in self._doors:
            self.loop.touch(door)
        self.workers.tell_of_long_ones(self.settings.long_request)

    def _shut_doors(self) -> None:
        for door in self._doors:
            door.shut()
        for channel in list(self.channels):
            channel.finish()

    def _drained(self, until: float) -> bool:
        """Wait until nothing is in flight."""
        while time.monotonic() < until:
            if not self.handover.held and not self.in_flight:
                return True
            time.sleep(0.02)
        return False

    def _call_and_wait(self, function: Callable[[], None]) -> None:
        done = threading.Event()

        def and_tell() -> None:
            function()
            done.set()

        self.loop.call(and_tell)
        done.wait(5)


class Door(wasyncore.dispatcher):
    """A listening socket; or none, for connections that come another way. To channels it is waitress's server."""

    socket: Any

    def __init__(self, service: HttpService, listener: socket.socket | None) -> None:
        self.service = service
        self.loop = service.loop
        self.settings = service.settings
        self.handover = service.handover
        self.application = service.application.call
        self.adj = service._rules  # noqa: SLF001 - two halves of one thing
        self.server_name = "torc.invalid"
        self.effective_port: int | str = 0
        self.active_channels: dict[int, Channel] = {}
        self._paused_until = 0.0
        super().__init__(listener, service.loop.map)
        if listener is not None:
            self.accepting = True
            if listener.family != socket.AF_UNIX:
                self.effective_port = listener.getsockname()[1]
            self.loop.touch(self)

    @property
    def closing(self) -> bool:
        return self.service.closing

    def add_task(self, channel: Any) -> None:
        if channel.next_request():
            request = channel.requests[0]
            yields = self.service.application.yields(request.command, request.path)
            self.service.workers.add_task(channel, yields=yields)
        else:
            self.loop.touch(channel)
            self.loop.wake()

    def pull_trigger(self) -> None:
        self.loop.wake()

    def gone(self, channel: Channel) -> None:
        self.service.gone(channel)

    def readable(self) -> bool:
        return self.accepting and not self.service.is_full() and time.monotonic() >= self._paused_until

    def writable(self) -> bool:
        return False

    def handle_accept(self) -> None:
        for _ in range(AT_ONCE):
            if self.service.is_full():
                self.service.counts["full"] += 1
                return
            try:
                accepted = self.accept()
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    self._paused_until = time.monotonic() + PAUSE
                    log.warning("no connection can be accepted why=%s", error.strerror)
                return
            if accepted is None:
                return
            self.welcome(accepted[0], None)

    def welcome(self, connection: socket.socket, peer: Peer | None) -> None:
        """Make a channel of a connection."""
        admitted = self.service.admit(connection, peer)
        if admitted is None:
            return
        try:
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = Channel(self, connection, *admitted, self.adj)
        except OSError:
            connection.close()  # its peer was faster
            return
        self.service.entered(channel)

    def shut(self) -> None:
        """Accept nobody any more."""
        listener = self.socket
        self.loop.forget(listener.fileno())
        self.accepting = False
        self.del_channel()
        self.socket = None
        shut(listener)

    def close(self) -> None:
        if self.socket is not None:
            self.shut()

    def handle_close(self) -> None:
        self.close()


def _room_for_connections(wanted: int) -> int:
    """Connections may not take the descriptors that the rest of the process needs, jobs and databases among them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(64, (soft - SPARE) * 3 // 4))
