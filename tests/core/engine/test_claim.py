"""Claim order, fit, holds and explanations, against slow and obvious versions of them."""

from __future__ import annotations

from random import Random

import pytest

from torc_core.engine.claim import (
    AHEAD_LEAVES,
    AHEAD_MOST,
    HOLD_MS,
    Ready,
    Room,
    ahead,
    by_count,
    could_run,
    pick,
    recalled,
    room,
    taken,
    wanted,
    why_never,
)
from torc_core.engine.explain import explain_empty, nothing_ready
from torc_core.model import JobId, JobStatus, Node, NodeId, Offer, Resources, SchedulerId, Shape, WorkflowId
from torc_core.model.resources import GIB


def ready(shape: Shape, *jobs: tuple[int, int], since: int = 0) -> Ready:
    """A class with these jobs, as (id, priority)."""
    heads = sorted(
        ((JobId(id), priority, since) for id, priority in jobs), key=lambda head: (-head[1], head[0])
    )
    return Ready(shape=shape, heads=heads, count=len(heads))


def free(cpus: int = 4, memory: int = 8 * GIB, gpus: int = 0, *, nodes: int = 1, **more: int) -> Room:
    one = Resources(cpus=cpus, memory=memory, gpus=gpus)
    return Room(free=[one] * nodes, capacity=one, **more)  # type: ignore[arg-type]  # test shorthand


def ids(chosen: object) -> list[int]:
    return [choice.job for choice in chosen.choices]  # type: ignore[attr-defined]  # test shorthand


def random_shape(dice: Random) -> Shape:
    return Shape(
        cpus=dice.randint(1, 5), memory=dice.choice((1, 2, 6)) * GIB, gpus=dice.choice((0, 0, 1)),
        runtime=dice.choice((60, 600)), label=dice.choice((None, None, None, "x")),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(200))
def test_a_claim_is_the_greedy_walk_through_all_jobs_in_order(seed: int) -> None:
    dice = Random(seed)
    shapes = list(dict.fromkeys(random_shape(dice) for _ in range(dice.randint(1, 8))))
    jobs = [(id, dice.randint(0, 2), dice.choice(shapes)) for id in range(1, dice.randint(2, 60))]
    place = free(
        dice.randint(1, 16),
        dice.choice((4, 16)) * GIB,
        dice.randint(0, 2),
        time_limit=dice.choice((300, 900)),
    )
    limit = dice.choice((1, 3, 64))

    chosen = pick(
        [ready(shape, *((id, p) for id, p, s in jobs if s == shape)) for shape in shapes], place, limit
    )

    left, expected = place.free[0], []
    order = sorted(jobs, key=lambda j: (-j[1], -j[2].gpus, -j[2].runtime, -j[2].memory, -j[2].cpus, j[0]))
    for id, _, shape in order:
        fits = (
            shape.label is None and shape.runtime <= (place.time_limit or 0) and left.covers(shape.resources)
        )
        if fits and len(expected) < limit:
            expected.append(id)
            left -= shape.resources
    assert ids(chosen) == expected


@pytest.mark.parametrize("seed", range(100))
def test_as_many_heads_as_wanted_are_enough(seed: int) -> None:
    dice = Random(seed)
    shapes = list(dict.fromkeys(random_shape(dice) for _ in range(6)))
    lines = [
        ready(shape, *((100 * at + id, dice.randint(0, 1)) for id in range(40)))
        for at, shape in enumerate(shapes)
    ]
    place = free(dice.randint(1, 12), 16 * GIB, 1, nodes=dice.randint(1, 3), time_limit=600)

    short = [
        Ready(shape=line.shape, heads=line.heads[: wanted(line.shape, place, 64)], count=line.count)
        for line in lines
    ]

    assert pick(short, place, 64, now=HOLD_MS) == pick(lines, place, 64, now=HOLD_MS)


@pytest.mark.parametrize("seed", range(100))
def test_what_is_chosen_fits_the_nodes_it_is_fitted_to(seed: int) -> None:
    dice = Random(seed)
    lines = [
        ready(
            Shape(cpus=dice.randint(1, 4), nodes=dice.choice((1, 1, 2)), runtime=60 + at),
            *((10 * at + i, 0) for i in range(9)),
        )
        for at in range(4)
    ]
    nodes = [Resources(cpus=dice.randint(0, 4), memory=GIB) for _ in range(4)]
    place = Room(free=nodes, capacity=Resources(cpus=4, memory=GIB))

    chosen = pick(lines, place, 64).choices

    taken_of = [Resources() for _ in nodes]
    whole: list[int] = []
    for choice in chosen:
        for node in choice.nodes:
            taken_of[node] += choice.shape.resources
            whole += [node] * (choice.shape.nodes > 1)
        assert len(choice.nodes) == choice.shape.nodes
    assert all(has.covers(need) for has, need in zip(nodes, taken_of, strict=True))
    assert len(whole) == len(set(whole))
    assert not [c for c in chosen if c.shape.nodes == 1 and c.nodes[0] in whole]


@pytest.mark.parametrize("seed", range(300))
def test_jobs_of_one_class_are_given_one_after_the_other(seed: int) -> None:
    dice = Random(seed)
    shape = Shape(cpus=dice.randint(1, 3), memory=dice.randint(1, 3) * GIB, gpus=dice.randint(0, 1))
    jobs = ready(shape, *((id, dice.randint(0, 2)) for id in range(1, dice.randint(2, 40))))
    nodes = [
        Resources(cpus=dice.randint(0, 9), memory=dice.randint(0, 16) * GIB, gpus=dice.randint(-1, 9))
        for _ in range(dice.randint(1, 3))
    ]
    whole = Resources(cpus=16, memory=32 * GIB, gpus=9)
    left = dice.choice(
        (None, Resources(cpus=dice.randint(-1, 20), memory=20 * GIB, gpus=dice.randint(-1, 20)))
    )
    place = Room(free=tuple(nodes), capacity=dice.choice((None, whole)), left=left)
    limit = dice.randint(1, 30)
    expected, held = [], None
    for id, _, _ in jobs.heads[:limit]:
        node = next((at for at, one in enumerate(nodes) if one.covers(shape.resources)), None)
        if node is None or (left is not None and not left.covers(shape.resources)):
            held = id if place.capacity else None
            break
        nodes[node] -= shape.resources
        left = left and left - shape.resources
        expected.append((id, (node,)))

    chosen = pick([jobs], place, limit, now=HOLD_MS)

    assert ([(one.job, one.nodes) for one in chosen.choices], chosen.waits_for) == (expected, held)


def test_10_000_unfit_jobs_do_not_hide_the_one_that_fits() -> None:
    unfit = ready(Shape(cpus=99), *((id, 5) for id in range(10_000)))

    assert ids(pick([unfit, ready(Shape(), (20_000, 0))], free(), 8)) == [20_000]


def test_what_is_left_by_the_records_bounds_the_offer() -> None:
    node = Node(
        id=NodeId(1), workflow_id=WorkflowId(1), epoch="e", hostname="h", pid=1, boot_id="b", process_start=1,
        capacity=Resources(cpus=8, memory=GIB), num_nodes=2,
    )  # fmt: skip
    offer = Offer(claim_id="c", free=[Resources(cpus=99, memory=99 * GIB)] * 2)
    used = taken(Shape(cpus=3), node.capacity) + taken(Shape(nodes=1, cpus=8), node.capacity)

    place = room(offer, node, used)

    assert (place.free[0], place.left) == (node.capacity, Resources(cpus=5, memory=2 * GIB - 2 * 1024**2))
    assert len(pick([ready(Shape(), *((id, 0) for id in range(99)))], place, 99).choices) == 5


def test_a_job_of_two_nodes_takes_both_of_them_by_the_records() -> None:
    assert taken(Shape(nodes=2), Resources(cpus=8, memory=GIB, gpus=1)) == Resources(
        cpus=16, memory=2 * GIB, gpus=2
    )


def test_schedulers_count_before_they_are_ignored() -> None:
    own, foreign = (ready(Shape(scheduler=SchedulerId(at)), (at, 0)) for at in (1, 2))
    place = Room(free=[Resources(cpus=9, memory=GIB)], scheduler=SchedulerId(1))

    assert ids(pick([own, foreign], place, 9)) == [1]
    assert ids(pick([foreign], place, 9)) == [2]
    assert (
        why_never(foreign.shape, Room(free=place.free, scheduler=SchedulerId(1), strict=True)) == "scheduler"
    )


@pytest.mark.parametrize(("waited", "given"), [(HOLD_MS - 1, [2]), (HOLD_MS, [])])
def test_a_job_holds_a_node_only_after_its_time(waited: int, given: list[int]) -> None:
    large, small = ready(Shape(cpus=4, runtime=90), (1, 0)), ready(Shape(), (2, 0))
    place = Room(free=[Resources(cpus=1, memory=GIB)], capacity=Resources(cpus=4, memory=GIB))

    chosen = pick([large, small], place, 9, now=waited)

    assert ids(chosen) == given
    assert chosen.waits_for == (None if given else 1)


def test_jobs_that_come_before_the_one_that_holds_are_still_given() -> None:
    first, large, small = (
        ready(Shape(), (3, 1)),
        ready(Shape(cpus=4, runtime=90), (1, 0)),
        ready(Shape(runtime=30), (2, 0)),
    )
    place = Room(free=[Resources(cpus=2, memory=GIB)], capacity=Resources(cpus=4, memory=GIB))

    chosen = pick([first, large, small], place, 9, now=HOLD_MS)

    assert (ids(chosen), chosen.waits_for) == ([3], 1)


def test_a_job_that_can_never_run_here_holds_nothing() -> None:
    place = Room(free=[Resources(cpus=1, memory=GIB)], capacity=Resources(cpus=4, memory=GIB))

    assert ids(pick([ready(Shape(cpus=9), (1, 9)), ready(Shape(), (2, 0))], place, 9, now=HOLD_MS)) == [2]


def test_by_count_only_the_label_keeps_a_job_away() -> None:
    lines = [
        ready(Shape(cpus=99), (1, 0), (2, 3)),
        ready(Shape(gpus=9), (3, 1)),
        ready(Shape(label="x"), (4, 9)),
    ]

    assert ids(by_count(lines, Room(free=[]), 2)) == [2, 3]


@pytest.mark.parametrize(
    ("count", "held", "alone", "given"),
    [
        (AHEAD_MOST + 100, 0, False, AHEAD_MOST),
        (AHEAD_MOST + 100, AHEAD_MOST - 5, False, 5),
        (AHEAD_LEAVES + 4, 0, False, 4),
        (AHEAD_LEAVES + 4, 0, True, AHEAD_LEAVES + 4),
    ],
)
def test_what_is_held_ahead_is_bounded(count: int, held: int, alone: bool, given: int) -> None:
    shape = Shape()
    line = ready(shape, *((id, 0) for id in range(count)))

    chosen = ahead([line], free(), 2 * AHEAD_MOST, busy=[shape], held={shape: held}, alone=alone)

    assert [choice.job for choice in chosen] == list(range(given))


def test_lower_priority_has_to_make_way() -> None:
    assert recalled([(JobId(1), 0), (JobId(2), 5)], 3) == [1]
    assert recalled([(JobId(1), 0)], None) == []


@pytest.mark.parametrize(
    ("shape", "place", "reason", "never"),
    [
        (Shape(cpus=9), free(4), "2 ready jobs: 2 need more CPUs than the 4 free", True),
        (Shape(memory=9 * GIB), free(), "2 ready jobs: 2 need more memory than the 8.0 GiB free", True),
        (Shape(gpus=1), free(), "2 ready jobs: 2 need more GPUs than the 0 free", True),
        (Shape(nodes=2), free(), "2 ready jobs: 2 need more whole idle nodes than there are", True),
        (Shape(label="a"), free(), "2 ready jobs: 2 carry a label", True),
        (Shape(label="a"), free(label="b"), '2 ready jobs: 2 carry another label than "b"', True),
        (Shape(runtime=200), free(time_limit=90), "2 ready jobs: 2 need longer than the 90 s left", True),
        (Shape(), Room(free=[Resources()], capacity=Resources(cpus=1, memory=GIB)),
         "2 ready jobs: 2 need more memory than the 0.0 MiB free", False),
    ],
)  # fmt: skip
def test_each_obstacle_has_its_words(shape: Shape, place: Room, reason: str, never: bool) -> None:
    empty = explain_empty([(shape, 2)], place)

    assert (empty.reason, empty.never) == (reason, never)
    assert could_run(shape, place) is not never


def test_without_ready_jobs_the_counts_say_what_is_waited_for() -> None:
    assert nothing_ready({JobStatus.BLOCKED: 3, JobStatus.RUNNING: 2, JobStatus.COMPLETED: 9}) == (
        "no job is ready: 2 running, 3 blocked"
    )
    assert nothing_ready({JobStatus.COMPLETED: 1}) == "no job is ready; all have ended"
