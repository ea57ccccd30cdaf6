"""What people do to whole workflows: initialise, resume, cancel, stop, and look how far they are."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from torc_core.engine import telling
from torc_core.engine.completion import CASCADE, occupied
from torc_core.engine.resets import check_open
from torc_core.engine.runs import (
    LOST_CODE,
    RETRIED,
    Stopping,
    begin,
    called_off,
    canceled,
    next_run,
    resumed,
    starts_over,
    terminated,
)
from torc_core.engine.stages import stride, summed
from torc_core.errors import WrongState
from torc_core.model import (
    Ending,
    File,
    Fingerprint,
    Initialize,
    JobId,
    JobStatus,
    NodeId,
    Sample,
    Stage,
    Totals,
    UserData,
    WorkflowId,
)
from torc_sql import allocations, losing, retrying, rows, triggers
from torc_sql.change import Change
from torc_sql.completion import fingerprint
from torc_sql.hashing import keep_hashes
from torc_sql.relations import derive, graph
from torc_sql.resets import check_workflow_idle, count_ready, downstream
from torc_sql.rows import STATUSES
from torc_sql.state import JobState, workflow_state
from torc_sql.transaction import Transaction

NAMED = 20
"""At most so many missing things are named in a refusal."""


def required_files(tx: Transaction, wf: WorkflowId) -> list[File]:
    """Files that have to exist: read and produced by none, or outputs of completed jobs (`engine.md` §6.3)."""
    workflow_state(tx, wf)
    return [rows.file(row) for row in tx.rows("REQUIRED_FILES", wf_=wf)]


def missing_user_data(tx: Transaction, wf: WorkflowId) -> list[UserData]:
    """User data without a value that is read and not produced, or that a completed job should have written."""
    outputs: list[UserData] = [rows.user_data(row) for row in tx.rows("UNWRITTEN_OUTPUT_DATA", wf_=wf)]
    return sorted([*unwritten_user_data(tx, wf), *outputs], key=lambda datum: datum.id)


def unwritten_user_data(tx: Transaction, wf: WorkflowId) -> list[UserData]:
    """User data that is read, not produced, and has no value."""
    workflow_state(tx, wf)
    return [rows.user_data(row) for row in tx.rows("MISSING_USER_DATA", wf_=wf)]


def initialize(change: Change, how: Initialize) -> None:
    """Start a new run (`engine.md` §6.2, with the refusals of §6.3)."""
    state, tx = change.state, change.tx
    check_open(change.wf, state.is_archived == 1, "initialized")
    if how.if_needed and state.run_id and not change.tally[JobStatus.UNINITIALIZED]:
        return
    change.settle()
    first = state.initialized_run == state.run_id == 0 and state.derived == 1
    derive(change)
    if not how.force and not how.unchecked:
        _check_inputs(change, how.fingerprints)
        if not how.only_uninitialized:
            check_workflow_idle(change, runners=True, force=False)
    nothing_ended = not any(change.tally[status] for status in _SPECIAL)
    alike = nothing_ended and (not how.only_uninitialized or _untouched(change))
    fresh = None if alike else _fresh(change, how)
    reset = _reset(change, fresh) if how.only_uninitialized and state.has_job_triggers else None
    if how.clear_ephemeral:
        tx.run("FIRST_DATA", wf_=change.wf)
    fingerprint(tx, change.wf, how.fingerprints)
    run = change.run_id = next_run(state.run_id, state.initialized_run)
    tx.run("BEGIN_RUN", wf_=change.wf, run_=run)
    change.begun()
    if fresh is None:
        _set_all_anew(change, run)
    else:
        _set_anew(change, fresh, run)
        tx.run("NEXT_RUN", wf_=change.wf, run_=run)
    if first:
        # What has not been touched since it was created has its hash from there.
        keep_hashes(change, [id for (id,) in tx.rows("UNHASHED", wf_=change.wf)])
    else:
        keep_hashes(change, fresh if fresh is not None else _waiting(change))
    count_ready(change)
    tx.wake(change.wf)
    triggers.arm(change, before=state.run_id, full=not how.only_uninitialized, reset_jobs=reset)
    name = "workflow_reinitialized" if how.only_uninitialized else "workflow_started"
    change.tell(telling.of_workflow(name, change.wf, state.name, run))
    if tx.rules.debug_events:
        ready = [row[0] for row in tx.rows("OF_STATUS", wf_=change.wf, code_=int(JobStatus.READY))]
        change.tell_moved("job_ready", [job for job in ready if fresh is None or job in fresh])


def _reset(change: Change, fresh: Collection[JobId] | None) -> set[JobId]:
    """The jobs that start over, but for those that only wait: these had not begun. `fresh` None: all of them."""
    tx, wf = change.tx, change.wf
    if fresh is None:
        return {row[0] for row in tx.rows("OF_STATUS", wf_=wf, code_=int(JobStatus.UNINITIALIZED))}
    return set(fresh) - {row[0] for row in tx.rows("OF_STATUS", wf_=wf, code_=int(JobStatus.BLOCKED))}


_SPECIAL = (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.TERMINATED)
"""Bad ends; without them no counter of a set changes at an initialisation, and nothing is canceled."""


def _untouched(change: Change) -> bool:
    """Whether all jobs are uninitialized or blocked, so that the partial form is the full one."""
    early = change.tally[JobStatus.UNINITIALIZED] + change.tally[JobStatus.BLOCKED]
    return early == sum(change.tally.values())


def _set_all_anew(change: Change, run: int) -> None:
    """The rule `begin` set-wise, for workflows without bad ends: ready without an unmet set, else blocked.

    PERF: a million jobs take seconds; with one update each it would be minutes.
    """
    tx, wf = change.tx, change.wf
    counts = tx.rows("FRESH", wf_=wf)
    tx.run("SET_ALL_ANEW", wf_=wf, run_=run, now_=tx.now)
    for status, free, count in counts:
        before, after = STATUSES[status], JobStatus.READY if free else JobStatus.BLOCKED
        if before is not after:
            change.shifted(before, after, count)


def _waiting(change: Change) -> list[JobId] | None:
    """The jobs that all were set anew, or None if these are all that there are."""
    if change.tally[JobStatus.BLOCKED] + change.tally[JobStatus.READY] == sum(change.tally.values()):
        return None
    codes = (JobStatus.BLOCKED, JobStatus.READY)
    return [row[0] for code in codes for row in change.tx.rows("OF_STATUS", wf_=change.wf, code_=int(code))]


def _set_anew(change: Change, fresh: Collection[JobId], run: int) -> None:
    """The rule `begin`, for all other cases."""
    tx, wf = change.tx, change.wf
    members, uses = graph(change)
    jobs = {JobId(row[0]): row for row in tx.rows("ALL_JOBS", wf_=wf)}
    begun = begin(
        {id: STATUSES[row[1]] for id, row in jobs.items()},
        sorted(fresh),
        members,
        uses,
        {id for id, row in jobs.items() if row[2]},
    )
    tx.many(
        "WRITE_SET",
        [{"set_": id, "remaining_": left, "bad_": bad} for id, (left, bad) in begun.counts.items()],
    )
    anew = []
    for id, status in begun.status.items():
        blocker = begun.canceled.get(id)
        reason = None if blocker is None else f"{CASCADE}{blocker}"
        since = tx.now if status is JobStatus.READY else None
        anew.append({"job_": id, "status_": int(status), "reason_": reason, "since_": since, "run_": run,
                     "unmet_": begun.unmet.get(id, 0)})  # fmt: skip
        before = STATUSES[jobs[id][1]]
        if before is not status:
            change.shifted(before, status)
        if blocker is not None:
            change.tell(telling.job_ended(id, jobs[id][3], status, None, reason, run, 1))
    tx.many("SET_ANEW", anew)
    tx.many(
        "WRITE_UNMET",
        [
            {"job_": id, "unmet_": begun.unmet.get(id, 0)}
            for id, row in jobs.items()
            if id not in begun.status and row[4] != begun.unmet.get(id, 0)
        ],
    )


def _fresh(change: Change, how: Initialize) -> set[JobId]:
    """The jobs that start over; of the partial form with all that is downstream of them (§6.2, step 2)."""
    jobs = [JobState(*row) for row in change.tx.rows("STATES", wf_=change.wf)]
    fresh = {job.id for job in jobs if starts_over(job.status, how.only_uninitialized)}
    if not how.only_uninitialized:
        return fresh
    reached = {job.id for job in downstream(change, fresh)}
    kept = [job for job in jobs if occupied(job) and job.id not in fresh]
    live = [job for job in kept if job.id in reached]
    if live and not how.force:
        job = live[0]
        raise WrongState(
            f"job {job.id} ({job.name}) is {job.status.label}, and jobs before it start over; cancel it first"
        )
    reached -= {job.id for job in kept}
    reached -= {job.id for job in jobs if job.status is JobStatus.DISABLED}
    # Blocked jobs are set anew in any case, so that none waits for a relation that is gone.
    return fresh | reached | {job.id for job in jobs if job.status is JobStatus.BLOCKED}


def _check_inputs(change: Change, fingerprints: Sequence[Fingerprint]) -> None:
    gone = {seen.file for seen in fingerprints if seen.st_mtime is None}
    files = [file.path for file in required_files(change.tx, change.wf) if file.id in gone] if gone else []
    data = [datum.name for datum in unwritten_user_data(change.tx, change.wf)]
    for noun, missing in (("files", files), ("user data", data)):
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise WrongState(
                f"required {noun} missing: {', '.join(missing[:NAMED])}{more}; provide them, or use --force"
            )


def resume(change: Change, dead: Sequence[NodeId]) -> None:
    """Make ready again what dead runners left behind (`engine.md` §8.4)."""
    tx, wf = change.tx, change.wf
    left = {row[0]: JobState(*row) for row in tx.rows("INTERRUPTED", wf_=wf)}
    for node in dead:
        left |= {row[0]: JobState(*row) for row in tx.rows("OF_NODE_JOBS", node_=node, wf_=wf)}
    unsure = losing.doubtful(change)
    for _, job in sorted(left.items()):
        how = resumed(job, dead)
        if how is None or (job.id in unsure and unsure[job.id].id not in dead):
            continue
        if how.ends:
            retrying.give_up(change, job)
            continue
        if not how.again:
            change.confirm(job, job.result_id)
            continue
        if how.result:
            lost = Ending(
                job=job.id, run_id=job.run_id, attempt_id=job.attempt_id, lease=None, status=JobStatus.FAILED,
                return_code=LOST_CODE, reason=RETRIED,
            )  # fmt: skip
            change.unsum()
            result = change.result(job, lost, lost.status, job.run_id, job.attempt_id)
            tx.run("POINT", job_=job.id, result_=result)
        after = job.attempt_id + how.attempt
        if how.attempt:
            message = f"its runner is gone: {job.reason or job.status.label}"
            change.tell(telling.job_retried(job.id, job.name, job.run_id, job.attempt_id, after, message))
        change.again(job, after)
    for node in dead:
        change.gone(node)


def cancel(change: Change, reason: str | None) -> None:
    """Call a workflow off: what is pending or running is canceled, what is ready stays (`engine.md` §8.6)."""
    if change.canceled:
        return
    tx, wf = change.tx, change.wf
    tx.run("CALL_OFF_ALL", wf_=wf)
    change.canceled = True
    live = [JobState(*row) for code in (JobStatus.PENDING, JobStatus.RUNNING)
            for row in tx.rows("OF_STATUS", wf_=wf, code_=int(code))]  # fmt: skip
    for job in sorted(live):
        how = called_off(job)
        if how is not None:
            _stop(change, job, how, reason)
    change.settle()
    tx.wake(wf)
    change.tell(telling.of_workflow("workflow_canceled", wf, change.state.name, change.run_id, reason=reason))


def stop(change: Change, jobs: Sequence[JobState], terminate: bool, reason: str | None) -> None:
    """Cancel or terminate single jobs; all of them or, if one is refused, none (`engine.md` §8.6)."""
    decided = [(job, terminated(job) if terminate else canceled(job)) for job in jobs]
    for job, how in decided:
        if how is not None:
            _stop(change, job, how, reason)


def _stop(change: Change, job: JobState, how: Stopping, reason: str | None) -> None:
    change.tx.wake(change.wf)
    if how.status is None:
        change.tx.run("ORDER", job_=job.id, stop_=how.stop)
        return
    why = reason or "canceled"
    if how.stop:
        change.move(job, how.status, "HALT", reason_=why, stop_=how.stop)
    else:
        change.move(job, how.status, "CALL_OFF", reason_=why)
    change.tell(telling.job_ended(job.id, job.name, how.status, None, why, job.run_id, job.attempt_id))


def sum_up(tx: Transaction, wf: WorkflowId) -> None:
    """Keep the minutes of the current results with the workflow, so that they need not be added up again."""
    tx.run("WRITE_SUM", wf_=wf, minutes_=tx.row("CURRENT_MINUTES", wf_=wf)[0])


def stages(tx: Transaction, wf: WorkflowId) -> Sequence[Stage]:
    """The jobs summed up by name."""
    workflow_state(tx, wf)
    names, letters, minutes = tx.row("STAGED", wf_=wf)
    if names is None:
        return []
    known = {chr(65 + code): status for code, status in enumerate(STATUSES)}
    return summed(names, [known[letter] for letter in letters], json.loads(minutes))


def sampled(tx: Transaction, wf: WorkflowId, most: int) -> Sequence[Sample]:
    """Jobs that stand for all of a workflow."""
    workflow_state(tx, wf)
    jobs = sum(count for _, count in tx.rows("COUNTS", wf_=wf))
    return [
        Sample(
            job_id=id, workflow_id=wf, name=name, status=STATUSES[code], requirement_id=requirement,
            seconds=None if minutes is None else minutes * 60,
        )
        for id, name, code, requirement, minutes in tx.rows("SAMPLED", wf_=wf, stride_=stride(jobs, most))
    ]  # fmt: skip


def totals(tx: Transaction, wf: WorkflowId) -> Totals:
    """How far a workflow is."""
    workflow_state(tx, wf)
    workflow = rows.workflow(tx.row("WORKFLOW", wf_=wf))
    failures: dict[str, int] = {}
    for reason, count in tx.rows("FAILURES", wf_=wf):
        kind = reason.partition(":")[0]
        failures[kind] = failures.get(kind, 0) + count
    minutes, first_start, last_end, summed = tx.row("SUMS", wf_=wf)
    if not summed:
        (minutes,) = tx.row("CURRENT_MINUTES", wf_=wf)
    return Totals(
        workflow=workflow, counts={STATUSES[code]: count for code, count in tx.rows("COUNTS", wf_=wf)},
        active_nodes=tx.row("ACTIVE_NODES", wf_=wf)[0], exec_minutes=minutes,
        first_start=first_start, last_end=last_end, failures=failures,
        **allocations.counts(tx, wf),
    )  # fmt: skip
