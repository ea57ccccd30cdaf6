"""Jobs that are set back, tried again and moved by hand; workflows that are opened again or put away (`engine.md` §6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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
from torc_core.engine.runs import LOST_CODE, RETRIED
from torc_core.errors import NotFound
from torc_core.model import LIVE, Ending, JobId, JobStatus, Json, Reset
from torc_sql import allocations
from torc_sql.change import Change
from torc_sql.completion import standing
from torc_sql.losing import doubtful
from torc_sql.state import JobState

FEW = 1_000
"""Jobs whose sets are counted one by one; for more, all counters of the workflow are set anew (`engine.md` §5.6)."""


def reset(change: Change, how: Reset) -> None:
    """Open ended jobs again, and with them what waits for them (`engine.md` §6.5)."""
    check_open(change.wf, change.state.is_archived == 1, "reset")
    chosen = _chosen(change, how)
    check_reset(((job, job.name) for job in chosen), force=how.force)
    check_doubts((job.id for job in chosen), doubtful(change), force=how.force)
    open_again(change, chosen)
    change.tell(reset_told(how, change.wf, len(chosen)))


def open_again(change: Change, jobs: Sequence[JobState]) -> None:
    """Set jobs back, and count the sets that have them."""
    change.settle()
    tx = change.tx
    freed: list[JobState] = []
    kept: list[JobState] = []
    for job in jobs:
        if (how := set_back(job)) is not None:
            (kept if how.stop else freed).append(job)
    for statement, some in (("SET_BACK", freed), ("SET_BACK_HELD", kept)):
        if some:
            tx.run(statement, jobs_=json.dumps([job.id for job in some]))
    if kept:
        tx.wake(change.wf)
    if len(freed) + len(kept) <= FEW:
        for job in (*freed, *kept):
            change.note(job, JobStatus.UNINITIALIZED, held=job.node_id is not None)
        change.settle(restores=False)
        return
    change.unsum()
    for job in (*freed, *kept):
        change.shifted(job.status, JobStatus.UNINITIALIZED)
    recount(change)


def recount(change: Change) -> None:
    """Set every counter of the workflow anew from the statuses of its jobs (`engine.md` §5.6)."""
    change.tx.run("RECOUNT_SETS", wf_=change.wf)
    change.tx.run("RECOUNT_WAITERS", wf_=change.wf)
    count_ready(change)


def count_ready(change: Change) -> None:
    """Set the counts of what can be handed out anew."""
    change.tx.write_ready()
    change.tx.run("COUNT_ALL_READY", wf_=change.wf)


def downstream(change: Change, jobs: Iterable[JobId]) -> list[JobState]:
    """What waits for these jobs, directly or not, themselves left out; by id."""
    start = set(jobs)
    if not start or not change.has_sets:
        return []
    reached = {id for (id,) in change.tx.rows("DOWNSTREAM", jobs_=json.dumps(sorted(start)))} - start
    return states(change, reached)


def states(change: Change, jobs: Iterable[JobId]) -> list[JobState]:
    """Jobs of the workflow by their ids."""
    return [
        JobState(*row) for row in change.tx.rows("STATES_OF", wf_=change.wf, jobs_=json.dumps(sorted(jobs)))
    ]


def _chosen(change: Change, how: Reset) -> list[JobState]:
    """The jobs that a reset is about, by id; those that are uninitialized already are left out."""
    if how.jobs is None:
        found = [JobState(*row) for row in change.tx.rows("STATES", wf_=change.wf)]
    else:
        found = states(change, how.jobs)
        for id in sorted(set(how.jobs) - {job.id for job in found}):
            raise NotFound(f"no job {id} in workflow {change.wf}")
    if how.failed_only:
        found = [job for job in found if job.status in ENDED_BADLY]
    if how.failed_only or (how.jobs is not None and how.downstream):
        below = downstream(change, (job.id for job in found))
        found = sorted([*found, *(job for job in below if follows(job.status))])
    return [job for job in found if job.status is not JobStatus.UNINITIALIZED]


def retry(change: Change, job: JobState, run_id: int, max_retries: int | None, *, force: bool) -> None:
    """Make a job ready with its next attempt (`engine.md` §8.4)."""
    check_open(change.wf, change.state.is_archived == 1, "retried")
    how = retried(job, run_id, change.run_id, max_retries)
    check_doubts([job.id], doubtful(change), force=force)
    if job.status is JobStatus.RUNNING and standing(change.tx, job.id, job.run_id, job.attempt_id) is None:
        lost = Ending(
            job=job.id, run_id=job.run_id, attempt_id=job.attempt_id, lease=job.lease, status=JobStatus.FAILED,
            return_code=LOST_CODE, reason=RETRIED,
        )  # fmt: skip
        change.unsum()
        change.result(job, lost, lost.status, job.run_id, job.attempt_id)
    _put(change, job, JobStatus.READY, how)
    change.tx.run("REVIVED", job_=job.id)
    message = f"retried by hand: {job.reason or job.status.label}"
    change.tell(telling.job_retried(job.id, job.name, how.run_id, job.attempt_id, how.attempt, message))
    change.settle()


def move(change: Change, job: JobState, status: JobStatus, run_id: int) -> None:
    """Set the status of a job by hand (`engine.md` §4.1, `manage_status_change`)."""
    how = moved(job, status, run_id, change.run_id)
    if how is None:
        return
    check_open(change.wf, change.state.is_archived == 1, "changed")
    if status is not JobStatus.UNINITIALIZED:
        _put(change, job, status, how)
    else:
        below = downstream(change, [job.id]) if job.status.ended or job.status is JobStatus.DISABLED else []
        open_again(change, sorted([job, *(one for one in below if one.status.ended)]))
    labels: dict[str, Json] = {"from": job.status.label, "to": status.label}
    change.tell(user_action("move", "job", job.id, ["status"], **labels))
    change.settle()


def _put(change: Change, job: JobState, status: JobStatus, how: Moved) -> None:
    """Write a job that is moved out of its attempt; a node that has to stop it keeps it meanwhile."""
    now = change.tx.now
    if job.status in LIVE and status in LIVE:
        start = now if status is JobStatus.RUNNING else None
        change.move(job, status, "PUT_LIVE", start_=start)
        return
    values: dict[str, Any] = {
        "run_": how.run_id, "attempt_": how.attempt, "result_": None,
        "claimed_": now if status in LIVE else None, "start_": now if status is JobStatus.RUNNING else None,
        "since_": now if status is JobStatus.READY else None,
    }  # fmt: skip
    if status is JobStatus.PENDING_FAILED:
        values["result_"] = job.result_id
    if how.stop:
        change.tx.wake(change.wf)
        change.move(job, status, "PUT_HELD", held=True, stop_=how.stop, **values)
    else:
        change.move(job, status, "PUT", **values)


def reset_workflow(change: Change, *, force: bool) -> None:
    """Clear the cancel flag; by force, live jobs get stop orders (`engine.md` §6.5)."""
    check_open(change.wf, change.state.is_archived == 1, "reset")
    check_workflow_idle(change, runners=False, force=force)
    if change.live:
        change.tx.run("ORDER_LIVE", wf_=change.wf)
    change.tx.run("REOPEN", wf_=change.wf)
    change.canceled = False
    change.tx.wake(change.wf)
    change.tell(user_action("reset_status", "workflow", change.wf, ["is_canceled"]))


def check_workflow_idle(change: Change, *, runners: bool, force: bool) -> None:
    """Refuse what needs a workflow that nobody works on, without force."""
    pending, running = change.tally[JobStatus.PENDING], change.tally[JobStatus.RUNNING]
    found = [(pending, "pending jobs"), (running, "running jobs")]
    if runners:
        found.append((change.tx.row("ACTIVE_NODES", wf_=change.wf)[0], "active runners"))
    found.append((sum(allocations.counts(change.tx, change.wf).values()), "pending or active allocations"))
    check_idle(change.wf, found, force=force)


def set_run(change: Change, run_id: int) -> None:
    """Take the number that a client has raised by itself (`engine.md` §6.1)."""
    number = next_number(run_id, change.run_id)
    if number is not None:
        change.tx.run("RAISE_RUN", wf_=change.wf, run_=number)
        change.run_id = number


def archive(change: Change, archived: bool) -> None:
    """Put a workflow away, or take it out again (`engine.md` §6.6)."""
    if archived == (change.state.is_archived == 1):
        return
    if archived:
        check_archive(change.wf, change.tally[JobStatus.PENDING], change.tally[JobStatus.RUNNING])
    change.tx.run("ARCHIVE", wf_=change.wf, archived_=int(archived))
    change.tx.wake(change.wf)
    told = telling.of_workflow(
        "workflow_archived", change.wf, change.state.name, change.run_id, is_archived=archived
    )
    change.tell(told)
