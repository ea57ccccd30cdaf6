"""What jobs should ask for, by what they have been seen to use."""

from __future__ import annotations

from typing import Any

import pytest

from torc_core.engine.utilization import (
    Factors,
    correction,
    fields_of,
    rounded,
    size_text,
    uses,
    why_oom,
    why_timeout,
)
from torc_core.model import JobId, JobStatus, JobUsage, Requirement, Result, ResultId, WorkflowId
from torc_core.model.resources import GIB, MIB

WF = WorkflowId(1)
NEEDS = Requirement(workflow_id=WF, name="r", num_cpus=4, memory="8g", memory_bytes=8 * GIB, runtime_s=3600)


def result(
    *, memory: int | None = None, cpu: float | None = None, minutes: float = 30.0, **fields: Any
) -> Result:
    given = {"status": JobStatus.COMPLETED, "return_code": 0, "reason": None} | fields
    return Result(
        id=ResultId(1),
        workflow_id=WF,
        job_id=JobId(1),
        job_name="j",
        run_id=1,
        attempt_id=1,
        node_id=None,
        exec_minutes=minutes,
        completed_at=0,
        usage=JobUsage(peak_memory_bytes=memory, peak_cpu_percent=cpu),
        **given,
    )


def test_only_what_was_measured_is_compared() -> None:
    assert [use.dimension for use in uses(NEEDS, result())] == ["runtime"]
    over = {use.dimension: use.over for use in uses(NEEDS, result(memory=10 * GIB, cpu=100, minutes=90))}
    assert over == pytest.approx({"memory": 25, "cpu": -75, "runtime": 50})


@pytest.mark.parametrize(
    ("ended", "oom", "timeout"),
    [
        (result(reason="oom: 9g of 8g"), "reported", None),
        (result(memory=9 * GIB), "memory_exceeded", None),
        (result(return_code=137), "sigkill_137", None),
        (result(reason="runtime"), None, "reported"),
        (result(return_code=152), None, "sigxcpu_152"),
        (result(return_code=1, reason="exit_code"), None, None),
    ],
)
def test_a_failure_points_to_what_there_was_too_little_of(
    ended: Result, oom: str | None, timeout: str | None
) -> None:
    assert (why_oom(NEEDS, ended), why_timeout(ended)) == (oom, timeout)


def test_a_job_that_states_no_memory_has_no_limit_that_it_could_exceed() -> None:
    unstated = Requirement(workflow_id=WF, name="default")

    assert why_oom(unstated, result(memory=9 * GIB, return_code=3)) is None
    assert why_oom(unstated, result(reason="oom: 9g of 8g")) == "reported"


def test_what_one_job_exceeds_all_of_them_ask_for() -> None:
    found = correction(NEEDS, [result(memory=GIB), result(memory=10 * GIB, minutes=70), None], Factors())

    assert fields_of(found) == {"memory": "12g", "runtime": "PT84M"}
    assert (found.peak_memory, found.cpus) == (10 * GIB, None)


def test_a_job_that_was_stopped_at_its_limit_gets_more_than_the_limit() -> None:
    killed = result(memory=7 * GIB, reason="oom", status=JobStatus.FAILED, return_code=137)
    late = result(minutes=60, reason="runtime", status=JobStatus.TERMINATED, return_code=152)

    found = correction(NEEDS, [killed, late], Factors(memory=1.5, runtime=1.5))

    assert fields_of(found) == {"memory": "12g", "runtime": "PT90M"}


def test_less_is_asked_for_only_when_all_completed_and_were_measured() -> None:
    small = result(memory=GIB, cpu=95, minutes=10)

    assert fields_of(correction(NEEDS, [small, small], Factors())) == {
        "memory": "1229m", "num_cpus": 2, "runtime": "PT12M",
    }  # fmt: skip
    assert not correction(NEEDS, [small, None], Factors())
    assert not correction(NEEDS, [small, result(memory=GIB, status=JobStatus.FAILED)], Factors())
    assert not correction(NEEDS, [small], Factors(downsize=False))
    unmeasured = correction(NEEDS, [small, result(minutes=10)], Factors())
    assert (unmeasured.memory, unmeasured.cpus, unmeasured.runtime) == (None, None, 720)


def test_a_little_more_than_a_cpu_is_no_second_one() -> None:
    one = Requirement(workflow_id=WF, name="r", memory_bytes=8 * GIB, runtime_s=3600)

    assert correction(one, [result(cpu=120, minutes=55)], Factors(downsize=False)).cpus is None
    assert correction(one, [result(cpu=160, minutes=55)], Factors(downsize=False)).cpus == 2


def test_what_was_corrected_is_correct() -> None:
    ended = [result(memory=9 * GIB, cpu=700, minutes=100), result(memory=GIB, minutes=1)]
    found = correction(NEEDS, ended, Factors())
    assert found.memory and found.cpus and found.runtime
    after = Requirement(
        workflow_id=WF, name="r", num_cpus=found.cpus, memory_bytes=found.memory, runtime_s=found.runtime
    )

    assert not correction(after, ended, Factors())


@pytest.mark.parametrize(
    ("size", "text"), [(1, "1m"), (MIB + 1, "2m"), (9.5 * GIB, "9728m"), (10.1 * GIB, "11g")]
)
def test_memory_is_rounded_up_to_what_people_write(size: float, text: str) -> None:
    assert size_text(rounded(size)) == text
