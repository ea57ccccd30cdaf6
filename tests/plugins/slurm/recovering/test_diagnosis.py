"""The table of `slurm.md` §10: which evidence says what, and in which order it is looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.model import (
    Job,
    JobId,
    JobStatus,
    JobUsage,
    NodeId,
    Requirement,
    RequirementId,
    Result,
    ResultId,
    WorkflowId,
)
from torc_slurm.recovering.diagnosis import Cause, diagnose

GIB = 1024**3
FAILED, TERMINATED = JobStatus.FAILED, JobStatus.TERMINATED


def ended(
    code: int,
    reason: str | None = None,
    *,
    minutes: float = 10.0,
    peak: int | None = None,
    status: JobStatus = FAILED,
) -> Result:
    """A result of a job that asked for 60 min and 8 GiB."""
    return Result(
        id=ResultId(1), workflow_id=WorkflowId(1), job_id=JobId(1), job_name="a", run_id=1, attempt_id=1, node_id=NodeId(1),
        status=status, return_code=code, reason=reason, exec_minutes=minutes, completed_at=0,
        usage=JobUsage(peak_memory_bytes=peak),
    )  # fmt: skip


JOB = Job(
    id=JobId(1),
    workflow_id=WorkflowId(1),
    name="a",
    command="true",
    requirement_id=RequirementId(1),
    status=FAILED,
)
NEEDS = Requirement(
    id=RequirementId(1), workflow_id=WorkflowId(1), name="r", memory="8g", memory_bytes=8 * GIB, runtime="PT1H",
    runtime_s=3600,
)  # fmt: skip


@pytest.mark.parametrize(
    ("result", "state", "cause"),
    [
        (ended(137, "oom: peak 10g of 8g"), "", Cause.OOM),
        (ended(1, "exit_code", peak=9 * GIB), "", Cause.OOM),
        (ended(137, "exit_code", minutes=40), "", Cause.OOM),
        (ended(-9, "signal:SIGKILL", minutes=40), "", Cause.OOM),
        (ended(-9, "signal:SIGKILL", minutes=50), "OUT_OF_MEMORY", Cause.OOM),
        (ended(-128, "node_lost"), "OUT_OF_MEMORY", Cause.OOM),
        (ended(152, "walltime", status=TERMINATED), "", Cause.TIMEOUT),
        (ended(0, "walltime", status=TERMINATED), "", Cause.TIMEOUT),
        (ended(152, "runtime: 61 min of 60 min"), "", Cause.TIMEOUT),
        (ended(152, "exit_code"), "", Cause.TIMEOUT),
        (ended(137, "exit_code", minutes=58), "", Cause.TIMEOUT),
        (ended(-15, "signal:SIGTERM", minutes=59), "", Cause.TIMEOUT),
        (ended(-128, "node_lost"), "TIMEOUT", Cause.TIMEOUT),
        (ended(-128, "node_lost"), "", Cause.NODE_LOST),
        (ended(-128, None), "", Cause.NODE_LOST),
        (ended(-9, "runner_died", minutes=50, status=TERMINATED), "", Cause.NODE_LOST),
        (ended(-9, "runner_died", status=TERMINATED), "", Cause.NODE_LOST),
        (ended(-9, "interrupted", status=TERMINATED), "", Cause.NODE_LOST),
        (ended(137, "walltime", status=TERMINATED), "", Cause.TIMEOUT),
        (ended(-15, "lease_lost", minutes=50, status=TERMINATED), "", Cause.NODE_LOST),
        (ended(-15, "interrupted", status=TERMINATED), "", Cause.NODE_LOST),
        (ended(-15, "signal:SIGTERM"), "PREEMPTED", Cause.NODE_LOST),
        (ended(-128, "node_lost"), "NODE_FAIL", Cause.NODE_LOST),
        (ended(1, "exit_code"), "", Cause.UNKNOWN),
        (ended(1, "exit_code", minutes=59), "", Cause.UNKNOWN),
        (ended(1, "exit_code"), "OUT_OF_MEMORY", Cause.UNKNOWN),
        (ended(1, "exit_code", peak=2 * GIB), "CANCELLED by 1000", Cause.UNKNOWN),
        (ended(137, "exit_code", minutes=50), "", Cause.UNKNOWN),
        (ended(1, "missing_output: x (x.txt)"), "", Cause.UNKNOWN),
        (None, "", Cause.UNKNOWN),
    ],
    ids=lambda value: (
        value.replace(" ", "_") or "none"
        if isinstance(value, str)
        else "no_result"
        if value is None
        else f"{value.return_code}-{value.reason}-{value.exec_minutes:g}-{value.usage.peak_memory_bytes}"
    ),
)
def test_evidence_says_why(result: Result | None, state: str, cause: Cause) -> None:
    found = diagnose(JOB, NEEDS, result, state)

    assert found.cause is cause
    assert found.evidence


def test_what_states_no_memory_has_no_more_than_it_asked_for() -> None:
    unstated = replace(NEEDS, memory="1m", memory_bytes=1024**2)

    assert diagnose(JOB, unstated, ended(1, "exit_code", peak=GIB), "").cause is Cause.UNKNOWN
    assert diagnose(JOB, unstated, ended(137, "exit_code", peak=GIB), "").cause is Cause.OOM


def test_memory_is_looked_at_before_time_and_time_before_the_node() -> None:
    both = ended(-128, "node_lost", minutes=70, peak=9 * GIB)

    assert diagnose(JOB, NEEDS, both, "TIMEOUT").cause is Cause.OOM
    assert diagnose(JOB, NEEDS, ended(-128, "node_lost", minutes=70), "TIMEOUT").cause is Cause.TIMEOUT
