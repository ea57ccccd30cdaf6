"""Processes on a node that are no jobs: commands of actions and recovery scripts. They never delay the loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torc_core.model import JobId
from torc_core.protocols import Executor, Exit, Task


@dataclass(slots=True)
class Errand:
    """A process that somebody waits for.

    Parameters
    ----------
    within
        Seconds after which it is killed; None: it may take any time.
    kill_at
        When it is killed, monotonic seconds.
    """

    task: Callable[[JobId], Task]
    done: Callable[[Exit], None]
    within: float | None = None
    kill_at: float | None = None
    number: JobId = JobId(0)


class Errands:
    """Processes under numbers of their own, below those of jobs; all but `ask` is called by the loop."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._asked: deque[Errand] = deque()
        self._running: dict[JobId, Errand] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._asked) + len(self._running)

    def ask(
        self, task: Callable[[JobId], Task], done: Callable[[Exit], None], *, within: float | None = None
    ) -> Errand:
        """Have a process started soon, and `done` called in the loop when it has ended; callable from any thread."""
        errand = Errand(task=task, done=done, within=within)
        self._asked.append(errand)
        self._executor.wake()
        return errand

    def wake(self) -> None:
        """Have the loop look; callable from any thread."""
        self._executor.wake()

    def start(self, now: float) -> None:
        """Start what was asked for."""
        while self._asked:
            errand = self._asked.popleft()
            self._last -= 1
            errand.number = JobId(self._last)
            self._running[errand.number] = errand
            if errand.within is not None and errand.kill_at is None:
                errand.kill_at = now + errand.within
            self._executor.start([errand.task(errand.number)])

    def take(self, exits: Sequence[Exit]) -> list[Exit]:
        """Take the ends of errands; those of jobs are left."""
        if not self._running:
            return list(exits)
        left = []
        for one in exits:
            errand = self._running.pop(one.job, None)
            if errand is None:
                left.append(one)
            else:
                errand.done(one)
        return left

    def stop(self, errand: Errand, number: int, lead: float, now: float) -> None:
        """Signal a process, and kill it when `lead` seconds are over."""
        deadline = now + lead
        errand.kill_at = deadline if errand.kill_at is None else min(errand.kill_at, deadline)
        if errand.number in self._running:
            self._executor.signal(errand.number, number)

    def stop_all(self, number: int, lead: float, now: float) -> None:
        """Signal all, and kill them when `lead` seconds are over."""
        for errand in (*self._asked, *self._running.values()):
            self.stop(errand, number, lead, now)

    def tend(self, now: float) -> None:
        """Kill what has had its time."""
        late = [
            errand
            for errand in self._running.values()
            if errand.kill_at is not None and errand.kill_at <= now
        ]
        for errand in late:
            errand.kill_at = None
        if late:
            self._executor.kill([errand.number for errand in late])

    def next_time(self) -> float | None:
        """When something is due, monotonic seconds; None: nothing is."""
        times = [one.kill_at for one in self._running.values() if one.kill_at is not None]
        return min(times, default=None)
