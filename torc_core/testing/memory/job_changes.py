"""Changing and removing jobs, and what others notice of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torc_core.engine.checks import checked
from torc_core.engine.completion import CASCADE, occupied
from torc_core.engine.records import early, user_action
from torc_core.engine.telling import job_ended
from torc_core.errors import Invalid, WrongState
from torc_core.model import InputKind, Job, JobId, JobStatus, Result, SlurmStats, Source
from torc_core.store.fields import FIELDS
from torc_core.testing.memory import triggers
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.creation import check_relations, recount_waiter, relate
from torc_core.testing.memory.flow import Flow

_RELATIONS = ("depends_on", "input_files", "output_files", "input_user_data", "output_user_data")


def change_job(change: Change, job: Job, given: Mapping[str, Any]) -> Job:
    """Set fields of a job (`engine.md` §8.7); `given` comes from `merged`."""
    flow = change.flow
    new = {
        name: value
        for name, value in given.items()
        if name not in _RELATIONS or differs(flow, job, name, value)
    }
    early(job, new, FIELDS[Job].early)
    check_relations(flow, new)
    if job.id in new.get("depends_on", ()):
        raise Invalid(f"job {job.id} cannot wait for itself")
    status = new.pop("status", None)
    relations = {name: new.pop(name) for name in _RELATIONS if name in new}
    if status is not None:
        check_status(job, JobStatus(status))
    checked(replace(job, **new))
    job = change.set(job, **new) if new else job
    if relations:
        relate(flow, job.id, **relations)
        job = flow.jobs[job.id]
    if status is not None:
        job = change.move(job, JobStatus(status), ready_since=None, not_before=None)
    elif "cancel_on_blocking_job_failure" in new:
        cancel_hopeless(change, [job.id])
    names = [*new, *relations, *(["status"] if status is not None else [])]
    if names:
        change.tell(user_action("change", "job", job.id, names))
    change.settle()
    return flow.jobs[job.id]


def cancel_hopeless(change: Change, jobs: Sequence[JobId]) -> None:
    """Cancel jobs that wait for one that has ended badly already, and is none of them."""
    flow = change.flow
    for id in jobs:
        job = flow.jobs[id]
        bad = [
            member
            for group in flow.uses(id)
            for member in flow.links.members[group]
            if flow.jobs[member].status.bad and member not in jobs
        ]
        if bad and job.cancel_on_blocking_job_failure and job.status is JobStatus.BLOCKED:
            reason = f"{CASCADE}{min(bad)}"
            job = change.move(job, JobStatus.CANCELED, reason=reason)
            change.tell(job_ended(id, job.name, job.status, None, reason, job.run_id, job.attempt_id))


def differs(flow: Flow, job: Job, name: str, ids: Sequence[int]) -> bool:
    """Whether a job is given other relations than it has; blockers may be named with or without the derived ones."""
    wanted = sorted(set(ids))
    if name == "depends_on":
        uses = flow.links.uses.get(job.id, {})
        named = {
            one
            for group, source in uses.items()
            if source & Source.EXPLICIT
            for one in flow.links.members[group]
        }
        every = {one for group in uses for one in flow.links.members[group]}
        return wanted not in (sorted(named), sorted(every))
    kind = InputKind.FILE if name.endswith("files") else InputKind.USER_DATA
    if name.startswith("output"):
        return wanted != sorted(flow.outputs.get(job.id, {}).get(kind, ()))
    sets = [flow.input_sets[index] for index in flow.inputs.get(job.id, ())]
    return wanted != sorted({item for one in sets if one.kind is kind for item in one.items})


def check_status(job: Job, status: JobStatus) -> None:
    """Refuse statuses that are not set like a field."""
    enables = job.status is JobStatus.DISABLED and status is JobStatus.UNINITIALIZED
    if status is not JobStatus.DISABLED and not enables:
        raise Invalid(
            "Cannot update job status; a job can only be disabled, or a disabled one set to uninitialized"
        )
    if occupied(job):
        raise WrongState(in_use(job))
    if job.status is JobStatus.COMPLETED:
        raise WrongState(f"job {job.id} is completed; it cannot be disabled")


def in_use(job: Job) -> str:
    """Why a job that a node has cannot be touched."""
    if job.status.live:
        return f"job {job.id} is {job.status.label}; cancel it first"
    return f"job {job.id} is {job.status.label}, but node {job.node_id} has not ended it yet; try again later"


def remove_jobs(change: Change, jobs: Sequence[Job]) -> None:
    """Remove jobs, with their results and every reference to them."""
    flow, gone = change.flow, {job.id for job in jobs}
    # To those who wait, jobs that are gone are like disabled ones; all at once, since some may wait for others of them.
    change.vanish(jobs)
    waiters = {user for id in gone for group in flow.memberships(id) for user in flow.users(group)} - gone
    for id in gone:
        flow.links.leave(id)
    for waiter in waiters:
        recount_waiter(flow, waiter)
    for result in [one for one in flow.tables[Result].values() if one.job_id in gone]:
        del flow.tables[Result][result.id], flow.results[result.job_id, result.run_id, result.attempt_id]
    for stats in [one for one in flow.tables[SlurmStats].values() if one.job_id in gone]:
        del flow.tables[SlurmStats][stats.id]
    triggers.forget_jobs(change, gone)
    for id in gone:
        flow.drop(flow.jobs[id])
