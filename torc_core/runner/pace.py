"""How much work a runner asks for in advance, from how long its jobs take. Pure."""

from __future__ import annotations

from math import ceil

from torc_core.model import Shape

WORTH_IT = 1.0
"""Seconds: where jobs take longer on average, a round trip to the store costs nothing, and nothing is held ahead."""
SHORT = 0.05
"""Seconds: where jobs take less on average, one started-ahead job per slot would be used up before the next turn."""
COVERED = 0.025
"""Seconds of work that are started ahead for each slot when jobs are short."""
DEEPEST = 16
"""Most jobs started ahead for one slot."""
MOST_HELD = 40
"""Most jobs of a class that a node may hold ahead (`engine.md` §7.7)."""
WEIGHT = 0.1
"""How much the newest job counts in the mean."""


class Pace:
    """A moving mean of the duration of jobs, by shape."""

    def __init__(self) -> None:
        self._means: dict[Shape, float] = {}

    def note(self, shape: Shape, seconds: float) -> None:
        """A job took so long."""
        mean = self._means.get(shape)
        self._means[shape] = seconds if mean is None else mean + WEIGHT * (seconds - mean)

    def started(self, shape: Shape, busy: int) -> int:
        """How many jobs to have started on record beyond those that run: one for each of `busy` slots.

        For very short jobs as many as a slot will start within `COVERED` seconds, since the next turn takes longer
        than such a job; a crash of this runner then leaves a few more attempts behind that never ran.
        """
        mean = self._means.get(shape)
        if mean is None or mean >= WORTH_IT:
            return 0
        depth = 1 if mean >= SHORT else min(DEEPEST, ceil(COVERED / max(mean, 1e-4)))
        return min(busy * depth, MOST_HELD)

    def held(self, shape: Shape, busy: int) -> int:
        """How many jobs to hold ahead in all, those started on record among them."""
        started = self.started(shape, busy)
        return min(2 * started + busy, MOST_HELD) if started else 0
