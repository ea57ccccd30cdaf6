"""How long jobs may run, as pure rules."""

from __future__ import annotations

from torc_core.model import Assignment, Held, Job, JobId, RequirementId, Shape, WorkflowId
from torc_core.protocols import Exit
from torc_core.runner.attempt import Attempt
from torc_core.runner.deadlines import ENOUGH, Deadlines


def attempt(number: int, begun: float, runtime: int = 60) -> Attempt:
    job = Job(
        id=JobId(number), workflow_id=WorkflowId(1), name="j", command="c", requirement_id=RequirementId(1)
    )
    held = Held(job=job.id, attempt_id=1, lease="x")
    given = Assignment(job=job, shape=Shape(runtime=runtime))
    return Attempt(given, held, None, None, "", delete_on_success=False, begun=begun)


def test_jobs_have_had_their_time_in_the_order_of_their_deadlines() -> None:
    deadlines = Deadlines(stated=True, patience=None)
    late, early, free = attempt(1, 0.0, 100), attempt(2, 10.0, 20), attempt(3, 0.0, 1)
    for one in (late, early):
        deadlines.begun(one, limited=True)
    deadlines.begun(free, limited=False)

    assert deadlines.next_time() == 30
    assert deadlines.due(29.0) == []
    assert deadlines.due(30.0) == [early]
    assert (deadlines.next_time(), early.allowed) == (100, 20)


def test_what_has_ended_has_no_deadline() -> None:
    deadlines = Deadlines(stated=True, patience=None)
    one = attempt(1, 0.0)
    deadlines.begun(one, limited=True)
    one.exit = Exit(job=JobId(1), return_code=0)
    deadlines.ended(one, 3.0, good=True)

    assert deadlines.next_time() is None
    assert deadlines.due(1_000.0) == []


def test_a_proportion_counts_once_enough_jobs_are_completed() -> None:
    deadlines = Deadlines(stated=False, patience=3.0)
    slow = attempt(99, 0.0)
    deadlines.begun(slow, limited=True)
    for number, seconds in enumerate((1.0, 9.0, 2.0)):
        assert deadlines.next_time() is None
        one = attempt(number, 0.0)
        deadlines.begun(one, limited=True)
        deadlines.ended(one, seconds, good=True)
    failed = attempt(50, 0.0)
    deadlines.begun(failed, limited=True)
    deadlines.ended(failed, 500.0, good=False)

    assert ENOUGH == 3
    assert deadlines.next_time() == 6.0
    assert deadlines.due(6.0) == [slow]
    assert (slow.allowed, deadlines.next_time()) == (6.0, None)


def test_without_limits_nothing_is_kept() -> None:
    assert not Deadlines(stated=False, patience=None).active
