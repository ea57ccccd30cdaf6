"""Run numbers, beginnings of runs, circles, resuming and stopping."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from torc_core.engine.runs import (
    Resumption,
    begin,
    blockers,
    called_off,
    canceled,
    cycle,
    digest,
    next_run,
    producers,
    resumed,
    starts_over,
    terminated,
)
from torc_core.errors import Invalid
from torc_core.model import Job, JobId, JobStatus, NodeId, RequirementId, WorkflowId

S = JobStatus
JOB = Job(id=JobId(7), workflow_id=WorkflowId(1), name="j", command="c", requirement_id=RequirementId(1))


def test_each_initialisation_raises_the_run_once_even_if_a_client_did_it_before() -> None:
    assert [next_run(0, 0), next_run(1, 1), next_run(4, 1)] == [1, 2, 4]


@pytest.mark.parametrize(("partial", "fresh"), [(False, {0, 1, 2, 8, 10}), (True, {0})])
def test_which_jobs_start_over(partial: bool, fresh: set[int]) -> None:
    assert {int(status) for status in JobStatus if starts_over(status, partial)} == fresh


def test_a_digest_is_that_of_the_ascending_ids() -> None:
    from hashlib import sha256

    assert digest([1, 258]) == sha256(bytes(7) + b"\x01" + bytes(6) + b"\x01\x02").digest()


def test_blockers_are_counted_once() -> None:
    a, b, c = JobId(1), JobId(2), JobId(3)

    assert [blockers([]), blockers([(a, b)]), blockers([(a, b), (b, c)])] == [0, 2, 3]


def test_producers_of_several_items_are_one_group() -> None:
    assert producers([1, 2, 3], {1: [JobId(9)], 2: [JobId(4), JobId(9)]}) == (4, 9)
    assert producers([1], {}) == ()


def test_without_a_circle_there_is_none() -> None:
    assert cycle({1: [JobId(1)], 2: []}, {JobId(2): [1], JobId(3): [1, 2]}) is None


@pytest.mark.parametrize("seed", range(60))
def test_a_circle_is_found_and_each_of_it_waits_for_the_one_before(seed: int) -> None:
    dice = Random(seed)
    members = {group: [JobId(dice.randrange(9)) for _ in range(dice.randint(1, 3))] for group in range(8)}
    uses = {JobId(job): dice.sample(range(8), dice.randint(0, 2)) for job in range(9)}
    waits = {job: {member for group in groups for member in members[group]} for job, groups in uses.items()}

    found = cycle({group: sorted(set(jobs)) for group, jobs in members.items()}, uses)

    assert (found is not None) == _circular(waits)
    if found is not None:
        assert len(set(found)) == len(found)
        assert all(before in waits[job] for before, job in zip([found[-1], *found], found, strict=False))


def _circular(waits: dict[JobId, set[JobId]]) -> bool:
    left = dict(waits)
    while free := [job for job, before in left.items() if not before & left.keys()]:
        for job in free:
            del left[job]
    return bool(left)


def test_a_circle_of_50_000_is_found() -> None:
    count = 50_000
    members = {at: [JobId(at)] for at in range(count)}

    found = cycle(members, {JobId(at): [(at - 1) % count] for at in range(count)})

    assert found is not None
    assert len(found) == count


def test_a_run_begins_with_what_the_blockers_allow() -> None:
    status = {
        JobId(id): s
        for id, s in enumerate((S.COMPLETED, S.FAILED, S.UNINITIALIZED, S.READY, S.BLOCKED, S.DISABLED))
    }
    members = {0: [JobId(0)], 1: [JobId(1)], 2: [JobId(2)], 5: [JobId(5)]}
    uses = {JobId(2): [0], JobId(3): [1], JobId(4): [2, 5]}

    begun = begin(status, [JobId(2), JobId(3), JobId(4)], members, uses, [JobId(3)])

    assert begun.status == {2: S.READY, 3: S.CANCELED, 4: S.BLOCKED}
    assert (begun.canceled, begun.unmet) == ({3: 1}, {2: 0, 3: 0, 4: 1})
    assert begun.counts == {0: (0, 0), 1: (0, 1), 2: (1, 0), 5: (0, 0)}


@pytest.mark.parametrize(
    ("status", "node", "reason", "expected"),
    [
        (S.PENDING, 1, None, Resumption()),
        (S.RUNNING, 1, None, Resumption(attempt=True, result=True)),
        (S.RUNNING, 2, None, None),
        (S.TERMINATED, None, "interrupted", Resumption(attempt=True)),
        (S.TERMINATED, None, "runner_died", Resumption(attempt=True)),
        (S.FAILED, None, "node_lost", Resumption(attempt=True)),
        (S.FAILED, None, "exit_code", None),
        (S.TERMINATED, None, "walltime", None),
        (S.COMPLETED, None, None, None),
        (S.READY, None, None, None),
    ],
)
def test_what_a_dead_runner_left_goes_on(
    status: JobStatus, node: int | None, reason: str | None, expected: Resumption | None
) -> None:
    job = replace(JOB, status=status, node_id=None if node is None else NodeId(node), reason=reason)

    assert resumed(job, [NodeId(1)]) == expected


def test_a_canceled_job_of_a_dead_node_needs_no_confirmation() -> None:
    assert resumed(replace(JOB, status=S.CANCELED, stop=1, node_id=NodeId(1)), [NodeId(1)]) == Resumption(
        again=False
    )


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_workflow_cancel_ends_only_what_is_live(status: JobStatus) -> None:
    how = called_off(replace(JOB, status=status, node_id=NodeId(1)))

    assert (how is not None) == (status in (S.PENDING, S.RUNNING))
    assert how is None or how.stop == (1 if status is S.RUNNING else 0)


@pytest.mark.parametrize("status", list(JobStatus))
def test_one_job_is_canceled_unless_it_has_ended(status: JobStatus) -> None:
    job = replace(JOB, status=status)

    if status in (S.COMPLETED, S.FAILED, S.TERMINATED, S.DISABLED):
        with pytest.raises(Invalid, match=status.label):
            canceled(job)
    else:
        how = canceled(job)
        assert (how is None) == (status is S.CANCELED)


def test_only_a_running_job_is_terminated() -> None:
    assert terminated(replace(JOB, status=S.RUNNING)).stop == 2
    with pytest.raises(Invalid, match="job 7 is not running"):
        terminated(JOB)
