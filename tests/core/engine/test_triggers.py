"""When actions fire and are armed again, as pure rules."""

from __future__ import annotations

import pytest

from torc_core.engine.triggers import armed, expired, hit, standing
from torc_core.model import Action, ActionId, ActionRun, ActionState, JobId, JobStatus, NodeId, WorkflowId

S = JobStatus


def action(trigger: str, *jobs: int) -> Action:
    return Action(
        workflow_id=WorkflowId(1), trigger_type=trigger, action_type="run_commands", config={},
        jobs=[JobId(job) for job in jobs],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("trigger", "before", "after", "found"),
    [
        ("on_jobs_ready", S.BLOCKED, S.READY, 1),
        ("on_jobs_ready", S.BLOCKED, S.CANCELED, -1),
        ("on_jobs_ready", S.RUNNING, S.FAILED, 1),
        ("on_jobs_ready", S.UNINITIALIZED, S.BLOCKED, None),
        ("on_jobs_complete", S.RUNNING, S.COMPLETED, 1),
        ("on_jobs_complete", S.BLOCKED, S.CANCELED, 1),
        ("on_jobs_complete", S.READY, S.DISABLED, 1),
        ("on_jobs_complete", S.RUNNING, S.PENDING_FAILED, None),
        ("on_jobs_complete", S.BLOCKED, S.READY, None),
    ],
)
def test_a_move_hits_those_who_wait_for_it(trigger: str, before: S, after: S, found: int | None) -> None:
    assert hit(trigger, before, after) == found


@pytest.mark.parametrize(
    ("status", "this_run", "found"),
    [
        (S.READY, True, 1),
        (S.COMPLETED, False, -1),
        (S.COMPLETED, True, 1),
        (S.CANCELED, True, -1),
        (S.BLOCKED, True, None),
    ],
)
def test_what_ended_in_an_earlier_run_was_not_ready_in_this_one(
    status: S, this_run: bool, found: int | None
) -> None:
    assert standing("on_jobs_ready", status, this_run=this_run) == found


@pytest.mark.parametrize(
    ("trigger", "full", "reset", "again"),
    [
        ("on_workflow_start", True, [], True),
        ("on_workflow_start", False, [1], False),
        ("on_jobs_ready", False, [1], True),
        ("on_jobs_ready", False, [2], False),
        ("on_jobs_complete", False, None, True),
        ("on_workflow_complete", False, [], True),
        ("on_worker_start", False, [], True),
    ],
)
def test_a_new_run_arms_again(trigger: str, full: bool, reset: list[int] | None, again: bool) -> None:
    jobs = () if "jobs" not in trigger else (1,)
    started_over = None if reset is None else {JobId(job) for job in reset}

    assert armed(action(trigger, *jobs), full=full, reset_jobs=started_over) is again


def test_a_claim_of_a_command_lives_ten_minutes() -> None:
    run = ActionRun(
        workflow_id=WorkflowId(1),
        action_id=ActionId(1),
        run_id=1,
        state=ActionState.CLAIMED,
        claimed_at=1_000,
    )

    assert not expired(run, 600_999, alive=False)
    assert expired(run, 601_000, alive=False)


def test_a_claim_of_a_node_lives_as_long_as_the_node() -> None:
    run = ActionRun(
        workflow_id=WorkflowId(1), action_id=ActionId(1), run_id=1, state=ActionState.CLAIMED, claimed_at=1_000,
        claimed_by=NodeId(3),
    )  # fmt: skip

    assert not expired(run, 10**9, alive=True)
    assert expired(run, 1_001, alive=False)
