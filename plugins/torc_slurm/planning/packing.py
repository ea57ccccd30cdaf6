"""How many allocations hold a number of jobs: each is filled as a claim fills it (`slurm.md` PL11, PL12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from torc_core.model import Resources, Shape
from torc_core.record import record
from torc_slurm.planning.queue import Block, ReadyQueue, counted, occupy, room_of

Kind = tuple[Shape, int]
"""What jobs need, and their priority."""


@record(frozen=True, slots=True, kw_only=True)
class Packing:
    """What it takes.

    Parameters
    ----------
    allocations
        How many.
    peak
        The most that is in use on one node at one time.
    at_once
        The most jobs that run at one time in one allocation.
    left_out
        Jobs that fit into no allocation.
    """

    allocations: int
    peak: Resources
    at_once: int
    left_out: int = 0


class Packings:
    """Packings by what was asked for: the same question comes up at many moments of a plan."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[tuple[Kind, int], ...], Block], Packing] = {}

    def needed(self, demand: Mapping[Kind, int], block: Block) -> Packing:
        """As the function does it."""
        key = (tuple(demand.items()), block)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = needed(demand, block)
        return found


def needed(demand: Mapping[Kind, int], block: Block) -> Packing:
    """How many allocations hold these jobs, one filled after the other in the order of claims.

    As many equal ones as there can be are counted at once, so the time it takes does not grow with their number.
    """
    queue = ReadyQueue()
    kinds: dict[Shape, int] = {}
    kind_of = []
    for cohort, ((shape, priority), count) in enumerate(demand.items()):
        kind_of.append(kinds.setdefault(shape, len(kinds)))
        queue.add(cohort, kind_of[cohort], shape, priority, count)
    allocations, at_once = 0, 0
    peak = Resources()
    while queue.kinds:
        before = dict(queue.left)
        used, most, parallel = _fill(queue, block, kind_of)
        if not used:
            break
        peak = _most(peak, most)
        at_once = max(at_once, parallel)
        again = 0
        if not any(cohort not in queue.left for cohort in before):
            # No kind of job ran out, so the next ones are filled in the same way.
            again = queue.times(used)
            if again:
                queue.take({cohort: again * number for cohort, number in used.items()}, kind_of)
        allocations += 1 + again
    return Packing(allocations=allocations, peak=peak, at_once=at_once, left_out=sum(queue.left.values()))


def _fill(queue: ReadyQueue, block: Block, kind_of: Sequence[int]) -> tuple[dict[int, int], Resources, int]:
    """Run one allocation to its end: what it takes of each cohort, the peak on one node, the most jobs at once."""
    free = block.empty()
    running: list[tuple[int, int, int, Sequence[tuple[int, Resources]]]] = []
    used: dict[int, int] = {}
    peak, most, jobs, now, number = Resources(), 0, 0, 0, 0
    while True:
        choices = queue.choose(room_of(free, block, block.usable - now))
        if choices:
            taken = counted(choices)
            queue.take(taken, kind_of)
            for cohort, count in taken.items():
                used[cohort] = used.get(cohort, 0) + count
            for one in occupy(free, choices, block):
                number += 1
                count = sum(count for _, count in one.parts)
                jobs += count
                heappush(running, (now + one.shape.runtime, number, count, one.back))
            most = max(most, jobs)
            for one_free in free:
                peak = _most(peak, block.node - one_free)
        if not running:
            return used, peak, most
        now = running[0][0]
        while running and running[0][0] == now:
            _, _, count, back = heappop(running)
            jobs -= count
            for node, amount in back:
                free[node] += amount


def _most(one: Resources, other: Resources) -> Resources:
    return Resources(
        cpus=max(one.cpus, other.cpus), memory=max(one.memory, other.memory), gpus=max(one.gpus, other.gpus)
    )
