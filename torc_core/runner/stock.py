"""What a runner holds in advance, by shape, and how much of it is worth holding. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from math import ceil
from typing import NamedTuple

from torc_core.engine.claim import AHEAD_MOST
from torc_core.model import Shape
from torc_core.runner.attempt import Attempt
from torc_core.runner.ledger import Ledger

WORTH_IT = 1.0
"""Seconds: where jobs take longer on average, a round trip to the store costs nothing, and nothing is held ahead."""
SHORT = 0.05
"""Seconds: where jobs take less on average, one started-ahead job per slot would be used up before the next turn."""
COVERED = 0.5
"""Seconds of work that are started ahead for each slot where jobs are short."""
DEEPEST = 192
"""Most jobs started ahead for one slot."""
MOST_HELD = AHEAD_MOST
"""Most jobs of a class that a node may hold ahead (`engine.md` §7.7)."""
WEIGHT = 0.1
"""How much the newest job counts in the mean duration."""


class Wanted(NamedTuple):
    """What to ask for in advance: so many jobs, of which so many are started on record at once, of these shapes."""

    jobs: int
    started: int
    shapes: Sequence[Shape]


NOTHING = Wanted(0, 0, ())
"""Nothing is wanted in advance."""


class Stock:
    """Jobs that wait here for a place: *held* ones are pending, *due* ones are started on record."""

    def __init__(self) -> None:
        self._held: defaultdict[Shape, deque[Attempt]] = defaultdict(deque)
        self._due: defaultdict[Shape, deque[Attempt]] = defaultdict(deque)
        self._means: dict[Shape, float] = {}
        self._lines: dict[Shape, int] = {}
        self.busy: Counter[Shape] = Counter()
        """How many jobs of each shape run."""

    def hold(self, attempt: Attempt) -> None:
        """Keep a pending job."""
        self._held[attempt.shape].append(attempt)

    def expect(self, attempt: Attempt) -> None:
        """Keep a job that is started on record, until a job of its shape ends."""
        self._due[attempt.shape].append(attempt)

    def line(self, shape: Shape) -> int:
        """The number of a shape whose jobs may take each other's place unchanged; 0: each has devices of its own."""
        if shape.gpus or shape.nodes > 1:
            return 0
        return self._lines.setdefault(shape, len(self._lines) + 1)

    def successor(self, shape: Shape) -> Attempt | None:
        """Take the job whose turn it is when one of this shape has ended."""
        due = self._due[shape]
        return due.popleft() if due else None

    def drop(self, attempt: Attempt) -> None:
        """Forget a job."""
        for queue in (self._held[attempt.shape], self._due[attempt.shape]):
            with suppress(ValueError):
                queue.remove(attempt)

    def clear(self) -> list[Attempt]:
        """Forget all but what the executor has in its lines; that."""
        self._held.clear()
        for shape, queue in self._due.items():
            self._due[shape] = deque(attempt for attempt in queue if attempt.handed)
        return list(chain.from_iterable(self._due.values()))

    def note(self, shape: Shape, seconds: float) -> None:
        """A job of this shape took so long."""
        mean = self._means.get(shape)
        self._means[shape] = seconds if mean is None else mean + WEIGHT * (seconds - mean)

    def depth(self, shape: Shape) -> int:
        """How many jobs of a shape to have started on record beyond those that run.

        One for each busy slot. For very short jobs as many as a slot will start within `COVERED` seconds, since
        the next turn takes longer than such a job; when this runner crashes, so many attempts never ran.
        """
        mean = self._means.get(shape)
        if mean is None or mean >= WORTH_IT:
            return 0
        each = 1 if mean >= SHORT else min(DEEPEST, ceil(COVERED / max(mean, 1e-4)))
        return min(self.busy[shape] * each, MOST_HELD)

    def promote(self, ledger: Ledger) -> list[Attempt]:
        """Take the held jobs that are to be started on record now: for free places, and for ends to come."""
        starts: list[Attempt] = []
        for shape, queue in self._held.items():
            while queue and (slot := ledger.reserve(queue[0].held.job, shape)):
                queue[0].slot = slot
                starts.append(queue.popleft())
            for _ in range(min(self.depth(shape) - len(self._due[shape]), len(queue))):
                starts.append(queue.popleft())
        return starts

    def startable(self, ledger: Ledger) -> bool:
        """Whether a held job could start at once."""
        return any(queue and ledger.fits(shape) for shape, queue in self._held.items())

    def low(self) -> bool:
        """Whether the jobs started on record may be used up before the next turn is answered."""
        return any(2 * len(self._due[shape]) < max(1, self.depth(shape)) for shape in self._running())

    def wanted(self, starting: Sequence[Attempt]) -> Wanted:
        """How many more jobs to ask for in advance; `starting` are on their way.

        Very short jobs are all started on record with the claim that gives them: to hold them first would cost each
        of them a place in two turns.
        """
        on_the_way = Counter(attempt.shape for attempt in starting if not attempt.slot)
        jobs, started, shapes = 0, 0, []
        for shape in self._running():
            depth = self.depth(shape)
            due = len(self._due[shape]) + on_the_way[shape]
            most = (
                min(depth if self._is_short(shape) else 2 * depth + self.busy[shape], MOST_HELD)
                if depth
                else 0
            )
            lacking = most - len(self._held[shape]) - due
            if lacking > 0:
                jobs += lacking
                started += min(lacking, max(0, depth - due))
                shapes.append(shape)
        return Wanted(jobs, started, shapes)

    def _is_short(self, shape: Shape) -> bool:
        mean = self._means.get(shape)
        return mean is not None and mean < SHORT

    def _running(self) -> Iterator[Shape]:
        return (shape for shape, busy in self.busy.items() if busy)
