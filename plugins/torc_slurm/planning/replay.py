"""A plan on paper: allocations come, claim as real ones do, and go; where jobs are left over, a wave is planned.

Allocations that are alike and do the same stand together as one entry with a number, and so do jobs that nothing tells
apart (`slurm.md` PL7, PL19); what is simulated is the same as if each was simulated alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import accumulate

from torc_core.model import Shape
from torc_core.record import record
from torc_slurm.planning.queue import Block, ReadyQueue, Taken, counted, occupy, room_of
from torc_slurm.planning.work import Course

Stuck = Callable[[int, Mapping[int, int], Mapping[int, float]], int]
"""Given a group, the jobs (by cohort) that none of its allocations can run, and when each cohort became ready: how many
allocations come now."""


@record(frozen=True, slots=True, kw_only=True)
class Firing:
    """Allocations that come when the first of some cohorts is ready; without cohorts, at the beginning."""

    group: int
    allocations: int
    cohorts: frozenset[int] = frozenset()


@record(frozen=True, slots=True, kw_only=True)
class Living:
    """An allocation that is there at the beginning.

    Parameters
    ----------
    age
        Seconds that it has been there.
    running
        The cohort of each job that runs on it; what that needs is how long it still takes.
    """

    group: int
    age: float = 0.0
    running: Sequence[int] = ()


@record(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went.

    Parameters
    ----------
    left
        Jobs that never ran.
    seconds
        From the beginning to the end of the last job.
    busy, allocated
        Seconds of nodes: in use, by the largest share of what a job takes of one, and from the begin of each
        allocation to its last job's end.
    most_nodes
        The most nodes that were there at one time.
    ready
        When each cohort became ready.
    ran
        How many jobs of each cohort ran.
    """

    left: int
    seconds: float
    busy: float
    allocated: float
    most_nodes: int
    ready: dict[int, float]
    ran: dict[int, int]


class _Bundle:
    """Allocations that have begun at the same time and done the same; `place` is the number of the first of them."""

    __slots__ = ("begun", "count", "free", "group", "idle_since", "last", "place", "runs")

    def __init__(self, group: int, count: int, begun: float, block: Block, place: int) -> None:
        self.group, self.count, self.begun, self.place = group, count, begun, place
        self.free = block.empty()
        self.runs: list[_Run] = []
        self.idle_since = self.last = begun

    def split(self, count: int) -> _Bundle:
        """Let so many of them go their own way."""
        other = _Bundle.__new__(_Bundle)
        other.group, other.begun, other.idle_since, other.last = (
            self.group,
            self.begun,
            self.idle_since,
            self.last,
        )
        other.free, other.place = list(self.free), self.place
        other.count = count
        other.runs = [_Run(run.end, run.taken, other) for run in self.runs]
        self.count -= count
        return other


class _Run:
    """Jobs that need the same and end together on each allocation of a bundle; without a bundle, elsewhere."""

    __slots__ = ("bundle", "end", "taken")

    def __init__(self, end: float, taken: Taken, bundle: _Bundle | None) -> None:
        self.end, self.taken, self.bundle = end, taken, bundle


class _Offers:
    """Bundles that may take jobs of a kind, the oldest or the newest first."""

    __slots__ = ("_heap", "_number", "_sign", "_there")

    def __init__(self, *, newest_first: bool) -> None:
        self._sign = -1 if newest_first else 1
        self._heap: list[tuple[int, int, _Bundle]] = []
        self._there: set[_Bundle] = set()
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._there)

    def __contains__(self, bundle: _Bundle) -> bool:
        return bundle in self._there

    def add(self, bundle: _Bundle) -> None:
        if bundle not in self._there:
            self._there.add(bundle)
            self._number += 1
            heappush(self._heap, (self._sign * bundle.place, self._number, bundle))

    def discard(self, bundle: _Bundle) -> None:
        self._there.discard(bundle)

    def first(self) -> tuple[int, _Bundle]:
        """The first one, after what it is sorted by."""
        while True:
            order, _, bundle = self._heap[0]
            if bundle in self._there and order == self._sign * bundle.place:
                return order, bundle
            heappop(self._heap)


class _Group:
    """Ready jobs of a group and its allocations."""

    __slots__ = ("block", "busy", "latest_end", "offers", "queue")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.queue = ReadyQueue()
        self.busy = 0
        self.latest_end = 0.0
        self.offers: dict[int, _Offers] = {}
        """By kind of job the bundles that have not refused it since something on them ended."""

    def offer(self, bundle: _Bundle) -> None:
        for bundles in self.offers.values():
            bundles.add(bundle)

    def first(self) -> _Bundle | None:
        """Whose turn it is: the first of all bundles that may take a job that waits, whatever kind of job."""
        found = [offers.first() for kind in self.queue.kinds if (offers := self.offers[kind])]
        return min(found, key=_order)[1] if found else None


class Replay:
    """One run on paper.

    Parameters
    ----------
    patience
        Seconds after which an idle allocation leaves; None: never before its end.
    stuck
        Asked when jobs can run nowhere; what it answers comes at once.
    living
        What is there already.
    newest_first
        Of several allocations that could take a job the youngest does; else the oldest.
    """

    def __init__(
        self,
        course: Course,
        blocks: Sequence[Block],
        firings: Sequence[Firing],
        *,
        patience: float | None = 90,
        stuck: Stuck | None = None,
        living: Sequence[Living] = (),
        newest_first: bool = False,
    ) -> None:
        self._course, self._stuck, self._patience = course, stuck, patience
        self._groups = [_Group(block) for block in blocks]
        self._kind_of = [one.kind for one in course.cohorts]
        self._missing = list(course.missing)
        self._unstarted = list(course.missing)
        self._waits: list[list[int]] = [[] for _ in course.missing]
        self._open = [len(one.waits) for one in course.cohorts]
        self._unbegun = [len(one.waits) for one in course.cohorts]
        self._imminent: dict[int, float] = {}
        self._ready: dict[int, float] = {}
        self._heap: list[tuple[float, int, _Run]] = []
        self._number = 0
        self._ended = 0
        self._ran: dict[int, int] = {}
        self._living = living
        self._placed: dict[int, int] = {}
        self._now = 0.0
        self._busy = 0.0
        self._bundles: list[_Bundle] = []
        self._came = 0
        self._newest_first = newest_first
        self._fired: set[int] = set()
        self._firings = list(firings)
        self._by_cohort: dict[int, list[int]] = {}
        for place, firing in enumerate(self._firings):
            for cohort in firing.cohorts:
                self._by_cohort.setdefault(cohort, []).append(place)
        for cohort, one in enumerate(course.cohorts):
            for group in one.waits:
                self._waits[group].append(cohort)
            if one.group is not None:
                offers = self._groups[one.group].offers
                if one.kind not in offers:
                    offers[one.kind] = _Offers(newest_first=newest_first)

    def run(self) -> Outcome:
        """From the first job to the last."""
        course = self._course
        for one in self._living:
            self._live(one)
        for place, firing in enumerate(self._firings):
            if not firing.cohorts:
                self._fire(place)
        self._become_ready([c for c, left in enumerate(self._open) if not left])
        self._claims()
        while self._heap:
            self._now = self._heap[0][0]
            ended: list[int] = []
            while self._heap and self._heap[0][0] <= self._now:
                ended += self._end(heappop(self._heap)[2])
            self._become_ready(ended)
            self._claims()
        total = sum(len(one.jobs) for one in course.cohorts)
        return Outcome(
            left=total - self._ended, seconds=self._now, busy=self._busy, allocated=self._allocated(),
            most_nodes=self._most_nodes(), ready=self._ready, ran=self._ran,
        )  # fmt: skip

    def _allocated(self) -> float:
        return sum(
            one.count * self._groups[one.group].block.nodes * (one.last - one.begun) for one in self._bundles
        )

    def _most_nodes(self) -> int:
        steps = sorted(
            step
            for one in self._bundles
            for nodes in [one.count * self._groups[one.group].block.nodes]
            for step in ((one.begun, 1, nodes), (one.last, 0, -nodes))
        )
        return max(accumulate(nodes for _, _, nodes in steps), default=0)

    def _fire(self, place: int) -> None:
        if place not in self._fired:
            self._fired.add(place)
            firing = self._firings[place]
            self._begin(firing.group, firing.allocations)

    def _begin(self, number: int, count: int) -> None:
        """Let allocations come."""
        if count:
            group = self._groups[number]
            bundle = _Bundle(number, count, self._now, group.block, self._came)
            self._came += count
            group.latest_end = max(group.latest_end, self._now + group.block.usable)
            group.offer(bundle)
            self._bundles.append(bundle)

    def _live(self, one: Living) -> None:
        """Let an allocation be there with what runs on it."""
        group = self._groups[one.group]
        bundle = _Bundle(one.group, 1, -one.age, group.block, self._came)
        self._came += 1
        group.latest_end = max(group.latest_end, group.block.usable - one.age)
        self._bundles.append(bundle)
        for cohort in one.running:
            need = self._course.cohorts[cohort].need
            node = next((k for k, free in enumerate(bundle.free) if free.covers(need.resources)), None)
            back = [] if node is None else [(node, need.resources)]
            for k, amount in back:
                bundle.free[k] -= amount
            if not bundle.runs:
                group.busy += 1
            self._placed[cohort] = self._placed.get(cohort, 0) + 1
            self._start(Taken(shape=need, parts=[(cohort, 1)], back=back), bundle)
        bundle.idle_since = 0.0
        group.offer(bundle)

    def _become_ready(self, cohorts: Sequence[int]) -> None:
        for cohort in cohorts:
            one = self._course.cohorts[cohort]
            self._ready[cohort] = self._now
            if one.group is None:
                if count := len(one.jobs) - self._placed.get(cohort, 0):
                    self._start(Taken(shape=one.need, parts=[(cohort, count)], back=()), None)
                continue
            self._groups[one.group].queue.add(cohort, one.kind, one.need, one.priority, len(one.jobs))
            for place in self._by_cohort.get(cohort, ()):
                self._fire(place)

    def _start(self, taken: Taken, bundle: _Bundle | None) -> None:
        run = _Run(self._now + taken.shape.runtime, taken, bundle)
        if bundle is not None:
            bundle.runs.append(run)
        self._push(run)
        allocations = 1 if bundle is None else bundle.count
        for cohort, number in taken.parts:
            for group in self._course.cohorts[cohort].members:
                self._unstarted[group] -= number * allocations
                if not self._unstarted[group]:
                    for other in self._waits[group]:
                        self._unbegun[other] -= 1
                        if not self._unbegun[other]:
                            self._imminent[other] = self._now

    def _push(self, run: _Run) -> None:
        self._number += 1
        heappush(self._heap, (run.end, self._number, run))

    def _end(self, run: _Run) -> list[int]:
        """End a run: the cohorts that become ready."""
        bundle, allocations, share = run.bundle, 1, 0.0
        if bundle is not None:
            allocations = bundle.count
            bundle.runs.remove(run)
            for node, amount in run.taken.back:
                bundle.free[node] += amount
            group = self._groups[bundle.group]
            bundle.last = self._now
            if not bundle.runs:
                group.busy -= bundle.count
                bundle.idle_since = self._now
            group.offer(bundle)
            share = run_share(run.taken.shape, group.block)
        found = []
        for cohort, number in run.taken.parts:
            units = number * allocations
            self._busy += units * share
            self._ended += units
            self._ran[cohort] = self._ran.get(cohort, 0) + units
            for dependency in self._course.cohorts[cohort].members:
                self._missing[dependency] -= units
                if not self._missing[dependency]:
                    for other in self._waits[dependency]:
                        self._open[other] -= 1
                        if not self._open[other]:
                            found.append(other)
        return found

    def _claims(self) -> None:
        for number, group in enumerate(self._groups):
            if group.queue.kinds:
                self._claim_all(group)
                if self._stuck is not None:
                    self._unstick(number, group)

    def _claim_all(self, group: _Group) -> None:
        while bundle := group.first():
            self._claim(group, bundle)

    def _claim(self, group: _Group, bundle: _Bundle) -> None:
        if self._left(group, bundle):
            for offers in group.offers.values():
                offers.discard(bundle)
            return
        left = bundle.begun + group.block.usable - self._now
        choices = group.queue.choose(room_of(bundle.free, group.block, left)) if left > 0 else ()
        if choices:
            counts = counted(choices)
            times = min(bundle.count, group.queue.times(counts))
            if times < bundle.count:
                self._split(group, bundle, bundle.count - times)
            group.queue.take({cohort: times * number for cohort, number in counts.items()}, self._kind_of)
            if not bundle.runs:
                group.busy += bundle.count
            for one in occupy(bundle.free, choices, group.block):
                self._start(one, bundle)
        for kind in group.queue.kinds:
            group.offers[kind].discard(bundle)

    def _split(self, group: _Group, bundle: _Bundle, count: int) -> None:
        """Let so many allocations of a bundle go on as they are."""
        rest = bundle.split(count)
        self._bundles.append(rest)
        if self._newest_first:
            bundle.place += count
        else:
            rest.place += bundle.count
        for offers in group.offers.values():
            if bundle in offers:
                offers.discard(bundle)
                offers.add(bundle)
                offers.add(rest)
        for run in rest.runs:
            self._push(run)

    def _left(self, group: _Group, bundle: _Bundle) -> bool:
        """Whether an idle allocation has gone: nothing came for long, and nothing was foreseeable (`slurm.md` §5)."""
        if bundle.runs or self._patience is None:
            return False
        gone = bundle.idle_since + self._patience
        if self._now <= gone:
            return False
        end = bundle.begun + group.block.usable
        return not any(
            self._imminent.get(cohort, self._now) <= gone
            and self._now + self._course.cohorts[cohort].need.runtime <= end
            for cohort in group.queue.left
        )

    def _unstick(self, number: int, group: _Group) -> None:
        """Ask for allocations for jobs that none of those there can run, now or later."""
        assert self._stuck is not None
        lost = [
            kind
            for kind in group.queue.kinds
            if not group.offers[kind]
            and (not group.busy or group.latest_end - self._now < self._course.outline.needs[kind][0].runtime)
        ]
        if not lost:
            return
        come = self._stuck(number, dict(group.queue.waiting(lost)), self._ready)
        if come:
            self._begin(number, come)
            self._claim_all(group)


def _order(offer: tuple[int, _Bundle]) -> int:
    return offer[0]


def run_share(need: Shape, block: Block) -> float:
    """Seconds of nodes that a job takes: its runtime by the largest share of a node that it needs."""
    if need.nodes > 1:
        return float(need.runtime * need.nodes)
    node = block.node
    shares = [need.cpus / node.cpus if node.cpus else 0, need.memory / node.memory if node.memory else 0]
    if node.gpus:
        shares.append(need.gpus / node.gpus)
    return need.runtime * min(1.0, max(shares))
