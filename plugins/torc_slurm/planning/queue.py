"""Ready jobs of a group while it is simulated, given out by the very function that gives out real ones."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import groupby
from operator import attrgetter

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


_Entry = tuple[int, int, tuple[JobId, int, int]]
"""A cohort that waits: what it is sorted by, its negative priority and its number, then how a claim sees a job of it."""


class _Line:
    """The cohorts of one kind that wait: the first ones sorted, the others as a heap."""

    __slots__ = ("first", "others", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        # PERF: every claim looks at the first ones, and takes few of them.
        self.first: list[_Entry] = []
        self.others: list[_Entry] = []

    def add(self, entry: _Entry) -> None:
        if self.first and entry < self.first[-1]:
            insort(self.first, entry)
        else:
            heappush(self.others, entry)

    def remove(self, entry: _Entry) -> None:
        place = bisect_left(self.first, entry)
        if place < len(self.first) and self.first[place] == entry:
            del self.first[place]
        else:
            self.others.remove(entry)
            heapify(self.others)

    def heads(self, number: int, left: Mapping[int, int]) -> list[tuple[JobId, int, int]]:
        """The first so many jobs, given how many of each cohort there are."""
        heads: list[tuple[JobId, int, int]] = []
        for _, cohort, head in self._sorted():
            count = left[cohort]
            if count == 1:
                heads.append(head)
            else:
                heads += [head] * min(count, number - len(heads))
            if len(heads) == number:
                break
        return heads

    def _sorted(self) -> Iterator[_Entry]:
        yield from self.first
        while self.others:
            self.first.append(heappop(self.others))
            yield self.first[-1]


class ReadyQueue:
    """Ready jobs by kind and cohort, and how many of each still wait.

    Kinds and cohorts are numbers; cohorts of one kind and priority are claimed in the order of theirs.
    """

    __slots__ = ("_entries", "_lines", "kinds", "left")

    def __init__(self) -> None:
        self._lines: dict[int, _Line] = {}
        self._entries: dict[int, _Entry] = {}
        self.left: dict[int, int] = {}
        self.kinds: dict[int, int] = {}
        """How many jobs of each kind wait; those of which none does are not in it."""

    def add(self, cohort: int, kind: int, shape: Shape, priority: int, count: int) -> None:
        """Let jobs become ready."""
        if not count:
            return
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line(shape)
        if cohort not in self.left:
            entry = self._entries[cohort] = (-priority, cohort, (JobId(cohort), priority, 0))
            line.add(entry)
        self.left[cohort] = self.left.get(cohort, 0) + count
        self.kinds[kind] = self.kinds.get(kind, 0) + count

    def waiting(self, kinds: Collection[int]) -> Iterator[tuple[int, int]]:
        """Cohort and number of what waits of these kinds, in the order of claims for each."""
        for kind, line in self._lines.items():
            if kind in kinds:
                for _, cohort, _ in sorted([*line.first, *line.others]):
                    yield cohort, self.left[cohort]

    def choose(self, room: Room) -> Sequence[Choice]:
        """What a node with this room would be given; the ids of the choices are cohorts. Nothing is taken yet."""
        lines = []
        for kind, count in self.kinds.items():
            line = self._lines[kind]
            number = wanted(line.shape, room, MOST)
            if number:
                heads = line.heads(min(number, count), self.left)
                lines.append(Ready(shape=line.shape, heads=heads, count=count))
        return pick(lines, room, MOST).choices if lines else ()

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
                line = self._lines[kind]
                line.remove(self._entries.pop(cohort))
                if not line.first and not line.others:
                    del self._lines[kind]


def counted(choices: Sequence[Choice]) -> dict[int, int]:
    """How many jobs of each cohort were chosen."""
    counts: dict[int, int] = {}
    for one in choices:
        counts[one.job] = counts.get(one.job, 0) + 1
    return counts


def room_of(free: Sequence[Resources], block: Block, left: float) -> Room:
    """What a claim sees of an allocation that has so many seconds left."""
    return Room(free=free, capacity=block.node, time_limit=int(left))


@record(frozen=True, slots=True, kw_only=True)
class Taken:
    """Jobs that need the same and start together in an allocation.

    Parameters
    ----------
    parts
        How many of each cohort.
    back
        What each node is given back at their end.
    """

    shape: Shape
    parts: Sequence[tuple[int, int]]
    back: Sequence[tuple[int, Resources]]


def occupy(free: list[Resources], choices: Sequence[Choice], block: Block) -> Sequence[Taken]:
    """Take the room of choices out of what is free."""
    found = []
    # Those of one cohort stand together, since they are chosen in the order of kinds and cohorts.
    for shape, some in groupby(choices, key=attrgetter("shape")):
        parts: dict[int, int] = {}
        nodes: dict[int, int] = {}
        for one in some:
            parts[one.job] = parts.get(one.job, 0) + 1
            for node in one.nodes:
                nodes[node] = nodes.get(node, 0) + 1
        back = [
            (node, times(shape.resources, count) if shape.nodes == 1 else block.node)
            for node, count in nodes.items()
        ]
        for node, amount in back:
            free[node] -= amount
        found.append(Taken(shape=shape, parts=list(parts.items()), back=back))
    return found


def times(amount: Resources, count: int) -> Resources:
    """So much, so often."""
    return Resources(cpus=amount.cpus * count, memory=amount.memory * count, gpus=amount.gpus * count)
