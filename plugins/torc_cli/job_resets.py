"""The commands of `torc jobs` that let jobs run again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torc_cli.doubts import warn_of_doubts
from torc_cli.jobviews import NOUN
from torc_core.errors import TorcError, UsageError
from torc_core.given import Given
from torc_core.model import Event, Initialize, Job, JobId, JobStatus, Json, Query, Reset, Value, Workflow
from torc_core.session import Session
from torc_terminal.initializing import jobs_again, prints
from torc_terminal.noun import sure
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Outcome, refuse_csv

NAMED = 10
"""So many jobs are named in a line for people."""


def reset_status(
    *ids: str,
    reinit: Flag = False,
    force: Flag = False,
    yes: Yes = False,
    dry_run: Flag = False,
    session: Given,
) -> Outcome:
    """Set jobs back to uninitialized; those that wait for them follow when the workflow is initialized again.

    Parameters
    ----------
    ids
        Ids of jobs of one workflow: `7`, `7,9` or `7-9`.
    reinit
        And begin a new run of them and of all that waits for them.
    force
        Also jobs that run; they are stopped first.
    yes
        Do not ask.
    dry_run
        Only say which jobs are reset, and which follow.
    """
    refuse_csv(session)
    jobs = [NOUN.fetched(session, number) for number in NOUN.ids(ids)]
    owners = {job.workflow_id for job in jobs}
    if len(owners) > 1:
        raise UsageError(f"these jobs belong to {len(owners)} workflows; reset those of one at a time")
    wf = owners.pop()
    completed = [job for job in jobs if job.status is JobStatus.COMPLETED]
    follow = _downstream(session, jobs)
    if completed:
        session.warn(f"{NOUN.counted(len(completed))} completed already: {_named(completed)}")
    if follow:
        verbs = ("waits", "is") if len(follow) == 1 else ("wait", "are")
        session.note(
            f"{NOUN.counted(len(follow))} that {verbs[0]} for them {verbs[1]} reset with the next run: {_named(follow)}"
        )
    extra: dict[str, Json] = {
        "jobs": [job.id for job in jobs],
        "completed_jobs": [job.id for job in completed],
        "dependent_jobs": [job.id for job in follow],
        "dry_run": dry_run,
    }
    if dry_run:
        return Outcome(message=f"Would reset {NOUN.counted(len(jobs))}", workflow_id=wf, extra=extra)
    sure(session, f"Reset {NOUN.counted(len(jobs))} of workflow {wf}?", yes=yes)
    if force:
        warn_of_doubts(session, wf, {job.id for job in jobs})
    how = Reset(jobs=[job.id for job in jobs], downstream=False, force=force)
    count = session.store().reset(wf, how).moved.get("uninitialized", 0)
    message = f"Reset {NOUN.counted(count)}"
    if reinit:
        workflow = session.store().get(Workflow, wf)
        seen = prints(session.store(), workflow, content=False)
        done = session.store().reinitialize(wf, Initialize(force=force, fingerprints=seen))
        assert done.progress is not None
        message += f"; run {done.progress.run_id} of workflow {wf} has begun"
        extra |= {"run_id": done.progress.run_id, "reinitialized_jobs": jobs_again(done.changed)}
    return Outcome(
        message=message,
        workflow_id=wf,
        extra={**extra, "count": count},
        hint=None if reinit else f"to run them: torc workflows reinitialize {wf}, then torc run {wf}",
    )


def retry(*ids: str, force: Flag = False, reason: str | None = None, session: Given) -> Outcome:
    """Make jobs ready again that failed, were terminated or run: their next attempt begins.

    Parameters
    ----------
    ids
        Ids of jobs: `7`, `7,9` or `7-9`.
    force
        Also jobs whose runner is lost and may still run them.
    reason
        Why, for the record.
    """
    refuse_csv(session)
    jobs = [NOUN.fetched(session, number) for number in NOUN.ids(ids)]
    if force:
        for wf in {job.workflow_id for job in jobs}:
            warn_of_doubts(session, wf, {job.id for job in jobs})
    done: list[Json] = []
    errors: list[Json] = []
    for job in jobs:
        try:
            again = session.store().retry(job.id, 0, force=force)
        except TorcError as error:
            if len(jobs) == 1:
                raise
            errors.append({"job_id": job.id, "message": str(error)})
            session.warn(str(error))
            continue
        done.append({"job_id": again.id, "attempt_id": again.attempt_id})
        if reason:
            data: dict[str, Json] = {"operation": "retry", "job_id": again.id, "reason": reason}
            session.store().add([Event(workflow_id=again.workflow_id, data=data)])
    owners = {job.workflow_id for job in jobs}
    return Outcome(
        message=f"Ready again: {NOUN.counted(len(done))}",
        workflow_id=owners.pop() if len(owners) == 1 else None,
        extra={"jobs": done, "errors": errors, "reason": reason},
        status="partial_success" if errors else "success",
        hint=f"run them: torc run {jobs[0].workflow_id}" if done else None,
        exit_code=1 if errors else 0,
    )


def _downstream(session: Session, jobs: Sequence[Job]) -> list[Job]:
    """The jobs that wait for these, directly or not, and are not uninitialized anyway."""
    known = {job.id for job in jobs}
    found: dict[JobId, Job] = {}
    level: list[JobId] = sorted(known)
    while level:
        where: dict[str, Value | Sequence[Value]] = {"upstream_job_id": tuple(level)}
        page = session.store().find(Job, Query(workflow=jobs[0].workflow_id, where=where, limit=2**31))
        fresh = {job.id: job for job in page.items if job.id not in known}
        known |= fresh.keys()
        found |= fresh
        level = sorted(fresh)
    return [found[id] for id in sorted(found) if found[id].status is not JobStatus.UNINITIALIZED]


def _named(jobs: Iterable[Job]) -> str:
    texts = [f"{job.id} '{job.name}'" for job in jobs]
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more
