"""Keeps jobs within the memory that was stated for them, where the executor does not (`runner.md` §8)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from torc_core.model import JobId
from torc_core.protocols import Clock, Locating, Monitor
from torc_core.runner.attempt import Attempt
from torc_core.runner.log import log
from torc_core.runner.place import process_start
from torc_core.system import cpu_seconds

LOOK, CLOSE_LOOK = 1.0, 0.2
"""Seconds between two looks; the shorter one while a job is close to its limit."""
CLOSE = 0.8
"""The part of its limit from which on a job is close to it."""
CHEAP = 100
"""A look may cost one part in so many of a core."""
CLOSE_WITHIN = 2.0
KERNEL = "/proc/vmstat"
FRESH = 0.1
"""Seconds for which a reading of the kernel's counter stands for the moment."""
NOTES = 1_000
"""So many readings of the kernel's counter are kept."""


class Limits:
    """Samples jobs with a limit in a thread of its own, which begins with the first of them.

    Parameters
    ----------
    monitor
        Opens what measures; called in the thread.
    wake
        Called in the thread when a job has gone beyond its memory.
    """

    def __init__(self, monitor: Callable[[], Monitor], executor: Locating, wake: Callable[[], None]) -> None:
        self._open = monitor
        self._executor = executor
        self._wake = wake
        self._followed: dict[JobId, Attempt] = {}
        self._over: deque[Attempt] = deque()
        self._busy = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="torc-memory", daemon=True)

    def begun(self, attempts: Iterable[Attempt]) -> None:
        """These have started, and have limits."""
        for attempt in attempts:
            self._followed[attempt.held.job] = attempt
        if self._followed and not self._busy.is_set():
            self._busy.set()
            if self._thread.ident is None:
                self._thread.start()

    def ended(self, attempt: Attempt) -> None:
        """This one has ended."""
        self._followed.pop(attempt.held.job, None)

    def over(self) -> list[Attempt]:
        """Those that went beyond their limits since the last time; what they used is their `peak`."""
        found = []
        while self._over:
            found.append(self._over.popleft())
        return found

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._busy.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_WITHIN)

    def _run(self) -> None:
        try:
            monitor = self._open()
            try:
                self._follow(monitor)
            finally:
                monitor.close()
        except Exception:
            # An observer: whatever is wrong with it, the jobs run on.
            log.exception("memory_not_limited")

    def _follow(self, monitor: Monitor) -> None:
        watched: dict[JobId, Attempt] = {}
        processes: Mapping[str, int] = {}
        while not self._stop.is_set():
            if not self._followed and not watched:
                self._busy.clear()
                if not self._followed:
                    self._busy.wait()
                continue
            begin = cpu_seconds()
            now = self._executor.processes()
            if now is not processes or len(watched) != len(self._followed):
                processes = now
                self._find(monitor, watched, processes)
            close = self._look(monitor, watched)
            self._stop.wait(max(CLOSE_LOOK if close else LOOK, CHEAP * (cpu_seconds() - begin)))

    def _find(self, monitor: Monitor, watched: dict[JobId, Attempt], processes: Mapping[str, int]) -> None:
        """Watch what has started since, and forget what has ended."""
        for job, attempt in list(watched.items()):
            if self._followed.get(job) is not attempt:
                del watched[job]
                monitor.unwatch(job)
        for mark, pid in processes.items():
            job = JobId(int(mark.rsplit(".", 3)[1])) if mark.count(".") >= 3 and _is_job(mark) else JobId(0)
            found = self._followed.get(job)
            if found is None or job in watched or process_start(pid) is None:
                continue
            given = found.given.job
            if mark.endswith(f".{given.id}.{given.run_id}.{given.attempt_id}"):
                monitor.watch(job, pid, mark=mark)
                watched[job] = found

    def _look(self, monitor: Monitor, watched: Mapping[JobId, Attempt]) -> bool:
        """Sample all; whether one is close to its limit."""
        close = False
        for one in monitor.sample(full=False):
            attempt = watched.get(one.job)
            if attempt is None or attempt.exit is not None:
                continue
            used = one.memory_bytes
            if used > attempt.limit:
                # What processes share was counted for each of them.
                used = monitor.shared(one.job, used)
            attempt.peak = max(attempt.peak, min(used, one.memory_bytes))
            close = close or one.memory_bytes > CLOSE * attempt.limit
            if used > attempt.limit and attempt not in self._over:
                self._over.append(attempt)
                self._wake()
        return close


class KernelKills:
    """Whether the kernel has killed a process for memory since a moment."""

    def __init__(self, clock: Clock, path: str = KERNEL) -> None:
        self._clock = clock
        self._path = path
        self._notes: deque[tuple[float, int]] = deque([(clock.monotonic(), self._count())], maxlen=NOTES)

    @property
    def noted(self) -> float:
        """When the counter need not be read again before: just now."""
        return self._notes[-1][0] + FRESH

    def note(self) -> None:
        """A job that may be killed for memory starts now."""
        self._notes.append((self._clock.monotonic(), self._count()))

    def since(self, moment: float) -> bool:
        """Whether it has, as far as the readings tell, after `moment`."""
        before = [count for at, count in self._notes if at <= moment]
        return self._count() > (before[-1] if before else self._notes[0][1])

    def _count(self) -> int:
        try:
            with open(self._path, encoding="ascii") as file:
                for line in file:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            pass
        return 0


def _is_job(mark: str) -> bool:
    """Whether it is the mark of a job: those of actions and recovery scripts end or begin otherwise."""
    return all(part.isdigit() for part in mark.rsplit(".", 3)[1:])
