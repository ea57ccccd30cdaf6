"""What jobs ask for the next time: never less than they had or used, never more than anybody allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.model import (
    Job,
    JobId,
    JobStatus,
    JobUsage,
    Requirement,
    RequirementId,
    Resources,
    Result,
    ResultId,
    WorkflowId,
)
from torc_core.record import record
from torc_slurm.recovering.adjusting import Caps, Factors, Growth, grown
from torc_slurm.recovering.diagnosis import Cause, Diagnosis
from torc_slurm.recovering.limits import caps_of

GIB, MIB = 1024**3, 1024**2
NEEDS = Requirement(
    id=RequirementId(7), workflow_id=WorkflowId(1), name="big", num_cpus=2, memory="8g", memory_bytes=8 * GIB,
    runtime="PT60M", runtime_s=3600,
)  # fmt: skip


def sick(
    cause: Cause, *, peak: int = 0, minutes: float = 0.0, needs: Requirement = NEEDS, job: int = 1
) -> Diagnosis:
    result = Result(
        id=ResultId(job), workflow_id=WorkflowId(1), job_id=JobId(job), job_name=f"j{job}", run_id=3, attempt_id=1,
        node_id=None, status=JobStatus.FAILED, return_code=1, reason=None, exec_minutes=minutes, completed_at=0,
        usage=JobUsage(peak_memory_bytes=peak or None),
    )  # fmt: skip
    one = Job(id=JobId(job), workflow_id=WorkflowId(1), name=f"j{job}", command="x", requirement_id=needs.id)
    return Diagnosis(job=one, needs=needs, result=result, cause=cause, evidence="e")


def only(found: list[Growth]) -> Growth:
    (one,) = found
    return one


@pytest.mark.parametrize(
    ("memory", "peak", "factor", "wanted"),
    [
        ("8g", 0, 1.5, "12g"),
        ("8g", 10 * GIB, 1.5, "15g"),
        ("8g", 7 * GIB, 1.5, "12g"),
        ("100m", 0, 1.5, "150m"),
        ("100m", 101 * MIB + 1, 1.5, "152m"),
        ("8g", 9 * GIB + 1, 1.3, "12g"),
        ("1g", 0, 1.01, "1035m"),
    ],
)
def test_memory_grows_from_what_was_had_or_used(memory: str, peak: int, factor: float, wanted: str) -> None:
    size = {"8g": 8 * GIB, "100m": 100 * MIB, "1g": GIB}[memory]
    needs = replace(NEEDS, memory=memory, memory_bytes=size)

    found = only(grown([sick(Cause.OOM, peak=peak, needs=needs)], Factors(memory=factor), {}, 3))

    assert found.adjustment is not None
    assert found.adjustment.needs.memory == wanted
    assert (found.adjustment.needs.runtime, found.adjustment.needs.num_cpus) == ("PT60M", 2)


@pytest.mark.parametrize(
    ("minutes", "factor", "wanted"),
    [(60, 1.4, "PT84M"), (90, 1.4, "PT126M"), (10, 1.5, "PT90M"), (60, 1.01, "PT61M")],
)
def test_runtime_grows_in_whole_minutes(minutes: float, factor: float, wanted: str) -> None:
    found = only(grown([sick(Cause.TIMEOUT, minutes=minutes)], Factors(runtime=factor), {}, 3))

    assert found.adjustment is not None
    assert (found.adjustment.needs.runtime, found.adjustment.needs.memory) == (wanted, "8g")
    assert found.adjustment.needs.runtime_s == 60 * int(wanted[2:-1])


def test_jobs_of_one_requirement_and_one_cause_get_one_new_requirement() -> None:
    other = replace(NEEDS, id=RequirementId(8), name="small")
    found = grown(
        [
            sick(Cause.OOM, peak=9 * GIB, job=1),
            sick(Cause.OOM, peak=10 * GIB, job=2),
            sick(Cause.TIMEOUT, job=3),
            sick(Cause.OOM, job=4, needs=other),
            sick(Cause.UNKNOWN, job=5),
        ],
        Factors(),
        {},
        3,
    )

    told = [(one.adjustment.needs.name, list(one.adjustment.jobs)) for one in found if one.adjustment]
    assert told == [("big_oom_r4", [1, 2]), ("big_timeout_r4", [3]), ("small_oom_r4", [4])]
    assert found[0].adjustment is not None
    assert found[0].adjustment.needs.memory == "15g"


def test_names_do_not_grow_with_every_recovery() -> None:
    needs = replace(NEEDS, name="big_oom_r4")

    found = only(grown([sick(Cause.TIMEOUT, needs=needs)], Factors(), {}, 9))

    assert found.adjustment is not None
    assert found.adjustment.needs.name == "big_timeout_r10"


def test_a_cap_is_taken_where_it_still_is_more() -> None:
    caps = {
        NEEDS.id: Caps(
            memory=10 * GIB, memory_from="--max-memory", runtime=70 * 60, runtime_from="--max-runtime"
        )
    }

    more = only(grown([sick(Cause.OOM)], Factors(), caps, 3))
    longer = only(grown([sick(Cause.TIMEOUT)], Factors(), caps, 3))

    assert more.adjustment is not None and more.adjustment.needs.memory == "10g"
    assert longer.adjustment is not None and longer.adjustment.needs.runtime == "PT70M"


def test_a_job_that_cannot_grow_is_told_and_not_tried_again() -> None:
    caps = {
        NEEDS.id: Caps(
            memory=8 * GIB, memory_from="partition 'short'", runtime=3600, runtime_from="--max-runtime"
        )
    }

    more = only(grown([sick(Cause.OOM, peak=8 * GIB)], Factors(), caps, 3))
    longer = only(grown([sick(Cause.TIMEOUT, minutes=60)], Factors(), caps, 3))

    assert more.adjustment is None
    assert more.line == "asks for 8g of memory, used 8g, and partition 'short' allows 8g"
    assert longer.adjustment is None
    assert longer.line == "asks for 1h, ran 1h, and --max-runtime allows 1h"


def test_a_peak_beyond_the_cap_is_not_tried_again() -> None:
    caps = {NEEDS.id: Caps(memory=9 * GIB)}

    assert only(grown([sick(Cause.OOM, peak=12 * GIB)], Factors(), caps, 3)).adjustment is None


@record(frozen=True, slots=True, kw_only=True)
class Room:
    name: str
    node: Resources
    max_walltime_secs: int


ROOMS = [
    Room(name="long", node=Resources(cpus=104, memory=240 * GIB), max_walltime_secs=864_000),
    Room(name="bigmem", node=Resources(cpus=104, memory=2_000 * GIB), max_walltime_secs=172_800),
    Room(name="gpu", node=Resources(cpus=128, memory=360 * GIB, gpus=4), max_walltime_secs=14_400),
]


def test_the_largest_partition_that_takes_the_job_is_the_limit() -> None:
    caps = caps_of([NEEDS], ROOMS, max_memory=None, max_runtime=None)[NEEDS.id]

    assert (caps.memory, caps.memory_from) == (2_000 * GIB, "partition 'bigmem'")
    assert (caps.runtime, caps.runtime_from) == (864_000 - 150, "partition 'long'")


def test_more_memory_is_of_use_only_where_there_is_time() -> None:
    week = replace(NEEDS, runtime_s=604_800)
    large = replace(NEEDS, memory_bytes=1_000 * GIB)

    assert (
        caps_of([week], ROOMS, max_memory=None, max_runtime=None)[NEEDS.id].memory_from == "partition 'long'"
    )
    assert (
        caps_of([large], ROOMS, max_memory=None, max_runtime=None)[NEEDS.id].runtime_from
        == "partition 'bigmem'"
    )
    gpus = replace(NEEDS, num_gpus=2)
    assert caps_of([gpus], ROOMS, max_memory=None, max_runtime=None)[NEEDS.id].memory == 360 * GIB


def test_the_user_may_allow_less_than_the_cluster() -> None:
    caps = caps_of([NEEDS], ROOMS, max_memory=64 * GIB, max_runtime=7_200)[NEEDS.id]

    assert (caps.memory, caps.memory_from, caps.runtime, caps.runtime_from) == (
        64 * GIB, "--max-memory", 7_200, "--max-runtime",
    )  # fmt: skip


def test_without_a_cluster_there_is_no_end() -> None:
    assert caps_of([NEEDS], [], max_memory=None, max_runtime=None)[NEEDS.id] == Caps(
        memory_from="--max-memory", runtime_from="--max-runtime"
    )


def test_a_long_name_leaves_room_for_what_is_added() -> None:
    needs = Requirement(workflow_id=WorkflowId(1), name="r" * 255, memory="2g", memory_bytes=2 * GIB)

    found = only(grown([sick(Cause.OOM, peak=3 * GIB, needs=needs)], Factors(), {}, 9))

    assert found.adjustment is not None
    assert found.adjustment.needs.name == "r" * 200 + "_oom_r10"
