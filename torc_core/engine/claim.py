"""Which ready jobs a node is given, in which order, and in which words it hears that there are none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heapreplace

from torc_core.model import JobId, Node, Offer, Resources, SchedulerId, Shape
from torc_core.record import record

HOLD_MS = 600_000
"""A job that has been ready for so long, and only lacks room, keeps those behind it off the node."""

AHEAD_MOST = 384
"""Jobs of one class that one node may hold in advance; of jobs that take a millisecond these last a tenth of a second."""

AHEAD_LEAVES = 16
"""Ready jobs of a class that are never handed out in advance, so that late nodes find work."""

Head = tuple[JobId, int, int]
"""A ready job as the claim sees it: id, priority, `ready_since` in milliseconds since 1970."""


@record(frozen=True, slots=True, kw_only=True)
class Ready:
    """The ready jobs of one class.

    Parameters
    ----------
    heads
        The first of them by (priority descending, id ascending); as many as `wanted` says are enough.
    count
        How many there are in all.
    """

    shape: Shape
    heads: Sequence[Head]
    count: int


@record(frozen=True, slots=True, kw_only=True)
class Room:
    """What a node can take now, and what it could take if nothing ran on it.

    Parameters
    ----------
    free
        Of each node of the allocation.
    capacity
        Of each node; None: what is free is all that is known.
    left
        Of all nodes together, by the records of the store; None: no records.
    time_limit
        Seconds; None: no end.
    """

    free: Sequence[Resources]
    capacity: Resources | None = None
    left: Resources | None = None
    time_limit: int | None = None
    label: str | None = None
    scheduler: SchedulerId | None = None
    strict: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Choice:
    """A job that is given, and the nodes it was fitted to (several only for jobs that take whole nodes)."""

    job: JobId
    shape: Shape
    nodes: tuple[int, ...] = (0,)


@record(frozen=True, slots=True, kw_only=True)
class Pick:
    """The answer to a claim; `waits_for` is the job that keeps the others off the node (`engine.md` §7.6)."""

    choices: Sequence[Choice] = ()
    waits_for: JobId | None = None


def taken(shape: Shape, capacity: Resources) -> Resources:
    """What a live attempt of this shape takes of its node: its needs, or whole nodes if it needs several."""
    if shape.nodes == 1:
        return shape.resources
    return _times(capacity, shape.nodes)


def room(offer: Offer, node: Node | None, used: Resources, *, by_hand: bool = False) -> Room:
    """What may be given for an offer: min(offer, capacity - live attempts) (`engine.md` §7.1).

    `used` is the sum of `taken` over the live attempts of the node. Without a node the offer alone counts. `by_hand`:
    a client that is not the node itself named it; label and scheduler are those of the offer.
    """
    if node is None or by_hand:
        place = Room(
            free=offer.free, time_limit=offer.time_limit, scheduler=offer.scheduler,
            strict=offer.strict_scheduler_match,
        )  # fmt: skip
        if node is None:
            return place
        return replace(place, left=_times(node.capacity, node.num_nodes) - used)
    return Room(
        free=[_least(free, node.capacity) for free in offer.free],
        capacity=node.capacity,
        left=_times(node.capacity, node.num_nodes) - used,
        time_limit=offer.time_limit,
        label=node.label,
        scheduler=node.scheduler_id,
        strict=offer.strict_scheduler_match,
    )


def wanted(shape: Shape, room: Room, limit: int) -> int:
    """How many heads of a class `pick` may look at: those that fit, and the one after; 0, if none can ever run here."""
    if limit < 1 or not could_run(shape, room):
        return 0
    if shape.nodes > 1:
        return min(limit, 1 + len(room.free) // shape.nodes)
    return min(limit, 1 + sum(_times_in(shape, free) for free in room.free))


def could_run(shape: Shape, room: Room) -> bool:
    """Whether jobs of this shape would fit the empty node within its time (`engine.md` §7.4)."""
    return why_never(shape, room) is None


def pick(ready: Sequence[Ready], room: Room, limit: int, *, now: int | None = None) -> Pick:
    """Choose jobs for a node, in the order of `engine.md` §7.3, as long as they fit (§7.4) and up to `limit`.

    A class that does not fit is skipped as a whole, which is the backfill. The first job that only lacks room and
    has been ready for `HOLD_MS` at `now` ends the choice (§7.6); `now` None: no job does. If schedulers were the
    only obstacle for all, they are ignored, unless the match is strict.

    Cost: O((classes + jobs given) x log classes), times the number of nodes.
    """
    fitting = [line for line in ready if line.heads and could_run(line.shape, room)]
    own = [line for line in fitting if line.shape.scheduler in (None, room.scheduler)]
    chosen = _greedy(own, room, limit, now)
    if not chosen.choices and not room.strict and len(own) < len(fitting):
        chosen = _greedy(fitting, room, limit, now)
    return chosen


def by_count(ready: Sequence[Ready], room: Room, limit: int) -> Pick:
    """Choose by priority and id alone (`engine.md` §7.5); only the label still counts."""
    lines = [line.heads for line in ready if line.shape.label == room.label]
    heads = sorted((-head[1], head[0], index) for index, line in enumerate(lines) for head in line[:limit])
    shapes = [line.shape for line in ready if line.shape.label == room.label]
    return Pick(choices=[Choice(job=job, shape=shapes[index]) for _, job, index in heads[:limit]])


def ahead(
    ready: Sequence[Ready],
    room: Room,
    limit: int,
    *,
    busy: Collection[Shape],
    held: Mapping[Shape, int],
    alone: bool,
) -> list[Choice]:
    """Choose jobs to hold in advance, of classes that the node runs already (`engine.md` §7.7).

    `ready` is what `pick` has left; `held` counts what the node holds in advance by class. Never more than
    `AHEAD_MOST` of a class, never its last `AHEAD_LEAVES` ready jobs (unless the node is `alone` in the
    workflow: then there is no late node to starve, and one that joins gets them by recall), and never a job of
    lower priority than one that waits for this very node.
    """
    bar = top_priority(ready, room)
    merged: list[tuple[tuple[int, ...], Shape, JobId]] = []
    for line in ready:
        if line.shape not in busy or (room.time_limit is not None and line.shape.runtime > room.time_limit):
            continue
        spare = line.count if alone else line.count - AHEAD_LEAVES
        most = min(limit, AHEAD_MOST - held.get(line.shape, 0), spare)
        for head in line.heads[: max(0, most)]:
            if bar is None or head[1] >= bar:
                merged.append((_place(line.shape, head), line.shape, head[0]))
    merged.sort(key=lambda entry: entry[0])
    return [Choice(job=job, shape=shape) for _, shape, job in merged[:limit]]


def top_priority(ready: Iterable[Ready], room: Room) -> int | None:
    """The highest priority among the ready jobs that this node could run; None: there is none."""
    return max(
        (line.heads[0][1] for line in ready if line.heads and could_run(line.shape, room)), default=None
    )


def recalled(held: Iterable[tuple[JobId, int]], top: int | None) -> list[JobId]:
    """Which jobs held in advance, as (id, priority), have to make way for a ready one of priority `top`."""
    return [] if top is None else [job for job, priority in held if priority < top]


def why_never(shape: Shape, room: Room) -> str | None:
    """Which rule keeps jobs of this shape off the node even when it is empty; None: nothing does."""
    if shape.label != room.label:
        return "label"
    if room.strict and shape.scheduler not in (None, room.scheduler):
        return "scheduler"
    if room.time_limit is not None and shape.runtime > room.time_limit:
        return "time"
    if shape.nodes > len(room.free):
        return "nodes"
    whole = [room.capacity] if room.capacity is not None else room.free
    return _lacking(shape, whole, shape.nodes if room.capacity is None else 1)


def why_not_now(shape: Shape, room: Room) -> str | None:
    """Which rule keeps a job of this shape off the node at present; None: it fits."""
    obstacle = why_never(shape, room)
    if obstacle is None and _Space(room).take(shape) is None:
        if shape.nodes > 1:
            return "nodes"
        left = room.left
        free = room.free if left is None else [_least(free, left) for free in room.free]
        obstacle = _lacking(shape, free, 1)
    return obstacle


def _lacking(shape: Shape, nodes: Sequence[Resources], count: int) -> str | None:
    """What `count` of these nodes do not have enough of."""
    if sum(_fits(shape, node) for node in nodes) >= count:
        return None
    if sum(node.gpus >= shape.gpus for node in nodes) < count:
        return "gpus"
    if sum(node.memory >= shape.memory for node in nodes) < count:
        return "memory"
    if sum(node.cpus >= shape.cpus for node in nodes) < count:
        return "cpus"
    return "together"


def _greedy(ready: Sequence[Ready], room: Room, limit: int, now: int | None) -> Pick:
    if len(ready) == 1 and ready[0].shape.nodes == 1:
        return _alike(ready[0], room, limit, now)
    space = _Space(room)
    lines: list[Iterator[Head]] = [iter(line.heads) for line in ready]
    orders = [_order(line.shape) for line in ready]
    # One entry per class: where its first job stands, the class, the job itself.
    queue = [
        ((-head[1], *orders[index], head[0]), index, head)
        for index, line in enumerate(ready)
        for head in line.heads[:1]
    ]
    heapify(queue)
    for line in lines:
        next(line, None)
    choices: list[Choice] = []
    looked = False
    while queue and len(choices) < limit:
        _, index, head = queue[0]
        shape = ready[index].shape
        nodes = space.take(shape)
        if nodes is None:
            # Room only shrinks within a claim, so nothing else of this class fits either.
            if not looked and now is not None and room.capacity is not None and now - head[2] >= HOLD_MS:
                return Pick(choices=choices, waits_for=head[0])
            looked = True
            heappop(queue)
            continue
        choices.append(Choice(job=head[0], shape=shape, nodes=nodes))
        following = next(lines[index], None)
        if following is None:
            heappop(queue)
        else:
            heapreplace(queue, ((-following[1], *orders[index], following[0]), index, following))
    return Pick(choices=choices)


def _alike(line: Ready, room: Room, limit: int, now: int | None) -> Pick:
    """The same where all jobs are of one class: how many fit is arithmetic."""
    shape, heads, choices = line.shape, line.heads[:limit], list[Choice]()
    most = len(heads) if room.left is None else min(len(heads), _room_for(shape, room.left))
    for index, free in enumerate(room.free):
        some = heads[len(choices) : min(most, len(choices) + _room_for(shape, free))]
        choices += [Choice(job=head[0], shape=shape, nodes=(index,)) for head in some]
    first_out = heads[len(choices)] if len(choices) < len(heads) else None
    held = first_out and now is not None and room.capacity is not None and now - first_out[2] >= HOLD_MS
    return Pick(choices=choices, waits_for=first_out[0] if first_out and held else None)


def _place(shape: Shape, head: Head) -> tuple[int, ...]:
    """Sorts jobs by priority, GPUs, runtime, memory and CPUs, all descending, then id (`engine.md` §7.3)."""
    return (-head[1], *_order(shape), head[0])


def _order(shape: Shape) -> tuple[int, int, int, int]:
    """The part of it that all jobs of a class have in common."""
    return (-shape.gpus, -shape.runtime, -shape.memory, -shape.cpus)


def _fits(shape: Shape, free: Resources) -> bool:
    """Whether one node has room for a job; as `covers`."""
    # PERF: this is asked for every job that is given; the resources of a shape are not made for it.
    return free.cpus >= shape.cpus and free.memory >= shape.memory and free.gpus >= shape.gpus


def _less(free: Resources, shape: Shape) -> Resources:
    return Resources(
        cpus=free.cpus - shape.cpus, memory=free.memory - shape.memory, gpus=free.gpus - shape.gpus
    )


class _Space:
    """Free room while jobs are fitted into it."""

    def __init__(self, room: Room) -> None:
        self._free = list(room.free)
        self._capacity = room.capacity
        self._left = room.left
        self._idle = [room.capacity is None or free.covers(room.capacity) for free in room.free]

    def take(self, shape: Shape) -> tuple[int, ...] | None:
        """Fit a job in: the nodes it gets, None if there is no room."""
        if shape.nodes == 1:
            if self._left is not None and not _fits(shape, self._left):
                return None
            for index, free in enumerate(self._free):
                if _fits(shape, free):
                    self._free[index] = _less(free, shape)
                    self._idle[index] = False
                    if self._left is not None:
                        self._left = _less(self._left, shape)
                    return (index,)
            return None
        fitting = (i for i, free in enumerate(self._free) if self._idle[i] and _fits(shape, free))
        nodes = tuple(index for index, _ in zip(fitting, range(shape.nodes), strict=False))
        whole = taken(shape, self._capacity) if self._capacity is not None else None
        if len(nodes) < shape.nodes or (self._left and whole and not self._left.covers(whole)):
            return None
        for index in nodes:
            self._free[index] = Resources()
            self._idle[index] = False
        if self._left is not None and whole is not None:
            self._left -= whole
        return nodes


def _room_for(shape: Shape, free: Resources) -> int:
    """How many such jobs fit; none where the records have given away more than there is."""
    return _times_in(shape, free) if _fits(shape, free) else 0


def _times_in(shape: Shape, free: Resources) -> int:
    pairs = ((shape.cpus, free.cpus), (shape.memory, free.memory), (shape.gpus, free.gpus))
    return min((has // need for need, has in pairs if need > 0), default=2**31)


def _times(amount: Resources, count: int) -> Resources:
    return Resources(cpus=amount.cpus * count, memory=amount.memory * count, gpus=amount.gpus * count)


def _least(one: Resources, other: Resources) -> Resources:
    return Resources(
        cpus=min(one.cpus, other.cpus), memory=min(one.memory, other.memory), gpus=min(one.gpus, other.gpus)
    )
