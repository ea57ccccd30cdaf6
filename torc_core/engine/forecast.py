"""When what is left of a workflow will have ended, from what its jobs took so far (`observability.md` §3)."""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import field

from torc_core.model import Eta, Resources, Shape
from torc_core.record import record

ROUNDS = 50
"""How often it is drawn anew."""

ENOUGH = 5
"""Durations of a class below which others are asked as well."""

DECLARED = 0.7
"""What jobs take of the time that was declared for them, as long as nobody knows better."""

SPREAD = (0.5, 0.75, 1.0, 1.25, 1.5)
MOST_DRAWN = 400
"""Durations that are drawn in each case, of all classes."""

MOST_SLOTS = 64
"""So many slots stand for all where the end of a class is played through."""

LEAST = 0.05
"""Of jobs of the longest known durations at least this share is taken to have ended."""

ROUNDS_OF_END = 8
"""Jobs for each slot with which the end of a class is played through."""


@record(frozen=True, slots=True, kw_only=True)
class Task:
    """Jobs of one class: of one stage, with one requirement.

    Parameters
    ----------
    waiting, running
        Jobs that have not begun, and that have; `ready` of those that have not wait for nothing.
    slots
        How many of them fit at once on what is there.
    seconds
        What jobs like these took.
    declared
        Seconds that were declared.
    after
        Classes that it waits for; true: each of its jobs for all of them, false: for one or a few of them.
    """

    waiting: float
    ready: float = 0.0
    running: float = 0.0
    slots: int
    seconds: Sequence[float] = ()
    declared: float = 60.0
    after: Mapping[Hashable, bool] = field(default_factory=dict)

    @property
    def jobs(self) -> float:
        """Those that have not ended."""
        return self.waiting + self.running


@record(frozen=True, slots=True, kw_only=True)
class _Pool:
    """Known durations of a class, the sums of their weights, and their mean."""

    seconds: Sequence[float]
    weights: Sequence[float]
    mean: float


@record(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Durations of a class, drawn anew, and their mean and deviation."""

    seconds: Sequence[float]
    mean: float
    deviation: float


class Dice:
    """Always the same throws, so that the same question has the same answer (D. E. Knuth's generator MMIX, 1999)."""

    def __init__(self) -> None:
        self._state = 1

    def random(self) -> float:
        """From 0 to 1, without 1."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & 0xFFFF_FFFF_FFFF_FFFF
        return (self._state >> 11) / 9007199254740992

    def gauss(self, mean: float, deviation: float) -> float:
        """Normally distributed, as the sum of twelve throws is."""
        return mean + deviation * (sum(self.random() for _ in range(12)) - 6)

    def any_of(self, values: Sequence[float], count: int) -> list[float]:
        """So many of these, all equally likely, each as often as it comes."""
        number, throw = len(values), self.random
        return [values[int(throw() * number)] for _ in range(count)]

    def choices(self, values: Sequence[float], sums: Sequence[float], count: int) -> list[float]:
        """So many of these, with the sums of their weights."""
        whole, throw, last = sums[-1], self.random, len(values) - 1
        return [values[min(last, bisect.bisect(sums, throw() * whole))] for _ in range(count)]


def forecast(tasks: Mapping[Hashable, Task]) -> Eta | None:
    """Seconds until all of it has ended; None: something fits nowhere.

    Classes that wait for all of others come in phases. A phase takes as long as its work divided by its slots, and the
    time in which the last jobs leave slots idle; or as long as its longest chain. The range is that of draws with
    replacement from the known durations (the bootstrap: B. Efron, 1979), and of the sums of what is drawn.
    """
    if any(not one.slots for one in tasks.values()):
        return None
    dice = Dice()
    phases, pools = _phases(tasks), {key: _pool(one) for key, one in tasks.items()}
    ends = sorted(_ended(tasks, pools, phases, dice) for _ in range(ROUNDS))
    tenth = ROUNDS // 10
    return Eta(p10=ends[tenth - 1], p50=ends[ROUNDS // 2], p90=ends[-tenth])


def slots(shape: Shape, nodes: Sequence[tuple[Resources, int]]) -> int:
    """How many jobs of a shape fit at once on nodes, given as capacity and number."""
    found = 0
    for capacity, number in nodes:
        if not capacity.covers(shape.resources):
            continue
        each = [
            have // need
            for have, need in (
                (capacity.cpus, shape.cpus),
                (capacity.memory, shape.memory),
                (capacity.gpus, shape.gpus),
            )
            if need
        ]
        found += number // shape.nodes if shape.nodes > 1 else number * min(each, default=1)
    return found


def _phases(tasks: Mapping[Hashable, Task]) -> Mapping[Hashable, int]:
    found: dict[Hashable, int] = {}

    def phase(key: Hashable, under_way: frozenset[Hashable]) -> int:
        if key not in found:
            before = [
                phase(other, under_way | {key}) + barrier
                for other, barrier in tasks[key].after.items()
                if other in tasks and other not in under_way and other != key
            ]
            found[key] = max(before, default=0)
        return found[key]

    for key in tasks:
        phase(key, frozenset({key}))
    return found


def _ended(
    tasks: Mapping[Hashable, Task],
    pools: Mapping[Hashable, _Pool],
    phases: Mapping[Hashable, int],
    dice: Dice,
) -> float:
    """When all would end in one case."""
    whole = 0.0
    drawn = {key: _drawn(pools[key], max(50, MOST_DRAWN // len(tasks)), dice) for key in tasks}
    for phase in range(max(phases.values(), default=-1) + 1):
        members = {key: tasks[key] for key, number in phases.items() if number == phase}
        area = idle = 0.0
        for key, one in members.items():
            work, late = _worked(one, drawn[key], max(8, MOST_SLOTS // len(tasks)), dice)
            area, idle = area + work, max(idle, late)
        whole += max(area + idle, _path(members, drawn))
    return whole


def _pool(one: Task) -> _Pool:
    """What is drawn from.

    Of jobs that began at any time until now, the longer ones are more often still running, and are missing among those
    that have ended: of a length d the share d / T after a time T. What is known is weighted for them (D. R. Cox, 1969:
    length-biased sampling).
    """
    seconds = one.seconds or [DECLARED * one.declared * share for share in SPREAD]
    whole = sum(seconds)
    began = whole / one.running + whole / len(seconds) if one.running and whole else math.inf
    weights = list(itertools.accumulate(1 / max(LEAST, 1 - each / began) for each in seconds))
    mean = sum(each * share for each, share in zip(seconds, _steps(weights), strict=True)) / weights[-1]
    return _Pool(seconds=seconds, weights=weights, mean=mean)


def _steps(sums: Sequence[float]) -> Iterator[float]:
    return itertools.chain(sums[:1], (after - before for before, after in itertools.pairwise(sums)))


def _drawn(pool: _Pool, most: int, dice: Dice) -> _Drawn:
    number = min(most, len(pool.seconds))
    seconds = dice.choices(pool.seconds, pool.weights, number)
    mean = sum(seconds) / number
    squares = sum(each * each for each in seconds)
    # PERF: of many known durations some are drawn; the more are known, the less does their mean vary.
    return _Drawn(
        seconds=seconds,
        mean=pool.mean + (mean - pool.mean) * math.sqrt(number / len(pool.seconds)),
        deviation=math.sqrt(max(0.0, squares / number - mean * mean)),
    )


def _worked(one: Task, known: _Drawn, most: int, dice: Dice) -> tuple[float, float]:
    """Seconds for which a class fills all its slots, and for which then slots wait for the last of its jobs."""
    few = min(one.slots, most)
    scale = few / one.slots
    running = min(few, round(one.running * scale))
    count = min(round(one.waiting * scale), ROUNDS_OF_END * few)
    if not running + count:
        count = 1
    # A job that is found running is a long one more often than not, and anywhere between its begin and its end.
    found = dice.choices(known.seconds, list(itertools.accumulate(known.seconds)), running)
    ends = [each * dice.random() for each in found]
    ends += [0.0] * (few - len(ends))
    played = sum(ends)
    heapq.heapify(ends)
    for each in dice.any_of(known.seconds, count):
        heapq.heapreplace(ends, ends[0] + each)
        played += each
    rest = max(0.0, one.waiting - count / scale)
    before = max(0.0, dice.gauss(rest * known.mean, known.deviation * math.sqrt(rest))) / one.slots
    return before + played / few, max(ends) - played / few


def _path(members: Mapping[Hashable, Task], drawn: Mapping[Hashable, _Drawn]) -> float:
    """The longest chain within a phase."""
    found: dict[Hashable, float] = {}

    def length(key: Hashable, under_way: frozenset[Hashable]) -> float:
        if key not in found:
            one = members[key]
            before = [
                length(other, under_way | {key})
                for other in one.after
                if other in members and other not in under_way and other != key
            ]
            chained = one.jobs / max(1.0, one.ready + one.running) if key in one.after else 1.0
            found[key] = max(before, default=0.0) + drawn[key].mean * min(one.jobs, max(1.0, chained))
        return found[key]

    return max((length(key, frozenset({key})) for key in members), default=0.0)
