"""What a server does by itself: time passes in the store, and long verbs are carried out (`engine.md` §12, §15.3)."""

from __future__ import annotations

import logging
import threading
from collections import deque

from torc_core.errors import TorcError, Unavailable
from torc_core.model import OperationId
from torc_core.protocols import Clock, Store
from torc_core.record import record

log = logging.getLogger(__name__)


@record(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long events and audit records are kept.

    Parameters
    ----------
    days, job_events
        Events for so many days, and so many of jobs in each workflow; 0: all.
    audit_days
        Audit records for so many days (`security.md` §11); 0: all.
    pause
        Seconds between two looks for those that go.
    """

    days: int = 0
    job_events: int = 0
    audit_days: int = 365
    pause: float = 30.0


STEP = 2.0
"""Seconds by which the clock of this host has to be off suddenly to have been set, rather than adjusted."""

ABSENT = 10.0
"""Seconds by which a sweep has to be late for the server to have been away: stopped, or its host asleep."""

PAUSE = 2.0
"""Seconds after which an operation is tried again that the store could not carry out."""

USUAL = Keeping()
ALL = Keeping(audit_days=0)


class Sweeper:
    """Lets time pass in the store: every so many seconds, and when a delayed retry is due.

    Leases are instants of this host's clock. When that was set, or when nobody could be heard because this process was
    stopped, all of them begin anew, so that no runner is taken for lost who is not (`promises.md` F18).

    Parameters
    ----------
    seconds
        Between two sweeps.
    keeping
        What is kept, and how often it is looked for the rest.
    """

    def __init__(self, store: Store, clock: Clock, seconds: float, keeping: Keeping = USUAL) -> None:
        self._store = store
        self._keeping = keeping
        self._kept_at: float | None = None
        self._offset: float | None = None
        self._next: float | None = None
        self._wrong = False
        self._clock = clock
        self._seconds = seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="torc-sweep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after the sweep that is under way."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            pause = self._sweep()
            self._next = self._clock.monotonic() + pause
            self._closed.wait(pause)

    def _renew_if_wrong(self) -> None:
        """Have all leases begin anew if the time they are measured in has jumped, or this process was away."""
        now = self._clock.monotonic()
        offset = self._clock.now() / 1000 - now
        step = 0.0 if self._offset is None else offset - self._offset
        absent = 0.0 if self._next is None else now - self._next
        self._offset = offset
        if abs(step) > STEP:
            log.warning("clock was set seconds=%+.0f; all leases begin anew", step)
        elif absent > ABSENT:
            log.warning("server was away seconds=%.0f; all leases begin anew", absent)
        self._wrong = self._wrong or abs(step) > STEP or absent > ABSENT
        if self._wrong:
            self._store.renew_leases()
            self._wrong = False

    def _sweep(self) -> float:
        """Sweep once; seconds until the next time."""
        try:
            self._renew_if_wrong()
            keep = self._keeping if self._is_time() else ALL
            due = self._store.sweep(
                keep_days=keep.days, keep_job_events=keep.job_events, keep_audit_days=keep.audit_days
            )
        except TorcError as error:
            log.warning("sweep failed why=%s", error)
            return self._seconds
        except Exception:
            # A bug here must not end all sweeps to come.
            log.exception("sweep failed")
            return self._seconds
        if due is None:
            return self._seconds
        return min(self._seconds, max(0.05, (due - self._clock.now()) / 1000))

    def _is_time(self) -> bool:
        """Whether it is time to look for what is too old."""
        now = self._clock.monotonic()
        if self._kept_at is not None and now - self._kept_at < self._keeping.pause:
            return False
        self._kept_at = now
        return True


class Carrier:
    """Carries out the long verbs that clients do not wait for, one after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._queue: deque[OperationId] = deque()
        self._closed = False
        self._thread: threading.Thread | None = None

    def take(self, operation: OperationId) -> None:
        """Carry out an operation that has been queued in the store."""
        with self._changed:
            self._queue.append(operation)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="torc-operations", daemon=True)
                thread.start()
                self._thread = thread
            self._changed.notify()

    def close(self) -> None:
        """End, after the operation that is under way; what is queued goes on at the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                operation = self._queue.popleft()
            try:
                self._store.carry_out(operation)
            except Unavailable as error:
                # NOTE: until it is over its workflow hands out nothing, so that it is not left for the next start.
                log.warning("operation put off task_id=%d why=%s", operation, error)
                self._put_off(operation)
            except TorcError as error:
                log.warning("operation failed task_id=%d why=%s", operation, error)
            except Exception:
                log.exception("operation failed task_id=%d", operation)

    def _put_off(self, operation: OperationId) -> None:
        with self._changed:
            self._queue.append(operation)
            self._changed.wait_for(lambda: self._closed, PAUSE)
