"""How long each job may run: as long as was stated, or in proportion to the others. Pure."""

from __future__ import annotations

import heapq
from bisect import insort

from torc_core.model import JobId
from torc_core.runner.attempt import Attempt

ENOUGH, MOST = 3, 10_000
"""Jobs that have to be completed before their median says something, and after which it changes no more."""


class Deadlines:
    """When running jobs have had their time; monotonic seconds.

    Parameters
    ----------
    stated
        The runtime of a job's requirement is its limit.
    patience
        A job may run so many times the median of the completed ones; None: as long as it likes.
    """

    def __init__(self, *, stated: bool, patience: float | None) -> None:
        self._stated = stated
        self._patience = patience
        self._heap: list[tuple[float, JobId, Attempt]] = []
        self._running: dict[JobId, Attempt] = {}
        self._seconds: list[float] = []
        self.active = stated or patience is not None
        """Whether there are any."""

    def begun(self, attempt: Attempt, *, limited: bool) -> None:
        """A job begins; `limited`: its runtime was stated."""
        if self._stated and limited:
            attempt.allowed = attempt.shape.runtime
            heapq.heappush(self._heap, (attempt.begun + attempt.allowed, attempt.held.job, attempt))
        if self._patience is not None:
            self._running[attempt.held.job] = attempt

    def ended(self, attempt: Attempt, seconds: float, *, good: bool) -> None:
        """A job has ended after so long."""
        self._running.pop(attempt.held.job, None)
        if good and self._patience is not None and len(self._seconds) < MOST:
            insort(self._seconds, seconds)

    def due(self, now: float) -> list[Attempt]:
        """Take the jobs that have had their time."""
        found = []
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].exit is not None):
            attempt = heapq.heappop(self._heap)[2]
            if attempt.exit is None:
                found.append(attempt)
        allowed = self._proportion()
        while allowed is not None and self._running:
            job, attempt = next(iter(self._running.items()))
            if attempt.begun + allowed > now:
                break
            del self._running[job]
            attempt.allowed = allowed
            found.append(attempt)
        return found

    def next_time(self) -> float | None:
        """When the next of them has had its time; None: no job has a limit now."""
        while self._heap and self._heap[0][2].exit is not None:
            heapq.heappop(self._heap)
        times = [self._heap[0][0]] if self._heap else []
        allowed = self._proportion()
        if allowed is not None and self._running:
            times.append(next(iter(self._running.values())).begun + allowed)
        return min(times, default=None)

    def _proportion(self) -> float | None:
        """Seconds that a job may run in proportion to the others; None: too few are known."""
        if self._patience is None or len(self._seconds) < ENOUGH:
            return None
        return self._patience * self._seconds[len(self._seconds) // 2]
