"""How many allocations of a scheduler ready jobs lack, and when they have to be longer or larger than those there were."""

from __future__ import annotations

import pytest

from torc_core.model import (
    Job,
    JobId,
    RequirementId,
    Resources,
    SchedulerId,
    SlurmScheduler,
    WorkflowId,
)
from torc_slurm.recovering.providing import Wanted
from torc_slurm.recovering.reusing import Asked, Shape, asked

GIB = 1024**3
FIELDS = {"account": "a", "walltime": "01:30:00", "nodes": 1, "mem": "240000M", "partition": "standard"}
PLAIN = Wanted()
NODE = Resources(cpus=104, memory=240_000 * 1024**2)


def ask(
    count: int, *, cpus: int = 1, memory: int = GIB, runtime: int = 3_600, nodes: int = 1,
    capacity: Resources | None = NODE, there: float = 0.0, wanted: Wanted = PLAIN,
) -> Asked:  # fmt: skip
    scheduler = SlurmScheduler(id=SchedulerId(1), workflow_id=WorkflowId(1), name="short", fields=FIELDS)
    shape = Shape(needs=Resources(cpus=cpus, memory=memory), runtime=runtime, nodes=nodes)
    jobs = [
        (
            Job(
                id=JobId(n),
                workflow_id=WorkflowId(1),
                name=f"j{n}",
                command="x",
                requirement_id=RequirementId(1),
            ),
            shape,
        )
        for n in range(1, count + 1)
    ]
    return asked(scheduler, jobs, capacity, there, before_end=90, run=2, wanted=wanted)


@pytest.mark.parametrize(
    ("count", "more", "allocations"),
    [
        (100, {"cpus": 104}, 100),
        (100, {"cpus": 26}, 25),
        (100, {"cpus": 26, "runtime": 1_500}, 9),
        (100, {"memory": 60 * GIB}, 34),
        (10, {"capacity": None}, 10),
        (10, {"capacity": None, "there": 4.0}, 6),
        (100, {"cpus": 26, "there": 25.0}, 0),
        (3, {"nodes": 4}, 3),
    ],
    ids=str,
)
def test_as_many_are_asked_for_as_the_jobs_need(
    count: int, more: dict[str, object], allocations: int
) -> None:
    found = ask(count, **more)  # type: ignore[arg-type]  # by the table

    assert found.count == allocations
    assert found.nodes == max(1, int(str(more.get("nodes", 1))))


def test_a_scheduler_that_suits_is_taken_as_it_is() -> None:
    found = ask(4)

    assert (found.fresh, found.name, dict(found.fields)) == (False, "short", FIELDS)


def test_a_job_that_takes_longer_gets_a_longer_allocation() -> None:
    found = ask(1, runtime=5_400)

    assert (found.name, found.fields["walltime"], found.fields["mem"]) == (
        "short_regen_r2",
        "02:15:00",
        "240000M",
    )


def test_a_job_that_needs_more_memory_gets_a_larger_allocation() -> None:
    found = ask(1, memory=300_000 * 1024**2)

    assert (found.fresh, found.fields["mem"], found.fields["walltime"]) == (True, "300000M", "01:30:00")
    assert found.count == 1


def test_what_the_user_fixes_is_kept() -> None:
    found = ask(2, wanted=Wanted(partition="long", walltime="2-00:00:00"), cpus=104)

    assert (found.fields["partition"], found.fields["walltime"], found.count) == ("long", "2-00:00:00", 1)
