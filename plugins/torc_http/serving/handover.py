"""Requests that wait and event streams: one thread has all their connections, and no worker waits (`wire.md` §7.3)."""

from __future__ import annotations

import heapq
import logging
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from torc_http.serving.handed import Handed, Held, Stream, head_of
from torc_http.serving.listening import give_up_when_lost
from torc_http.serving.settings import Headers, ServingSettings

if TYPE_CHECKING:
    from torc_http.serving.workers import Workers

log = logging.getLogger(__name__)

SWEEP = 1.0

KERNEL_BUFFER = 65_536
"""Bytes of a stream that the kernel may keep; it takes twice as many."""


class Hold:
    """What a request finds as `environ["torc.hold"]`: the way to answer later, or for ever.

    After one of the two methods has returned something, the answer that the application gives now is not sent.
    """

    def __init__(self, handover: Handover, channel: Any, request: Any, request_id: str) -> None:
        self._handover = handover
        self._channel = channel
        self._request = request
        self._request_id = request_id
        self._given: Handed | None = None

    @property
    def taken(self) -> bool:
        return self._given is not None

    def later(
        self,
        *,
        seconds: float,
        on_deadline: Callable[[Held], None],
        on_gone: Callable[[Held], None] | None = None,
    ) -> Held | None:
        """Answer later, from any thread, by `answer` of what is returned; None when too many wait already.

        Parameters
        ----------
        seconds
            After so long, or when the service stops, `on_deadline` is called in a worker; it has to answer.
        on_gone
            Called in a worker when the client has hung up before an answer.
        """
        held = Held(self._handover, self._request_id, self._request.command == "HEAD", on_deadline, on_gone)
        if not self._handover.room_for_held(held):
            return None
        self._hand_over(held)
        self._handover.expect(held, seconds)
        return held

    def stream(
        self,
        headers: Headers = (),
        *,
        user: str = "",
        on_gone: Callable[[Stream], None] | None = None,
    ) -> Stream | None:
        """Send events from now on, from any thread; None when there are too many streams, in all or of this user.

        Parameters
        ----------
        headers
            Further ones; type, caching and `Connection` are set.
        user
            By whom streams are counted.
        on_gone
            Called in a worker when the client has hung up or was cut.
        """
        stream = Stream(self._handover, user, on_gone)
        if not self._handover.room_for_stream(stream):
            return None
        self._hand_over(stream)
        # NOTE: what the kernel keeps for a reader is not seen here; unbounded it would be megabytes for each.
        self._channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        settings = self._handover.settings
        # NOTE: later than one is cut who takes nothing but is there, so that this one is counted as what it is.
        give_up_when_lost(self._channel.socket, settings.stream_stall + settings.keep_alive)
        fixed = (("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-store"))
        stream.send(head_of(200, (*fixed, *headers), self._request_id))
        return stream

    def withdraw(self) -> bool:
        """The application failed after all: true when its error can still be sent in place of the answer."""
        given = self._given
        if given is not None and not given.abandon():
            return False
        self._given = None
        return True

    def _hand_over(self, handed: Handed) -> None:
        try:
            if self._given is not None:
                raise RuntimeError("a request is handed over once")
            handed.take(self._channel.socket.dup(), self._channel.leftover())
            self._handover.adopt(handed)
        except BaseException:
            self._handover.forget(handed)
            raise
        self._given = handed


class Handover:
    """The thread of all connections that were handed over; it starts with the first of them."""

    def __init__(self, settings: ServingSettings, workers: Workers, held: int | None = None) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        """How things ended: `answered`, `deadline`, `gone`, `overflow`, `stalled`, `closed`."""
        self._workers = workers
        self._most_held = settings.held if held is None else held
        self._lock = threading.Lock()
        self._held: set[Held] = set()
        self._streams: set[Stream] = set()
        self._deadlines: list[tuple[float, int, Held]] = []
        self._numbers = count()
        self._calls: deque[Callable[[], None]] = deque()
        self._selector: selectors.BaseSelector | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._woken = False
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._closed = False

    @property
    def held(self) -> int:
        """How many requests wait for their answer."""
        return len(self._held)

    @property
    def streams(self) -> int:
        """How many event streams are open."""
        return len(self._streams)

    def streams_of(self, user: str) -> int:
        """How many of them are of one user."""
        with self._lock:
            return sum(one.user == user for one in self._streams)

    def release_all(self) -> None:
        """The service stops: what waits is answered as at its deadline, streams end."""
        with self._lock:
            held, streams = list(self._held), list(self._streams)
            self._most_held = 0
        for one in held:
            self._workers.run(one.fall_due)
        for stream in streams:
            stream.close()

    def close(self) -> None:
        """End the thread, and every connection with it."""
        self._stopping = True
        if self._thread:
            self.wake()
            self._thread.join(5)
        else:
            self._close()

    # What follows is for `Hold` and what it hands out.

    def room_for_held(self, held: Held) -> bool:
        """Count one more, if there is room."""
        with self._lock:
            if self._stopping or len(self._held) >= self._most_held:
                return False
            self._held.add(held)
            return True

    def room_for_stream(self, stream: Stream) -> bool:
        """Count one more, if there is room."""
        with self._lock:
            mine = sum(one.user == stream.user for one in self._streams)
            if self._stopping or len(self._streams) >= self.settings.streams:
                return False
            if mine >= self.settings.streams_per_user:
                return False
            self._streams.add(stream)
            return True

    def forget(self, handed: Handed) -> None:
        """It is over: count one less."""
        with self._lock:
            self._held.discard(handed)
            self._streams.discard(handed)

    def adopt(self, handed: Handed) -> None:
        """Look after its connection."""
        with self._lock:
            if self._thread is None and not self._stopping:
                if self._selector is None:
                    self._selector = selectors.DefaultSelector()
                    self._selector.register(self._wake_in, selectors.EVENT_READ, None)
                thread = threading.Thread(target=self._run, name="torc-http-held", daemon=True)
                thread.start()
                self._thread = thread
        self.call(lambda: self.watch(handed))

    def expect(self, held: Held, seconds: float) -> None:
        """Call it due after so long."""
        entry = (time.monotonic() + seconds, next(self._numbers), held)
        self.call(lambda: heapq.heappush(self._deadlines, entry))

    def call(self, function: Callable[[], None]) -> None:
        """Have a function called in the thread."""
        self._calls.append(function)
        self.wake()

    def run_by_worker(self, function: Callable[[], None]) -> None:
        """Have a function called by a worker, since it may take its time."""
        self._workers.run(function)

    def wake(self) -> None:
        if self._woken:
            return
        with self._lock:
            if not self._closed:
                self._woken = True
                try:
                    self._wake_out.send(b"x")
                except BlockingIOError:
                    pass

    def watch(self, handed: Handed) -> None:
        """See to it that the kernel tells what this connection waits for now. In the thread only."""
        assert self._selector
        fileno = handed.fileno()
        if fileno < 0:
            return
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if handed.unsent else 0)
        known = self._selector.get_map().get(fileno)
        if known is None:
            self._selector.register(fileno, mask, handed)
        elif known.events != mask:
            self._selector.modify(fileno, mask, handed)

    def unwatch(self, fileno: int) -> None:
        """A descriptor is about to be closed. In the thread only."""
        assert self._selector
        try:
            self._selector.unregister(fileno)
        except KeyError:
            pass  # it was closed before it was watched

    def _run(self) -> None:
        assert self._selector
        due = time.monotonic() + SWEEP
        try:
            while not self._stopping:
                until = min(due, self._deadlines[0][0]) if self._deadlines else due
                for key, mask in self._selector.select(max(0.0, until - time.monotonic())):
                    if key.data is None:
                        self._drain()
                    else:
                        self._safely(partial(self._serve, key.data, mask))
                while self._calls:
                    self._safely(self._calls.popleft())
                now = time.monotonic()
                while self._deadlines and self._deadlines[0][0] <= now:
                    _, _, held = heapq.heappop(self._deadlines)
                    if held.waits:
                        self._workers.run(held.fall_due)
                if now >= due:
                    due = now + SWEEP
                    self._safely(partial(self._sweep, now))
        except Exception:
            # A bug here would leave runners without answers: say so as loudly as possible.
            log.critical("the thread of held requests has ended", exc_info=True)
            raise
        finally:
            self._close()

    @staticmethod
    def _safely(function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            # This thread has everybody who waits: it goes on, and the log says what did not happen.
            log.exception("a call in the thread of held requests failed")

    def _serve(self, handed: Handed, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            handed.write()
        if mask & selectors.EVENT_READ:
            handed.read()
        self.watch(handed)

    def _sweep(self, now: float) -> None:
        with self._lock:
            every: list[Handed] = [*self._streams]
        assert self._selector
        every += [key.data for key in self._selector.get_map().values() if isinstance(key.data, Held)]
        for one in every:
            one.look(now)
            self.watch(one)
        # Most deadlines are of requests that were answered long before.
        if len(self._deadlines) > 2 * self.held + 64:
            self._deadlines = [entry for entry in self._deadlines if entry[2].waits]
            heapq.heapify(self._deadlines)

    def _drain(self) -> None:
        try:
            while self._wake_in.recv(4096):
                pass
        except BlockingIOError:
            pass
        self._woken = False  # after reading, as in `Loop`

    def _close(self) -> None:
        while self._calls:
            self._safely(self._calls.popleft())
        if self._selector:
            for key in list(self._selector.get_map().values()):
                if key.data is not None:
                    key.data.end("closed")
        with self._lock:
            self._closed = True
            if self._selector:
                self._selector.close()
            self._wake_in.close()
            self._wake_out.close()
