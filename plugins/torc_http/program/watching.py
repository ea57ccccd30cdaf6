"""What makes a server stop: a signal, the end of its input, nothing left to do."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from torc_core.errors import Unavailable
from torc_core.model import JobStatus, Query, Totals, Workflow
from torc_core.protocols import Store
from torc_http.program.backups import Backups, seconds_of

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two looks whether something is left to do, and the database still ours."""


class Stopping:
    """Waits for a reason to stop.

    Parameters
    ----------
    idle
        How long without unfinished workflows; None: never for that.
    stdin_eof
        Stop when standard input ends.

    Raises
    ------
    UsageError
        If `idle` is no duration.
    """

    def __init__(self, idle: str | None, *, stdin_eof: bool) -> None:
        self._idle = None if idle is None else seconds_of(idle, "--idle-exit", least=0)
        self._stdin_eof = stdin_eof
        self._over = threading.Event()
        self._copy = threading.Event()
        self._stacks = threading.Event()
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals are heard in the block: before anybody is told that there is a process to send them to."""
        before = {
            number: signal.signal(number, self._heard)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
        }
        # NOTE: a signal that comes just before the `select` would be heard after it, and a flag alone would not end it.
        woken = signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self, store: Store, backups: Backups, asked: Callable[[], bool]) -> None:
        """Return when there is a reason; SIGUSR1 has a backup made meanwhile, SIGUSR2 writes stacks to the log.

        Parameters
        ----------
        asked
            Whether a request is under way: who knows what it begins.

        Raises
        ------
        Unavailable
            If another process has taken the database over (`promises.md` P1).
        """
        quiet_since = time.monotonic()
        while not self._over.is_set():
            if self._copy.is_set():
                self._copy.clear()
                backups.now()
            if self._stacks.is_set():
                self._stacks.clear()
                log_stacks()
            self._sleep()
            if getattr(store, "is_lost", False):
                raise Unavailable(
                    "another process has taken the database over, so that this server ends; ask the other one"
                )
            if self._idle is not None:
                if asked() or _busy(store):
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since >= self._idle:
                    self.say("idle: no workflow is unfinished")
                    return

    def say(self, text: str) -> None:
        """Write it to the log."""
        log.info("%s", text)

    def _sleep(self) -> None:
        watched = [self._wake_in, *([sys.stdin.fileno()] if self._stdin_eof else [])]
        ready, _, _ = select.select(watched, [], [], LOOK)
        if self._wake_in in ready:
            os.read(self._wake_in, 64)
        elif ready and not os.read(ready[0], 65_536):
            self._over.set()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        wanted = {signal.SIGUSR1: self._copy, signal.SIGUSR2: self._stacks}
        wanted.get(signal.Signals(number), self._over).set()


def log_stacks() -> None:
    """Write what every thread is doing to the log, one line each (`promises.md` W5)."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way to see what other threads do
        stack = "".join(traceback.format_stack(frame))
        log.warning("stack thread=%s stack=\n%s", names.get(ident, ident), stack)


def _busy(store: Store) -> bool:
    """Whether a workflow is under way, as far as one can see."""
    try:
        found = store.find(Workflow, Query(where={"is_archived": False, "is_canceled": False})).items
        return any(_unfinished(one) for one in store.totals([workflow.id for workflow in found]))
    except Unavailable as error:
        log.warning("not known whether a workflow is under way why=%s", error)
        return True


def _unfinished(totals: Totals) -> bool:
    waiting = totals.total - totals.counts.get(JobStatus.UNINITIALIZED, 0)
    return bool(waiting) and not totals.complete
