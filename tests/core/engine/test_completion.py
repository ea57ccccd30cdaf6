"""Endings, starts and give-backs, judged for every status that a job can have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.engine.completion import (
    Standing,
    cascaded,
    given_back,
    judge,
    meant,
    started,
    started_by_hand,
)
from torc_core.errors import Conflict, Invalid
from torc_core.model import (
    LIVE,
    OPEN,
    Ending,
    Held,
    Job,
    JobId,
    JobStatus,
    NodeId,
    RequirementId,
    Verdict,
    WorkflowId,
)

S = JobStatus
JOB = Job(
    id=JobId(7), workflow_id=WorkflowId(1), name="j", command="c", requirement_id=RequirementId(1), run_id=2
)
HELD = replace(JOB, status=S.RUNNING, node_id=NodeId(3), lease="l", claimed_at=1)
END = Ending(job=JobId(7), run_id=2, attempt_id=1, lease="l", status=S.FAILED, return_code=1)
BY_HAND = replace(END, lease=None)


@pytest.mark.parametrize("status", sorted(LIVE))
@pytest.mark.parametrize("said", [S.FAILED, S.TERMINATED, S.CANCELED, S.PENDING_FAILED])
def test_who_holds_the_job_ends_it(status: JobStatus, said: JobStatus) -> None:
    judgement = judge(replace(HELD, status=status), replace(END, status=said), 2, None)

    assert (judgement.verdict, judgement.status, judgement.result, judgement.settled) == (
        Verdict.DONE,
        said,
        said,
        True,
    )


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [((S.FAILED, 1), "same"), ((S.FAILED, 2), "different"), ((S.COMPLETED, 0), "different"), (None, "stale")],
)
def test_a_late_end_is_compared_with_the_result_that_stands(
    stored: tuple[JobStatus, int] | None, verdict: str
) -> None:
    over = replace(JOB, status=S.FAILED, attempt_id=2)

    standing = None if stored is None else Standing(*stored)
    assert judge(over, END, 2, standing).verdict == verdict


@pytest.mark.parametrize(("code", "verdict"), [(1, "same"), (2, "different")])
def test_a_canceled_result_equals_any_status_with_its_code(code: int, verdict: str) -> None:
    over = replace(JOB, status=S.CANCELED)

    assert judge(over, replace(END, return_code=code), 2, Standing(S.CANCELED, 1)).verdict == verdict


@pytest.mark.parametrize("status", list(JobStatus))
def test_by_hand_any_open_job_ends_and_no_other(status: JobStatus) -> None:
    judgement = judge(replace(JOB, status=status), BY_HAND, 2, None)

    if status in OPEN:
        assert (judgement.verdict, judgement.status, judgement.result) == (Verdict.DONE, S.FAILED, S.FAILED)
        assert judgement.override == (status in (S.UNINITIALIZED, S.BLOCKED, S.READY))
    else:
        assert (judgement.verdict, type(judgement.refusal)) == (Verdict.STALE, Invalid)


@pytest.mark.parametrize(
    ("job", "saved"),
    [
        ({"reason": "blocker:3"}, True),
        ({"reason": "canceled"}, False),
        ({"reason": "blocker:3", "claimed_at": 5}, False),
        ({"reason": "blocker:3", "attempt_id": 2}, False),
    ],
)
def test_only_what_the_cascade_canceled_before_any_claim_may_be_saved(
    job: dict[str, object], saved: bool
) -> None:
    row = replace(JOB, status=S.CANCELED, **job)  # type: ignore[arg-type]  # fields of a job
    end = replace(BY_HAND, status=S.COMPLETED, return_code=0, attempt_id=0)

    assert cascaded(row) is saved
    assert (judge(row, end, 2, None).verdict is Verdict.DONE) is saved


@pytest.mark.parametrize(("said", "job_run", "run"), [(0, 2, 2), (2, 2, 2), (5, 2, 2), (3, 2, 3), (0, 0, 5)])
def test_the_run_that_is_meant(said: int, job_run: int, run: int) -> None:
    job = replace(JOB, run_id=job_run)

    assert meant(job, replace(BY_HAND, run_id=said), 5) == (run, 1)


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_start_is_judged_by_the_state_of_the_job(status: JobStatus) -> None:
    expected = {S.PENDING: "done", S.RUNNING: "same", S.CANCELED: "canceled"}.get(status, "stale")

    assert started(replace(HELD, status=status), Held(job=JobId(7), attempt_id=1, lease="l")) == expected


def test_a_canceled_job_that_lost_its_lease_is_still_told_as_canceled() -> None:
    job = replace(JOB, status=S.CANCELED)

    assert started(job, Held(job=JobId(7), attempt_id=1, lease="l")) is Verdict.CANCELED


@pytest.mark.parametrize("status", list(JobStatus))
def test_by_hand_only_a_pending_job_starts(status: JobStatus) -> None:
    job = replace(JOB, status=status)

    if status in LIVE:
        assert started_by_hand(job, 2, 2) == ("same" if status is S.RUNNING else "done")
    else:
        with pytest.raises(Conflict, match=status.label):
            started_by_hand(job, 2, 2)


def test_a_ready_job_whose_own_claim_ran_out_starts_by_hand() -> None:
    assert started_by_hand(replace(JOB, status=S.READY, claimed_at=5), 0, 2) is Verdict.DONE


@pytest.mark.parametrize("status", list(JobStatus))
@pytest.mark.parametrize("forked", [True, False])
def test_only_what_never_ran_is_taken_back(status: JobStatus, forked: bool) -> None:
    judgement = given_back(replace(HELD, status=status), Held(job=JobId(7), attempt_id=1, lease="l"), forked)

    assert (judgement is not None and judgement.status is S.READY) == (status in LIVE and not forked)


def test_another_lease_gives_nothing_back() -> None:
    assert given_back(HELD, Held(job=JobId(7), attempt_id=1, lease="x"), False) is None
