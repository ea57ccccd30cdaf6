"""What people do to whole workflows: initialise, resume, cancel, stop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.completion import CASCADE, occupied
from torc_core.engine.resets import check_open
from torc_core.engine.runs import (
    LOST_CODE,
    RETRIED,
    Resumption,
    Stopping,
    begin,
    called_off,
    canceled,
    next_run,
    resumed,
    spread,
    starts_over,
    terminated,
)
from torc_core.engine.stages import stride, summed
from torc_core.errors import Conflict, Invalid, WrongState
from torc_core.model import (
    Ending,
    File,
    Fingerprint,
    Initialize,
    InputKind,
    Job,
    JobId,
    JobStatus,
    Node,
    NodeId,
    Result,
    Sample,
    Stage,
    Totals,
    UserData,
)
from torc_core.testing.memory import allocations, losing, retrying, triggers
from torc_core.testing.memory.change import FREED, Change
from torc_core.testing.memory.creation import derived
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.hashing import keep_hashes
from torc_core.testing.memory.resets import check_workflow_idle

LINEAGE = "__torc_lineage__"
"""How the names of user data begin that record a lineage; no run takes them back."""

NAMED = 20
"""At most so many missing things are named in a refusal."""


def required_files(flow: Flow) -> list[File]:
    """Files that have to exist: read and produced by none, or outputs of completed jobs (`engine.md` §6.3)."""
    written = flow.writers(InputKind.FILE)
    made = {
        file for file, jobs in written.items() for job in jobs if flow.jobs[job].status is JobStatus.COMPLETED
    }
    read = flow.readers(InputKind.FILE).keys() - written.keys()
    return [flow.tables[File][id] for id in sorted(read | made)]


def missing_user_data(flow: Flow) -> list[UserData]:
    """User data without a value that is read and not produced, or that a completed job should have written."""
    made = {
        datum for datum, jobs in flow.writers(InputKind.USER_DATA).items()
        if any(flow.jobs[job].status is JobStatus.COMPLETED for job in jobs)
    }  # fmt: skip
    outputs = [found for id in made if not (found := flow.tables[UserData][id]).has_data]
    return sorted([*unwritten_user_data(flow), *outputs], key=lambda datum: datum.id)


def unwritten_user_data(flow: Flow) -> list[UserData]:
    """User data that is read, not produced, and has no value."""
    read = flow.readers(InputKind.USER_DATA).keys() - flow.writers(InputKind.USER_DATA).keys()
    return [found for id in sorted(read) if not (found := flow.tables[UserData][id]).has_data]


def initialize(change: Change, how: Initialize) -> None:
    """Start a new run (`engine.md` §6.2, with the refusals of §6.3)."""
    flow = change.flow
    workflow = flow.workflow
    check_open(workflow.id, workflow.is_archived, "initialized")
    waits = any(job.status is JobStatus.UNINITIALIZED for job in flow.jobs.values())
    if how.if_needed and workflow.run_id and not waits:
        return
    change.settle()
    links = derived(flow)
    checks = not (how.force or how.unchecked)
    if checks:
        _check_inputs(flow, how.fingerprints)
    old, flow.links = flow.links, links
    fresh = {job.id for job in flow.jobs.values() if starts_over(job.status, how.only_uninitialized)}
    try:
        if how.only_uninitialized:
            fresh |= _downstream(flow, fresh, how.force)
        elif checks:
            check_workflow_idle(flow, runners=True, force=False)
    except Invalid:
        flow.links = old
        raise
    if how.clear_ephemeral:
        table = flow.tables[UserData]
        for id, datum in flow.first_data.items():
            if id in table and table[id].is_ephemeral and not datum.name.startswith(LINEAGE):
                table[id] = replace(table[id], data=datum.data, has_data=datum.has_data)
    fingerprint(flow, how.fingerprints)
    run = next_run(workflow.run_id, workflow.initialized_run)
    gpus = any(shape.gpus for shape in flow.shapes.values())
    flow.workflow = replace(workflow, run_id=run, initialized_run=run, uses_gpus=gpus)
    flow.first_start = flow.last_end = None
    blocked = {id for id in fresh if flow.jobs[id].status is JobStatus.BLOCKED}
    _set_anew(change, fresh, run)
    keep_hashes(change, fresh)
    triggers.arm(change, before=workflow.run_id, full=not how.only_uninitialized, reset_jobs=fresh - blocked)
    name = "workflow_reinitialized" if how.only_uninitialized else "workflow_started"
    change.tell(telling.of_workflow(name, workflow.id, workflow.name, run))
    change.tell_moved("job_ready", [id for id in sorted(fresh) if flow.jobs[id].status is JobStatus.READY])


def _set_anew(change: Change, fresh: Collection[JobId], run: int) -> None:
    flow = change.flow
    links = flow.links
    begun = begin(
        {job.id: job.status for job in flow.jobs.values()},
        sorted(fresh),
        links.members,
        {job: list(uses) for job, uses in links.uses.items()},
        {job.id for job in flow.jobs.values() if job.cancel_on_blocking_job_failure},
    )
    links.counts.update(begun.counts)
    for job in list(flow.jobs.values()):
        counters = {"unmet": begun.unmet.get(job.id, 0), "num_blockers": links.blockers(job.id)}
        if job.id not in fresh:
            waits = {"run_id": run, "attempt_id": 1} if job.status is JobStatus.READY else {}
            change.set(job, **counters, **waits)
            continue
        status = begun.status[job.id]
        blocker = begun.canceled.get(job.id)
        now = change.set(
            job, status=status, run_id=run, attempt_id=1, result_id=None, claimed_at=None, start_time=None,
            ready_since=change.now if status is JobStatus.READY else None,
            reason=None if blocker is None else f"{CASCADE}{blocker}", not_before=None, losses=0,
            origin=None if job.origin == "retry" else job.origin, **counters,
        )  # fmt: skip
        if blocker is not None:
            change.tell(telling.job_ended(job.id, job.name, status, None, now.reason, run, 1))


def _downstream(flow: Flow, fresh: set[JobId], force: bool) -> set[JobId]:
    """What starts over with these jobs; disabled jobs stay disabled, those that a node has are never touched (§6.2, step 2).

    Blocked jobs are set anew in any case, so that none waits for a relation that is gone.
    """
    reached = spread(fresh, flow)
    live = [job for job in sorted(reached) if occupied(flow.jobs[job])]
    if live and not force:
        job = flow.jobs[live[0]]
        raise WrongState(
            f"job {job.id} ({job.name}) is {job.status.label}, and jobs before it start over; cancel it first"
        )
    kept = {job for job in reached if flow.jobs[job].status is JobStatus.DISABLED}
    return reached - set(live) - kept | {
        job.id for job in flow.jobs.values() if job.status is JobStatus.BLOCKED
    }


def _check_inputs(flow: Flow, fingerprints: Sequence[Fingerprint]) -> None:
    gone = {print_.file for print_ in fingerprints if print_.st_mtime is None}
    files = [file.path for file in required_files(flow) if file.id in gone]
    data = [datum.name for datum in unwritten_user_data(flow)]
    for noun, missing in (("files", files), ("user data", data)):
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise WrongState(
                f"required {noun} missing: {', '.join(missing[:NAMED])}{more}; provide them, or use --force"
            )


def fingerprint(flow: Flow, prints: Sequence[Fingerprint]) -> None:
    """Keep what files were last seen to be."""
    files: dict[int, File] = flow.tables[File]
    for seen in prints:
        if seen.file in files:
            old = files[seen.file]
            same = old.st_mtime is not None and (old.st_mtime, old.size or seen.size) == (
                seen.st_mtime,
                seen.size,
            )
            content = seen.content_hash or (old.content_hash if same else None)
            files[seen.file] = replace(old, st_mtime=seen.st_mtime, size=seen.size, content_hash=content)


def resume(change: Change, dead: Sequence[NodeId]) -> None:
    """Make ready again what dead runners left behind (`engine.md` §8.4)."""
    flow = change.flow
    doubtful = losing.doubtful(flow)
    for job in list(flow.jobs.values()):
        if job.id in doubtful and doubtful[job.id].id not in dead:
            continue
        if (how := resumed(job, dead)) is not None:
            _go_on(change, job, how)
    for node in dead:
        if node in flow.tables[Node]:
            change.gone(node)


def _go_on(change: Change, job: Job, how: Resumption) -> None:
    if how.ends:
        retrying.give_up(change, job)
        return
    if not how.again:
        change.set(job, **FREED)
        return
    if how.result:
        lost = Ending(
            job=job.id, run_id=job.run_id, attempt_id=job.attempt_id, lease=None, status=JobStatus.FAILED,
            return_code=LOST_CODE, reason=RETRIED,
        )  # fmt: skip
        job = change.set(job, result_id=change.keep(job, lost, lost.status, job.run_id, job.attempt_id))
    after = job.attempt_id + how.attempt
    if how.attempt:
        message = f"its runner is gone: {job.reason or job.status.label}"
        change.tell(telling.job_retried(job.id, job.name, job.run_id, job.attempt_id, after, message))
    change.again(job, attempt_id=after)


def cancel(change: Change, reason: str | None) -> None:
    """Call a workflow off: what is pending or running is canceled, what is ready stays (`engine.md` §8.6)."""
    flow = change.flow
    if flow.workflow.is_canceled:
        return
    flow.workflow = replace(flow.workflow, is_canceled=True)
    for job in list(flow.jobs.values()):
        if (how := called_off(job)) is not None:
            _stop(change, job, how, reason)
    change.settle()
    workflow = flow.workflow
    change.tell(
        telling.of_workflow("workflow_canceled", workflow.id, workflow.name, workflow.run_id, reason=reason)
    )


def stop(change: Change, jobs: Sequence[Job], terminate: bool, reason: str | None) -> None:
    """Cancel or terminate single jobs; all of them or, if one is refused, none (`engine.md` §8.6)."""
    decided = [(job, terminated(job) if terminate else canceled(job)) for job in jobs]
    for job, how in decided:
        if how is not None:
            _stop(change, job, how, reason)


def _stop(change: Change, job: Job, how: Stopping, reason: str | None) -> None:
    if how.status is None:
        change.set(job, stop=how.stop)
        return
    kept = {"stop": how.stop} if how.stop else FREED
    job = change.move(job, how.status, reason=reason or "canceled", **kept)
    change.tell(telling.job_ended(job.id, job.name, job.status, None, job.reason, job.run_id, job.attempt_id))


def totals(flow: Flow) -> Totals:
    """How far a workflow is, from all its jobs."""
    current = [flow.tables[Result][job.result_id] for job in flow.jobs.values() if job.result_id is not None]
    failures: dict[str, int] = {}
    for job in flow.jobs.values():
        if job.status is JobStatus.FAILED:
            kind = (job.reason or "exit_code").partition(":")[0]
            failures[kind] = failures.get(kind, 0) + 1
    return Totals(
        workflow=flow.workflow, counts={status: count for status, count in flow.tally.items() if count},
        active_nodes=sum(node.is_active for node in flow.tables[Node].values()),
        exec_minutes=sum(result.exec_minutes for result in current), first_start=flow.first_start,
        last_end=flow.last_end,
        failures=failures, **allocations.counts(flow),
    )  # fmt: skip


def stages(flow: Flow) -> Sequence[Stage]:
    """The jobs summed up by name."""
    results: dict[int, Result] = flow.tables[Result]
    jobs = list(flow.jobs.values())
    minutes = [None if job.result_id is None else results[job.result_id].exec_minutes for job in jobs]
    if not jobs:
        return []
    return summed("\n".join(job.name for job in jobs), [job.status for job in jobs], minutes)


def sampled(flow: Flow, most: int) -> Sequence[Sample]:
    """Jobs that stand for all."""
    results: dict[int, Result] = flow.tables[Result]
    step = stride(len(flow.jobs), most)
    return [
        Sample(
            job_id=job.id, workflow_id=flow.workflow.id, name=job.name, status=job.status, requirement_id=job.requirement_id,
            seconds=None if job.result_id is None else results[job.result_id].exec_minutes * 60,
        )
        for job in flow.jobs.values()
        if job.id % step == 0
    ]  # fmt: skip


def check_deletable(flow: Flow) -> None:
    """Refuse to delete a workflow with jobs that are pending or running."""
    if live := flow.tally[JobStatus.PENDING] + flow.tally[JobStatus.RUNNING]:
        raise Conflict(
            f"workflow {flow.workflow.id} has {live} pending or running jobs; cancel it first, or use --force"
        )
