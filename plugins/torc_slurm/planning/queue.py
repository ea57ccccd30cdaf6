"""Ready jobs of a group while it is simulated, given out by the very function that gives out real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush

from torc_core.engine.claim import Choice, Ready, Room, pick, wanted
from torc_core.model import JobId, Resources, Shape
from torc_core.record import record

MOST = 100_000
"""Jobs in one claim; a node has less room."""


@record(frozen=True, slots=True, kw_only=True)
class Block:
    """What an allocation of a group is.

    Parameters
    ----------
    node
        What its runner may use of each node.
    nodes
        How many nodes it has; one runner for all of them.
    usable
        Seconds in which jobs can run: U.
    """

    node: Resources
    nodes: int = 1
    usable: int = 3600

    def empty(self) -> list[Resources]:
        """What is free when nothing runs."""
        return [self.node] * self.nodes


class ReadyQueue:
    """Ready jobs by kind and cohort, and how many of each still wait.

    Kinds and cohorts are numbers; cohorts of one kind and priority are claimed in the order of theirs.
    """

    __slots__ = ("_heaps", "_shapes", "kinds", "left")

    def __init__(self) -> None:
        self._heaps: dict[int, list[tuple[int, int]]] = {}
        self._shapes: dict[int, Shape] = {}
        self.left: dict[int, int] = {}
        self.kinds: dict[int, int] = {}
        """How many jobs of each kind wait; those of which none does are not in it."""

    def add(self, cohort: int, kind: int, shape: Shape, priority: int, count: int) -> None:
        """Let jobs become ready."""
        if not count:
            return
        if cohort not in self.left:
            heappush(self._heaps.setdefault(kind, []), (-priority, cohort))
        self._shapes[kind] = shape
        self.left[cohort] = self.left.get(cohort, 0) + count
        self.kinds[kind] = self.kinds.get(kind, 0) + count

    def waiting(self) -> Iterator[tuple[int, int, int]]:
        """Kind, cohort and number of what waits."""
        for kind, heap in self._heaps.items():
            for _, cohort in sorted(heap):
                yield kind, cohort, self.left[cohort]

    def choose(self, room: Room) -> Sequence[Choice]:
        """What a node with this room would be given; the ids of the choices are cohorts. Nothing is taken yet."""
        lines = []
        for kind, count in self.kinds.items():
            shape = self._shapes[kind]
            number = wanted(shape, room, MOST)
            if number:
                lines.append(Ready(shape=shape, heads=self._heads(kind, min(number, count)), count=count))
        return pick(lines, room, MOST).choices if lines else ()

    def _heads(self, kind: int, number: int) -> list[tuple[JobId, int, int]]:
        heap = self._heaps[kind]
        first = heap[0]
        if self.left[first[1]] >= number:
            return [(JobId(first[1]), -first[0], 0)] * number
        heads: list[tuple[JobId, int, int]] = []
        looked = []
        while heap and len(heads) < number:
            entry = heappop(heap)
            looked.append(entry)
            heads += [(JobId(entry[1]), -entry[0], 0)] * min(self.left[entry[1]], number - len(heads))
        for entry in looked:
            heappush(heap, entry)
        return heads

    def times(self, counts: Mapping[int, int]) -> int:
        """How often so many of each cohort are there."""
        return min(self.left.get(cohort, 0) // number for cohort, number in counts.items())

    def take(self, counts: Mapping[int, int], kind_of: Mapping[int, int] | Sequence[int]) -> None:
        """Let so many of each cohort start, given the kind of each."""
        for cohort, number in counts.items():
            kind = kind_of[cohort]
            self.left[cohort] -= number
            self.kinds[kind] -= number
            if not self.kinds[kind]:
                del self.kinds[kind]
            if not self.left[cohort]:
                del self.left[cohort]
                heap = self._heaps[kind]
                if heap[0][1] == cohort:
                    heappop(heap)
                else:
                    # What is sorted is a heap.
                    self._heaps[kind] = heap = sorted(entry for entry in heap if entry[1] != cohort)
                if not heap:
                    del self._heaps[kind]


def counted(choices: Sequence[Choice]) -> dict[int, int]:
    """How many jobs of each cohort were chosen."""
    counts: dict[int, int] = {}
    for one in choices:
        counts[one.job] = counts.get(one.job, 0) + 1
    return counts


def room_of(free: Sequence[Resources], block: Block, left: float) -> Room:
    """What a claim sees of an allocation that has so many seconds left."""
    return Room(free=free, capacity=block.node, time_limit=int(left))


def occupy(free: list[Resources], choice: Choice, block: Block) -> list[tuple[int, Resources]]:
    """Take a choice's room out of what is free; what is to be given back at its end."""
    if choice.shape.nodes > 1:
        back = [(node, block.node) for node in choice.nodes]
    else:
        back = [(choice.nodes[0], choice.shape.resources)]
    for node, amount in back:
        free[node] -= amount
    return back
