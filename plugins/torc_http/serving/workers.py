"""The threads in which the application runs; they are started when they are needed and share one queue."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Task(Protocol):
    """Something to be done by a worker: a connection with a request, mostly."""

    def service(self) -> None: ...

    def cancel(self) -> None: ...


class Call:
    """A function as a task."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.service = function

    def cancel(self) -> None:
        """Nobody waits for it."""


class Workers:
    """At most `count` threads; they are daemons, since no request may keep a process alive.

    At most a quarter of them work on tasks that *yield*, which are begun only when no other waits: a herd of runners
    whose turns are written one after the other anyway would else keep everybody who only wants to look waiting. Some at
    once there have to be: what they write shares its commits.
    """

    def __init__(self, count: int, name: str = "torc-http") -> None:
        self.count = count
        self._name = name
        self._queue: deque[Task] = deque()
        self._yielding: deque[Task] = deque()
        self._most_yielding = max(1, count // 4)
        self._busy_yielding = 0
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closing = False
        self._since: dict[int, float] = {}
        self._told: dict[int, float] = {}

    @property
    def busy(self) -> int:
        """How many threads work at this moment."""
        return len(self._threads) - self._idle

    @property
    def waiting(self) -> int:
        """How many tasks no thread has taken yet."""
        return len(self._queue) + len(self._yielding)

    def add_task(self, task: Task, *, yields: bool = False) -> None:
        """Have it done; after `shutdown` it is canceled."""
        with self._changed:
            refused = self._closing
            if not refused:
                (self._yielding if yields else self._queue).append(task)
                possible = min(len(self._yielding), self._most_yielding - self._busy_yielding)
                if yields and possible < len(self._yielding):
                    pass  # whoever is done with such a task takes the next
                elif self._idle >= len(self._queue) + possible:
                    self._changed.notify()
                elif len(self._threads) < self.count:
                    self._start()
        if refused:
            task.cancel()

    def run(self, function: Callable[[], None]) -> None:
        """Call a function in one of the threads."""
        self.add_task(Call(function))

    def shutdown(self, timeout: float) -> bool:
        """Take no more; true when all that was begun has ended in time."""
        until = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            while self._threads and time.monotonic() < until:
                self._changed.wait(max(0.0, until - time.monotonic()))
            left = [*self._queue, *self._yielding]
            self._queue.clear()
            self._yielding.clear()
            done = not self._threads
        for task in left:
            task.cancel()
        return done

    def tell_of_long_ones(self, longer: float) -> None:
        """Write the stack of every thread that has worked for so long on one task to the log, once (W5)."""
        now = time.monotonic()
        late = {
            ident: since
            for ident, since in list(self._since.items())
            if now - since > longer and self._told.get(ident) != since
        }
        if not late:
            return
        frames = sys._current_frames()  # noqa: SLF001 - the documented way to see what other threads do
        for ident, since in late.items():
            self._told[ident] = since
            stack = "".join(traceback.format_stack(frames.get(ident)))
            log.warning("request runs long seconds=%d thread=%d stack=\n%s", now - since, ident, stack)

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, name=f"{self._name}-{len(self._threads) + 1}", daemon=True
        )
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:
            # NOTE: the host has no room for another thread. Those that are there do it; for the next task one is tried again.
            self._threads.discard(thread)
            log.warning("no thread can be started threads=%d why=%s", len(self._threads), error)

    def _work(self) -> None:
        me = threading.get_ident()
        while found := self._next():
            task, yields = found
            self._since[me] = time.monotonic()
            try:
                task.service()
            except Exception:
                # A task that fails must not end the thread; the channel has answered 500 already if it could.
                log.exception("task failed task=%r", task)
            finally:
                del self._since[me]
                if yields:
                    with self._changed:
                        self._busy_yielding -= 1
        with self._changed:
            self._threads.discard(threading.current_thread())
            self._changed.notify_all()

    def _next(self) -> tuple[Task, bool] | None:
        """A task, and whether it is one that yields; None: there will be no more."""
        with self._changed:
            while not self._queue:
                if self._yielding and self._busy_yielding < self._most_yielding:
                    self._busy_yielding += 1
                    return self._yielding.popleft(), True
                if self._closing:
                    return None
                self._idle += 1
                try:
                    self._changed.wait()
                finally:
                    self._idle -= 1
            if self._yielding and self._busy_yielding < self._most_yielding:
                self._changed.notify()  # this one goes another way
            return self._queue.popleft(), False
