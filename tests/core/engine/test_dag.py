"""Plans and pictures of workflows: order, stages, the longest chain, and what would happen on so many nodes."""

from __future__ import annotations

import random

import pytest

from torc_core.engine.dag import Dag, Scheduling, Step
from torc_core.engine.graph import COLLAPSED_FROM, MOST_NODES, picture
from torc_core.engine.outline import folded, moments
from torc_core.engine.simulation import Machine, simulate


def diamond() -> Dag:
    return Dag(
        name="d",
        steps=[
            Step(name="prep", seconds=10),
            Step(name="left", seconds=20, cpus=2),
            Step(name="right", seconds=5),
            Step(name="join", seconds=1),
        ],
        waits=[[], [0], [0], [1]],
        groups=[[0], [1, 2]],
    )


def chance(seed: int, size: int) -> Dag:
    """Jobs that wait for earlier ones, by chance."""
    dice = random.Random(seed)
    groups = [sorted(dice.sample(range(at), min(at, 3))) for at in range(1, size, 2)]
    return Dag(
        name="x",
        steps=[Step(name=f"j{n}", seconds=dice.randint(1, 9), cpus=dice.randint(1, 4)) for n in range(size)],
        waits=[
            [g for g in range(len(groups)) if max(groups[g]) < n and dice.random() < 0.3] for n in range(size)
        ],
        groups=groups,
    )


@pytest.mark.parametrize("seed", range(20))
def test_every_job_comes_once_after_all_that_it_waits_for(seed: int) -> None:
    dag = chance(seed, 40)

    order = list(dag.order())
    levels = dag.levels()

    assert sorted(order) == list(range(40))
    place = {job: at for at, job in enumerate(order)}
    for job in order:
        assert all(place[one] < place[job] and levels[one] < levels[job] for one in dag.blockers(job))


def test_the_chain_that_takes_longest_is_found() -> None:
    path, seconds = diamond().critical_path()

    assert ([diamond().steps[job].name for job in path], seconds) == (["prep", "left", "join"], 31)
    assert Dag(name="empty").critical_path() == ((), 0.0)


def test_jobs_that_wait_for_the_same_become_ready_together() -> None:
    dag = diamond()

    first, second, third = moments(dag)

    assert [list(one.jobs) for one in (first, second, third)] == [[0], [1, 2], [3]]
    assert (list(third.trigger), list(third.after), second.before) == ([1, 2], [1], [2])


def test_allocations_are_asked_for_when_their_jobs_are_ready() -> None:
    asked = [Scheduling(scheduler="s"), Scheduling(scheduler="late", at_start=False, jobs=[3])]
    dag = diamond()
    with_them = Dag(name="d", steps=dag.steps, waits=dag.waits, groups=dag.groups, schedulings=asked)

    told = [[one.scheduler for one in moment.schedulings] for moment in moments(with_them)]

    assert told == [["s"], [], ["late"]]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["work_1", "work_2", "work_3", "last"], ["work_{1..3}", "last"]),
        (["a1", "a3", "a2", "a7"], ["a{1..3}", "a7"]),
        (["a01", "a02", "a10"], ["a{01..02}", "a10"]),
        (["a1_1", "a1_2"], ["a1_{1..2}"]),
        (["a1_1", "a2_2"], ["a1_1", "a2_2"]),
        (["a9", "a10"], ["a{9..10}"]),
        ([], []),
    ],
)
def test_names_that_differ_in_a_number_are_folded(names: list[str], told: list[str]) -> None:
    assert list(folded(names)) == told


@pytest.mark.parametrize("seed", range(10))
def test_a_forecast_lies_between_what_is_possible_and_one_job_after_the_other(seed: int) -> None:
    dag = chance(seed, 40)
    _, longest = dag.critical_path()
    work = sum(one.seconds * one.cpus for one in dag.steps)

    for nodes in (1, 2, 8):
        machine = Machine(nodes=nodes, cpus=4)
        found = simulate(dag, machine)
        assert found.stuck == 0
        assert max(longest, work / (4 * nodes)) <= found.seconds <= sum(one.seconds for one in dag.steps)
        assert found.busy_cpu_seconds == work
    assert simulate(dag, Machine(nodes=1_000, cpus=4)).seconds == longest


def test_a_job_begins_only_where_it_can_end_within_the_walltime() -> None:
    dag = Dag(
        name="d", steps=[Step(name="a", seconds=7), Step(name="b", seconds=6)], waits=[[], [0]], groups=[[0]]
    )

    found = simulate(dag, machine := Machine(nodes=1, cpus=1, walltime=10.0))

    assert found.seconds == pytest.approx(16)
    assert found.node_hours(machine) == pytest.approx(20 / 3600)
    assert simulate(dag, Machine(nodes=1, cpus=1, walltime=6.5)).stuck == 2


def test_walltimes_go_on_for_ever_without_losing_their_place() -> None:
    dag = Dag(name="d", steps=[Step(name=f"a{n}", seconds=0.7) for n in range(2_000)], waits=[[]] * 2_000)

    found = simulate(dag, Machine(nodes=1, cpus=1, walltime=0.7))

    assert found.stuck == 0
    assert found.seconds == pytest.approx(1_400, rel=1e-3)


def test_what_fits_nowhere_is_told_with_all_that_waits_for_it() -> None:
    dag = Dag(
        name="d", steps=[Step(name="big", cpus=9), Step(name="after"), Step(name="two", nodes=2)], waits=[[], [0], []], groups=[[0]]
    )  # fmt: skip

    assert simulate(dag, Machine(nodes=1, cpus=8)).stuck == 3
    assert simulate(dag, Machine(nodes=2, cpus=8)).stuck == 2


def test_a_picture_names_every_job_and_every_dependency() -> None:
    drawn = picture(diamond(), "jobs")

    names = {one.id: one.label for one in drawn.nodes}
    assert sorted((names[a], names[b]) for a, b in drawn.edges) == [
        ("left", "join"), ("prep", "left"), ("prep", "right"), ("right", "join"),
    ]  # fmt: skip
    assert not drawn.collapsed


def test_an_edge_between_jobs_drawn_as_one_stands_for_each_pair_once() -> None:
    steps = [Step(name=name) for name in ("w1", "w2", "w3", "end")]
    dag = Dag(name="d", steps=steps, waits=[[], [], [], [0, 1]], groups=[[0, 1], [1, 2]])

    drawn = picture(dag, "jobs", collapse=True)

    assert list(drawn.edges.values()) == [3]


def test_files_stand_between_the_jobs_that_write_and_read_them() -> None:
    dag = Dag(
        name="d", steps=[Step(name="a", writes=[0]), Step(name="b", reads=[0, 1])], waits=[[], [0]], groups=[[0]],
        files=["made", "given"],
    )  # fmt: skip

    drawn = picture(dag, "files")

    names = {one.id: one.label for one in drawn.nodes}
    assert {(names[a], names[b]) for a, b in drawn.edges} == {("a", "made"), ("made", "b"), ("given", "b")}
    levels = {one.label: one.level for one in drawn.nodes}
    assert levels["a"] < levels["made"] < levels["b"]
    assert levels["given"] < levels["b"]


def test_many_jobs_of_one_kind_are_drawn_as_one_and_never_too_many() -> None:
    size = COLLAPSED_FROM
    dag = Dag(
        name="d",
        steps=[*(Step(name=f"work_{n}") for n in range(size)), Step(name="sum")],
        waits=[*([] for _ in range(size)), [0]],
        groups=[list(range(size))],
    )
    drawn = picture(dag, "jobs")
    assert [(one.label, one.count) for one in drawn.nodes] == [("work_{}", size), ("sum", 1)]
    assert list(drawn.edges.values()) == [size]

    many = Dag(
        name="d", steps=[Step(name=f"x{n}") for n in range(MOST_NODES + 5)], waits=[[]] * (MOST_NODES + 5)
    )
    assert (len(picture(many, "jobs", collapse=False).nodes), picture(many, "jobs", collapse=False).omitted_nodes) == (
        MOST_NODES, 5,
    )  # fmt: skip
