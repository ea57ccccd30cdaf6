"""Which allocations come at which moments, so that every job finds one (`slurm.md` PL6, PL7, PL19, PL20)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from torc_core.record import record
from torc_slurm.planning.packing import Kind, Packings
from torc_slurm.planning.queue import Block
from torc_slurm.planning.replay import Firing, Outcome, Replay
from torc_slurm.planning.work import Course

MOST_PASSES = 25
"""Replays until a plan has to hold; two are usual."""

ORDERS = (False, True)
"""Whether the newest allocation takes a job that several could."""


@record(frozen=True, slots=True, kw_only=True)
class Flow:
    """The moments of a plan, and how it goes.

    Parameters
    ----------
    demands
        Of each firing the jobs it was sized for.
    """

    firings: Sequence[Firing]
    demands: Sequence[Mapping[Kind, int]]
    outcome: Outcome


def flow(course: Course, blocks: Sequence[Block], packings: Packings, *, patience: float | None) -> Flow:
    """Find the waves of each group, and replay the whole until nothing is left over."""
    waves = _Waves(course, blocks, packings)
    held: list[Outcome] = []
    for turn in range(MOST_PASSES):
        before = waves.changes
        # NOTE: who of several comes first is up to chance, so a plan has to hold for both extremes.
        outcome = Replay(
            course, blocks, waves.firings(), patience=patience, stuck=waves.stuck, newest_first=ORDERS[turn % 2]
        ).run()  # fmt: skip
        held = [] if waves.first or waves.changes != before else [*held, outcome]
        waves.first = False
        if len(held) == len(ORDERS):
            break
    else:
        held = [Replay(course, blocks, waves.firings(), patience=patience).run()]
    worst = max(held, key=lambda one: (one.left, one.seconds))
    return Flow(firings=waves.firings(), demands=list(waves.demands.values()), outcome=worst)


class _Waves:
    """The waves so far; asked by the replay when jobs are left over."""

    def __init__(self, course: Course, blocks: Sequence[Block], packings: Packings) -> None:
        self._course, self._blocks, self._packings = course, blocks, packings
        self.first = True
        self.changes = 0
        self.found: dict[tuple[int, frozenset[int]], int] = {}
        self.demands: dict[tuple[int, frozenset[int]], Counter[Kind]] = {}
        self._stage = [
            (one.group, *stage) for one, stage in zip(course.cohorts, course.outline.stages, strict=True)
        ]
        self._of_stage: dict[tuple[int | None, int, str], list[int]] = {}
        for place, stage in enumerate(self._stage):
            self._of_stage.setdefault(stage, []).append(place)

    def firings(self) -> list[Firing]:
        """As the replay takes them."""
        return [
            Firing(group=group, allocations=count, cohorts=cohorts)
            for (group, cohorts), count in self.found.items()
        ]

    def stuck(self, group: int, left: Mapping[int, int], ready: Mapping[int, float]) -> int:
        """Plan a wave for cohorts that nothing can run: how many allocations it has.

        The first pass takes whole stages, that is jobs of one level with like names, for the moment and for the size;
        later passes, which only have to mend, take just those that are left, and the moment when the last are ready.
        """
        if self.first:
            stages = dict.fromkeys(self._stage[one] for one in left)
            whole = [one for stage in stages for one in self._of_stage[stage]]
            counts = {
                **left,
                **{one: len(self._course.cohorts[one].jobs) for one in whole if one not in ready},
            }
            trigger = frozenset(whole)
        else:
            counts = dict(left)
            last = max(ready[one] for one in left)
            trigger = frozenset(one for one in left if ready[one] == last)
        if any(not self._course.cohorts[one].waits for one in trigger):
            trigger = frozenset()
        demand: Counter[Kind] = Counter()
        for one, number in counts.items():
            cohort = self._course.cohorts[one]
            demand[cohort.need, cohort.priority] += number
        count = self._packings.needed(demand, self._blocks[group]).allocations
        if count:
            key = (group, trigger)
            self.found[key] = self.found.get(key, 0) + count
            self.demands[key] = self.demands.get(key, Counter()) + demand
            self.changes += 1
        return count
