"""Jobs that are set back, tried again and moved by hand; workflows that are opened again or put away (`engine.md` §6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from torc_core.engine import telling
from torc_core.engine.records import user_action
from torc_core.engine.resets import (
    ENDED_BADLY,
    Moved,
    check_archive,
    check_doubts,
    check_idle,
    check_open,
    check_reset,
    follows,
    moved,
    next_number,
    reset_told,
    retried,
    set_back,
)
from torc_core.engine.runs import LOST_CODE, RETRIED, spread
from torc_core.errors import NotFound
from torc_core.model import LIVE, Ending, Job, JobId, JobStatus, Node, Reset
from torc_core.testing.memory import allocations
from torc_core.testing.memory.change import FREED, Change
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.losing import doubtful

_FORGOTTEN: dict[str, Any] = {
    "reason": None, "result_id": None, "claimed_at": None, "start_time": None, "ready_since": None, "not_before": None,
}  # fmt: skip


def reset(change: Change, how: Reset) -> None:
    """Open ended jobs again, and with them what waits for them (`engine.md` §6.5)."""
    flow = change.flow
    check_open(flow.workflow.id, flow.workflow.is_archived, "reset")
    chosen = _chosen(flow, how)
    check_reset(((job, job.name) for job in chosen), force=how.force)
    check_doubts((job.id for job in chosen), doubtful(flow), force=how.force)
    open_again(change, chosen)
    change.tell(reset_told(how, flow.workflow.id, len(chosen)))


def open_again(change: Change, jobs: Sequence[Job]) -> None:
    """Set jobs back, and count the groups that have them."""
    change.settle()
    for job in jobs:
        if (how := set_back(job)) is not None:
            kept = {"stop": how.stop} if how.stop else FREED
            change.move(job, JobStatus.UNINITIALIZED, attempt_id=how.attempt, **(_FORGOTTEN | kept))
    change.settle(restores=False)


def downstream(flow: Flow, jobs: Iterable[JobId]) -> list[Job]:
    """What waits for these jobs, directly or not, themselves left out; by id."""
    return [flow.jobs[job] for job in sorted(spread(jobs, flow))]


def _chosen(flow: Flow, how: Reset) -> list[Job]:
    """The jobs that a reset is about, by id; those that are uninitialized already are left out."""
    for id in sorted(set(how.jobs or ())):
        if id not in flow.jobs:
            raise NotFound(f"no job {id} in workflow {flow.workflow.id}")
    ids = sorted(flow.jobs if how.jobs is None else set(how.jobs))
    found = {id: flow.jobs[id] for id in ids if not how.failed_only or flow.jobs[id].status in ENDED_BADLY}
    if how.failed_only or (how.jobs is not None and how.downstream):
        found |= {job.id: job for job in downstream(flow, found) if follows(job.status)}
    return [found[id] for id in sorted(found) if found[id].status is not JobStatus.UNINITIALIZED]


def retry(change: Change, job: Job, run_id: int, max_retries: int | None, *, force: bool) -> None:
    """Make a job ready with its next attempt (`engine.md` §8.4)."""
    flow = change.flow
    check_open(flow.workflow.id, flow.workflow.is_archived, "retried")
    how = retried(job, run_id, flow.workflow.run_id, max_retries)
    check_doubts([job.id], doubtful(flow), force=force)
    if job.status is JobStatus.RUNNING and flow.result(job.id, job.run_id, job.attempt_id) is None:
        lost = Ending(
            job=job.id, run_id=job.run_id, attempt_id=job.attempt_id, lease=job.lease, status=JobStatus.FAILED,
            return_code=LOST_CODE, reason=RETRIED,
        )  # fmt: skip
        change.keep(job, lost, lost.status, job.run_id, job.attempt_id)
    after = _put(change, job, JobStatus.READY, how)
    change.set(after, origin=job.origin or "retry")
    message = f"retried by hand: {job.reason or job.status.label}"
    change.tell(telling.job_retried(job.id, job.name, how.run_id, job.attempt_id, how.attempt, message))
    change.settle()


def move(change: Change, job: Job, status: JobStatus, run_id: int) -> None:
    """Set the status of a job by hand (`engine.md` §4.1, `manage_status_change`)."""
    flow = change.flow
    how = moved(job, status, run_id, flow.workflow.run_id)
    if how is None:
        return
    check_open(flow.workflow.id, flow.workflow.is_archived, "changed")
    if status is not JobStatus.UNINITIALIZED:
        _put(change, job, status, how)
    else:
        below = downstream(flow, [job.id]) if job.status.ended or job.status is JobStatus.DISABLED else []
        ended = {one.id: one for one in (job, *(one for one in below if one.status.ended))}
        open_again(change, [ended[id] for id in sorted(ended)])
    change.tell(user_action(
        "move", "job", job.id, ["status"], **{"from": job.status.label, "to": status.label}
    ))  # fmt: skip
    change.settle()


def _put(change: Change, job: Job, status: JobStatus, how: Moved) -> Job:
    """Write a job that is moved out of its attempt; a node that has to stop it keeps it meanwhile."""
    now = change.now
    if job.status in LIVE and status in LIVE:
        return change.move(job, status, start_time=now if status is JobStatus.RUNNING else None)
    if status is JobStatus.PENDING:
        change.flow.claims_by_hand[f"job {job.id} at {now}"] = (now, None, (job.id,))
    fields: dict[str, Any] = {
        **_FORGOTTEN, "run_id": how.run_id, "attempt_id": how.attempt,
        "claimed_at": now if status in LIVE else None, "start_time": now if status is JobStatus.RUNNING else None,
        "ready_since": now if status is JobStatus.READY else None,
        "result_id": job.result_id if status is JobStatus.PENDING_FAILED else None,
    }  # fmt: skip
    return change.move(job, status, **(fields | ({"stop": how.stop} if how.stop else FREED)))


def reset_workflow(change: Change, *, force: bool) -> None:
    """Clear the cancel flag; by force, live jobs get stop orders (`engine.md` §6.5)."""
    flow = change.flow
    check_open(flow.workflow.id, flow.workflow.is_archived, "reset")
    check_workflow_idle(flow, runners=False, force=force)
    for job in [job for job in flow.jobs.values() if job.status in LIVE and job.node_id is not None]:
        change.set(job, stop=1)
    flow.workflow = replace(flow.workflow, is_canceled=False)
    change.tell(user_action("reset_status", "workflow", flow.workflow.id, ["is_canceled"]))


def check_workflow_idle(flow: Flow, *, runners: bool, force: bool) -> None:
    """Refuse what needs a workflow that nobody works on, without force."""
    pending, running = flow.tally[JobStatus.PENDING], flow.tally[JobStatus.RUNNING]
    found = [(pending, "pending jobs"), (running, "running jobs")]
    if runners:
        found.append((sum(node.is_active for node in flow.tables[Node].values()), "active runners"))
    found.append((sum(allocations.counts(flow).values()), "pending or active allocations"))
    check_idle(flow.workflow.id, found, force=force)


def set_run(change: Change, run_id: int) -> None:
    """Take the number that a client has raised by itself (`engine.md` §6.1)."""
    flow = change.flow
    number = next_number(run_id, flow.workflow.run_id)
    if number is not None:
        flow.workflow = replace(flow.workflow, run_id=number)


def archive(change: Change, archived: bool) -> None:
    """Put a workflow away, or take it out again (`engine.md` §6.6)."""
    flow = change.flow
    workflow = flow.workflow
    if archived == workflow.is_archived:
        return
    if archived:
        check_archive(workflow.id, flow.tally[JobStatus.PENDING], flow.tally[JobStatus.RUNNING])
    flow.workflow = replace(workflow, is_archived=archived)
    told = telling.of_workflow(
        "workflow_archived", workflow.id, workflow.name, workflow.run_id, is_archived=archived
    )
    change.tell(told)
