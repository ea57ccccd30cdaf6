"""Changing and removing jobs, and what others notice of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torc_core.engine.checks import checked
from torc_core.engine.completion import CASCADE, occupied
from torc_core.engine.records import early, user_action
from torc_core.engine.telling import job_ended
from torc_core.errors import Conflict, Invalid, WrongState
from torc_core.model import Job, JobId, JobStatus, Requirement, Source
from torc_core.store.fields import FIELDS
from torc_sql import relations, rows, triggers
from torc_sql.change import Change
from torc_sql.shapes import class_of, shape_of
from torc_sql.state import JobState, known_job

RELATIONS = ("depends_on", "input_files", "output_files", "input_user_data", "output_user_data")
EVERY = 2**62
"""As a limit: none."""
_OF_JOBS = (
    "ACTION_JOB", "SLURM_STATS", "CLAIM", "DEP_USE", "DEP_MEMBER", "INPUT_USE", "INPUT_MEMBER", "JOB_OUTPUT_FILE",
    "JOB_OUTPUT_USER_DATA", "RESULT", "JOB", "INPUT_SET", "DEP_SET",
)  # fmt: skip
"""The tables of a workflow that have nothing when it has no jobs, each after those that refer to it."""


def change_job(change: Change, job: Job, given: Mapping[str, Any]) -> None:
    """Set fields of a job (`engine.md` §8.7); `given` comes from `merged`."""
    new = {
        name: value
        for name, value in given.items()
        if name not in RELATIONS or _differs(change, job, name, value)
    }
    early(job, new, FIELDS[Job].early)
    relations.check(change, {name: (value,) for name, value in new.items() if value is not None})
    if job.id in new.get("depends_on", ()):
        raise Invalid(f"job {job.id} cannot wait for itself")
    status = new.pop("status", None)
    related = {name: new.pop(name) for name in RELATIONS if name in new}
    if status is not None:
        _check_status(job, JobStatus(status))
    checked(replace(job, **new))
    columns = {k: rows.text(v) if k == "env" else v for k, v in new.items()}
    if related or {"command", "invocation_script", "env"} & new.keys():
        columns["input_hash"] = None
    update(change, "job", job.id, columns)
    state = known_job(change.tx, job.id)
    if {"requirement_id", "scheduler_id", "label"} & new.keys():
        reclass(change, state)
        state = known_job(change.tx, job.id)
    if "priority" in new:
        change.tx.wake(change.wf)
    if related:
        relations.relate(change, job.id, **related)
    if status is not None:
        change.move(state, JobStatus(status), "SWITCH")
    elif new.get("cancel_on_blocking_job_failure") and state.status is JobStatus.BLOCKED:
        (blocker,) = change.tx.row("BAD_BLOCKER", job_=job.id)
        if blocker is not None:
            cancel_below(change, state, blocker)
    names = [*new, *related, *(["status"] if status is not None else [])]
    if names:
        change.tell(user_action("change", "job", job.id, names))
    change.settle()


def cancel_below(change: Change, job: JobState, blocker: JobId) -> None:
    """Cancel a job that waits for one that has ended badly already."""
    reason = f"{CASCADE}{blocker}"
    change.move(job, JobStatus.CANCELED, "CALL_OFF", reason_=reason)
    change.tell(job_ended(job.id, job.name, JobStatus.CANCELED, None, reason, job.run_id, job.attempt_id))


def _differs(change: Change, job: Job, name: str, ids: Sequence[int]) -> bool:
    """Whether a job is given other relations than it has; blockers may be named with or without the derived ones."""
    tx, wanted = change.tx, sorted(set(ids))
    if name == "depends_on":
        every = tx.rows("BLOCKER_SOURCES", job_=job.id)
        named = sorted({one for one, sources in every if sources & Source.EXPLICIT})
        return wanted not in (named, sorted({one for one, _ in every}))
    statement = {
        "input_files": "INPUTS_FILE", "input_user_data": "INPUTS_USER_DATA", "output_files": "OUTPUTS_FILE",
        "output_user_data": "OUTPUTS_USER_DATA",
    }[name]  # fmt: skip
    return wanted != sorted({item for (item,) in tx.rows(statement, job_=job.id)})


def _check_status(job: Job, status: JobStatus) -> None:
    enables = job.status is JobStatus.DISABLED and status is JobStatus.UNINITIALIZED
    if status is not JobStatus.DISABLED and not enables:
        raise Invalid(
            "Cannot update job status; a job can only be disabled, or a disabled one set to uninitialized"
        )
    if occupied(job):
        raise WrongState(_in_use(job))
    if job.status is JobStatus.COMPLETED:
        raise WrongState(f"job {job.id} is completed; it cannot be disabled")


def _in_use(job: Job) -> str:
    if job.status.live:
        return f"job {job.id} is {job.status.label}; cancel it first"
    return f"job {job.id} is {job.status.label}, but node {job.node_id} has not ended it yet; try again later"


def update(change: Change, table: str, id: int, columns: Mapping[str, object]) -> None:
    """Set columns of one row; the names come from the allow-list or from here."""
    if columns:
        pairs = ", ".join(f'"{name}" = ?' for name in columns)
        change.tx.free(f"UPDATE {table} SET {pairs} WHERE id = ?", (*columns.values(), id))


def reclass(change: Change, job: JobState) -> None:
    """Put a job into the class of what it needs now."""
    tx = change.tx
    job_class = class_of(tx, change.wf, rows.shape(tx.row("NEEDED", job_=job.id)))
    if job_class != job.class_id:
        tx.run("RECLASS", job_=job.id, class_=job_class)
        if job.status is JobStatus.READY and job.node_id is None and job.not_before is None:
            tx.ready(job.class_id, -1)
            tx.ready(job_class, 1)
            tx.wake(change.wf)


def reshape(change: Change, need: Requirement, of: int | None = None) -> None:
    """Move all jobs of a requirement to the classes that it makes now; `of`: those of another, which goes."""
    tx, old_need = change.tx, need.id if of is None else of
    for (job_class,) in tx.rows("CLASSES_OF", id_=old_need):
        old = shape_of(tx, change.shapes, job_class)
        new = replace(
            old, cpus=need.num_cpus, memory=need.memory_bytes, gpus=need.num_gpus, nodes=need.num_nodes,
            runtime=need.runtime_s,
        )  # fmt: skip
        tx.run("RECLASS_ALL", id_=old_need, old_=job_class, class_=class_of(tx, change.wf, new))
    tx.write_ready()
    tx.run("COUNT_ALL_READY", wf_=change.wf)
    tx.wake(change.wf)


def check_unoccupied(job: Job) -> None:
    """Refuse to remove a job that a node has.

    Raises
    ------
    Conflict
        Saying what to do.
    """
    if occupied(job):
        raise Conflict(_in_use(job))


def remove_jobs(change: Change, jobs: Sequence[Job]) -> None:
    """Remove jobs, with their results and every reference to them."""
    if len(jobs) == sum(change.tally.values()):
        _remove_all(change)
    else:
        _remove_some(change, jobs)


def _remove_all(change: Change) -> None:
    """PERF: nobody is left to be recounted; job by job a barrier took the product of its sides."""
    watched = [one for (one,) in change.tx.rows("WATCHES", wf_=change.wf)]
    for table in _OF_JOBS:
        change.tx.run(f"PURGE_{table}", wf_=change.wf, limit_=EVERY)
    triggers.forget_job(change, watched)
    for status, count in change.tally.items():
        change.added(status, -count)
    change.unsum()
    change.tx.write_ready()
    change.tx.run("COUNT_ALL_READY", wf_=change.wf)


def _remove_some(change: Change, jobs: Sequence[Job]) -> None:
    tx, gone = change.tx, {job.id for job in jobs}
    # To those who wait, jobs that are gone are like disabled ones; all at once, since some may wait for others of them.
    change.vanish(jobs)
    change.unsum()
    watched = {one for job in jobs for (one,) in tx.rows("WATCHED_BY", job_=job.id)}
    waiters = {one for job in jobs for (one,) in tx.rows("WAITING_FOR", job_=job.id)} - gone
    for job in jobs:
        relations.leave(change, job.id)
    triggers.forget_job(change, sorted(watched))
    tx.run("UNDERIVE", wf_=change.wf)
    for waiter in sorted(waiters):
        relations.recount_waiter(change, waiter)
    for job in jobs:
        tx.free("DELETE FROM job WHERE id = ?", (job.id,))
