"""Records without verbs: added, changed, removed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields as declared
from dataclasses import replace
from typing import Any

from torc_core.engine.completion import occupied
from torc_core.engine.liveness import may_still_run
from torc_core.engine.retry import checked_rules
from torc_core.engine.telling import Told, ours
from torc_core.engine.triggers import check_action, required
from torc_core.errors import Conflict, Forbidden, Invalid, NotFound
from torc_core.model import (
    Action,
    ActionId,
    Event,
    EventId,
    FailureHandler,
    File,
    Job,
    JobId,
    JobStatus,
    NewJob,
    Node,
    NodeState,
    Requirement,
    Result,
    SlurmScheduler,
    UserData,
    Workflow,
)
from torc_core.model.resources import duration_seconds, memory_bytes
from torc_core.store.fields import FIELDS
from torc_sql import relations, rows, triggers
from torc_sql.change import Change
from torc_sql.finding import KINDS
from torc_sql.shapes import class_of, shape_of
from torc_sql.state import JobState, known_job

ADDED = (File, UserData, Requirement, Event, Action, FailureHandler)
"""Kinds of records that clients may add."""

_NUMBERS = {File: "file", UserData: "user_data", Requirement: "requirement", FailureHandler: "handler"}
_RELATIONS = ("depends_on", "input_files", "output_files", "input_user_data", "output_user_data")
_JSON = {"metadata", "env", "execution_config", "resource_monitor_config", "slurm_defaults", "rules"}


def check_addable(records: Sequence[Any]) -> None:
    """Refuse records that only the store itself makes.

    Raises
    ------
    Invalid, Forbidden
        Naming the kind, or the category.
    """
    for record in records:
        if type(record) not in ADDED:
            raise Invalid(f"records of kind {type(record).__name__!r} cannot be added")
        if isinstance(record, Event) and ours(record.category):
            raise Forbidden(f"events of category {record.category!r} are written by torc itself")


def checked(record: Any) -> Any:
    """A record with what follows from its fields: a requirement's bytes and seconds agree with its texts."""
    if isinstance(record, FailureHandler):
        return replace(record, rules=checked_rules(record.rules))
    return _measured(record) if isinstance(record, Requirement) else record


def add(change: Change, record: Any) -> Any:
    """Add a file, a user data record, a requirement or an event."""
    tx, kind = change.tx, type(record)
    if isinstance(record, Event):
        id = EventId(tx.ids("event", 1))
        added_event = replace(record, id=id, timestamp=tx.now)
        tx.post(added_event)
        return added_event
    if kind is Action:
        return _add_action(change, record)
    table = KINDS[kind].table
    same = [row[0] for row in tx.free(
        f"SELECT id FROM {table} WHERE wf = ? AND name = ? ORDER BY id", (change.wf, record.name)
    )]  # fmt: skip
    added = replace(record, id=tx.ids(_NUMBERS[kind], 1))
    tx.many(f"INSERT_{table.upper()}", [_row(added)])
    if same:
        noun = FIELDS[kind].noun.replace(" ", "_")
        change.tell(("duplicate_name", {"kind": noun, "name": record.name, "ids": [*same, added.id]}))
    return added


def _add_action(change: Change, new: Action) -> Action:
    tx = change.tx
    check_action(new, schedulers={id for (id,) in tx.rows("SCHEDULERS", wf_=change.wf)})
    for job in new.jobs:
        row = tx.row("OF_JOB", id_=job)
        if row is None or row[0] != change.wf:
            raise NotFound(f"workflow {change.wf} has no job {job}")
    watched = sorted(set(new.jobs))
    action = replace(
        new, id=ActionId(tx.ids("action", 1)), jobs=watched, trigger_count=0, executed=False, executed_at=None,
        executed_by=None, required_triggers=required(new.trigger_type, new.trigger_mode, len(watched)),
    )  # fmt: skip
    tx.many("INSERT_WORKFLOW_ACTION", [rows.action_row(action)])
    tx.many("INSERT_ACTION_JOB", [(action.id, job, change.wf, None) for job in watched])
    triggers.join(change, action)
    return triggers.seen(tx, triggers.action_of(tx, tx.row("ACTION", action_=action.id)), change.run_id)


def add_jobs(change: Change, jobs: Sequence[NewJob]) -> list[JobId]:
    """Add jobs to a workflow, uninitialized (`engine.md` §5.5).

    Raises
    ------
    Conflict
        While jobs are pending or running.
    Invalid
        If the workflow is archived.
    NotFound
        If a job refers to what the workflow does not have.
    """
    tx, wf = change.tx, change.wf
    if change.state.is_archived:
        raise Invalid(f"workflow {wf} is archived; it takes no new jobs")
    if live := change.tally[JobStatus.PENDING] + change.tally[JobStatus.RUNNING]:
        raise Conflict(
            f"jobs cannot be added to workflow {wf} while {live} of its jobs are pending or running"
        )
    for job in jobs:
        relations.check(change, {field.name: getattr(job, field.name) for field in declared(job)})
    first = tx.ids("job", len(jobs))
    for id, job in enumerate(jobs, first):
        need = job.requirement_id or default_requirement(change)
        requirement = rows.requirement(tx.row("REQUIREMENT", id_=need))
        shape = rows.shape((
            requirement.num_cpus, requirement.memory_bytes, requirement.num_gpus, requirement.num_nodes,
            requirement.runtime_s, job.scheduler_id, job.label,
        ))  # fmt: skip
        same = [row[0] for row in tx.rows("SAME_NAME", wf_=wf, name_=job.name)]
        tx.many("INSERT_JOB", [(
            id, wf, job.name, job.command, job.invocation_script, rows.text(job.env), 0, job.priority,
            job.cancel_on_blocking_job_failure, job.supports_termination, need, class_of(tx, wf, shape),
            job.scheduler_id, job.failure_handler_id, job.label, 0, 0, *rows.NEW_JOB,
        )])  # fmt: skip
        change.added(JobStatus.UNINITIALIZED)
        relations.relate(
            change, JobId(id), depends_on=job.depends_on, input_files=job.input_files,
            output_files=job.output_files, input_user_data=job.input_user_data,
            output_user_data=job.output_user_data,
        )  # fmt: skip
        if same:
            change.tell(("duplicate_name", {"kind": "job", "name": job.name, "ids": [*same, id]}))
    return [JobId(id) for id in range(first, first + len(jobs))]


def change_record(change: Change, record: Any, given: Mapping[str, Any]) -> None:
    """Change fields of a record; None leaves one as it is (`engine.md` §8.7)."""
    kind, id = type(record), record.id
    new = {name: value for name, value in given.items() if value is not None}
    if kind is UserData and "data" in given:
        new = {"has_data": True, **new, "data": given["data"]}
    if kind is Event:
        if ours(record.category):
            raise Forbidden(f"event {id} was written by torc itself; it cannot be changed")
        _update(change, "event", id, {"data": json.dumps(new["data"])} if new else {})
        return
    if kind is Job:
        _change_job(change, record, new)
        return
    if kind is UserData:
        changed = replace(record, **new)
        new["data"] = rows.data(changed)
        new.pop("has_data", None)
    if kind is Requirement:
        changed = _measured(replace(record, **new))
        new |= {"memory_bytes": changed.memory_bytes, "runtime_s": changed.runtime_s}
    if kind is FailureHandler and "rules" in new:
        new["rules"] = checked_rules(new["rules"])
    names = sorted(name for name in given if given[name] is not None or name in new)
    _update(change, KINDS[kind].table, id, {k: rows.text(v) if k in _JSON else v for k, v in new.items()})
    if kind is Requirement:
        _reshape(change, changed)
    change.tell(_user_action("change", kind, id, names))


def remove(change: Change, record: Any) -> None:
    """Remove a record that `check_removable` has let through, and every reference to it."""
    tx, kind, id = change.tx, type(record), record.id
    if kind is Job:
        _remove_job(change, record)
    else:
        if kind is Result:
            tx.run("FORGET_RESULT", job_=record.job_id, result_=id)
        elif kind is FailureHandler:
            tx.run("FORGET_HANDLER", wf_=change.wf, id_=id)
        elif kind is SlurmScheduler:
            for row in tx.rows("OF_SCHEDULER_JOBS", wf_=change.wf, id_=id):
                _update(change, "job", row[0], {"scheduler_id": None})
                _reclass(change, JobState(*row))
        elif kind in (File, UserData):
            _forget_item(change, kind, id)
        elif kind is Action:
            triggers.drop(tx, id)
        elif kind is Node:
            tx.run("FORGET_NODE_CLAIMS", node_=id)
        tx.free(f"DELETE FROM {KINDS[kind].table} WHERE id = ?", (id,))
    if kind is not Event:
        change.tell(_user_action("remove", kind, id, []))


def check_removable(change: Change, record: Any) -> None:
    """Refuse to remove what is in use.

    Raises
    ------
    Conflict
        If it is in use.
    Forbidden
        For an event that torc wrote.
    """
    kind, tx = type(record), change.tx
    if kind is Job and occupied(record):
        raise Conflict(_occupied(record))
    if kind is Event and ours(record.category):
        raise Forbidden(f"event {record.id} was written by torc itself; it cannot be removed")
    if kind is Node and record.state is NodeState.LOST and may_still_run(record):
        raise Conflict(
            f"node {record.id} ({record.hostname}) is lost but not known to be dead; it may still run jobs"
        )
    if kind is Node and (record.is_active or tx.rows("MINE", node_=record.id)):
        raise Conflict(f"node {record.id} ({record.hostname}) is active; stop its runner first")
    if kind is Requirement and (users := tx.row("REQUIREMENT_USERS", id_=record.id)[0]):
        raise Conflict(
            f"resource requirement {record.name!r} is used by {users} jobs; give them another first"
        )
    if kind is Workflow:
        raise Invalid("workflows are deleted, not removed; use delete")


def _row(record: Any) -> tuple[Any, ...]:
    """A new record in the order of its table."""
    if isinstance(record, File):
        return (record.id, record.workflow_id, record.name, record.path, record.identifier, record.st_mtime,
                record.size, record.content_hash)  # fmt: skip
    if isinstance(record, UserData):
        data = rows.data(record)
        return (record.id, record.workflow_id, record.name, data, data, record.is_ephemeral)
    if isinstance(record, FailureHandler):
        return (record.id, record.workflow_id, record.name, rows.text(record.rules))
    need: Requirement = record
    return (need.id, need.workflow_id, need.name, need.num_cpus, need.num_gpus, need.num_nodes, need.memory,
            need.runtime, need.memory_bytes, need.runtime_s)  # fmt: skip


def _update(change: Change, table: str, id: int, columns: Mapping[str, object]) -> None:
    """Set columns of one row; the names come from the allow-list or from here."""
    if columns:
        pairs = ", ".join(f"{name} = ?" for name in columns)
        change.tx.free(f"UPDATE {table} SET {pairs} WHERE id = ?", (*columns.values(), id))


def _change_job(change: Change, job: Job, given: dict[str, Any]) -> None:
    early = [name for name in given if name in FIELDS[Job].early]
    if early and job.status is not JobStatus.UNINITIALIZED:
        raise Invalid(
            f"job {job.id} is {job.status.label}; {', '.join(early)} can only be changed while it is uninitialized"
        )
    relations.check(change, given)
    if job.id in given.get("depends_on", ()):
        raise Invalid(f"job {job.id} cannot wait for itself")
    status = given.pop("status", None)
    related = {name: given.pop(name) for name in early if name in _RELATIONS}
    if given.get("label") == "":
        given["label"] = None
    if status is not None:
        _check_status(job, JobStatus(status))
    _update(change, "job", job.id, {k: rows.text(v) if k == "env" else v for k, v in given.items()})
    state = known_job(change.tx, job.id)
    if {"requirement_id", "scheduler_id", "label"} & given.keys():
        _reclass(change, state)
        state = known_job(change.tx, job.id)
    if "priority" in given:
        change.tx.wake(change.wf)
    if related:
        relations.relate(change, job.id, **related)
    if status is not None and status != job.status:
        change.move(state, JobStatus(status), "SWITCH")
    names = sorted((*given, *related, *(["status"] if status else [])))
    change.tell(_user_action("change", Job, job.id, names))
    change.settle()


def _check_status(job: Job, status: JobStatus) -> None:
    enables = job.status is JobStatus.DISABLED and status is JobStatus.UNINITIALIZED
    if status is not JobStatus.DISABLED and not enables:
        raise Invalid(
            "Cannot update job status; a job can only be disabled, or a disabled one set to uninitialized"
        )
    if occupied(job):
        raise Invalid(_occupied(job))
    if job.status is JobStatus.COMPLETED:
        raise Invalid(f"job {job.id} is completed; it cannot be disabled")


def _occupied(job: Job) -> str:
    if job.status.live:
        return f"job {job.id} is {job.status.label}; cancel it first"
    return f"job {job.id} is {job.status.label}, but node {job.node_id} has not ended it yet; try again later"


def _reclass(change: Change, job: JobState) -> None:
    """Put a job into the class of what it needs now."""
    tx = change.tx
    job_class = class_of(tx, change.wf, rows.shape(tx.row("NEEDED", job_=job.id)))
    if job_class != job.class_id:
        tx.run("RECLASS", job_=job.id, class_=job_class)
        if job.status is JobStatus.READY and job.node_id is None:
            tx.ready(job.class_id, -1)
            tx.ready(job_class, 1)
            tx.wake(change.wf)


def _reshape(change: Change, need: Requirement) -> None:
    """Move all jobs of a requirement to the classes that it makes now."""
    tx = change.tx
    for (job_class,) in tx.rows("CLASSES_OF", id_=need.id):
        old = shape_of(tx, change.shapes, job_class)
        new = replace(
            old, cpus=need.num_cpus, memory=need.memory_bytes, gpus=need.num_gpus, nodes=need.num_nodes,
            runtime=need.runtime_s,
        )  # fmt: skip
        tx.run("RECLASS_ALL", id_=need.id, old_=job_class, class_=class_of(tx, change.wf, new))
    tx.write_ready()
    tx.run("COUNT_ALL_READY", wf_=change.wf)
    tx.wake(change.wf)


def _remove_job(change: Change, job: Job) -> None:
    tx = change.tx
    # To those who wait, a job that is gone is like a disabled one.
    change.vanish(job)
    watched = [one for (one,) in tx.rows("WATCHED_BY", job_=job.id)]
    waiters = [one for (one,) in tx.rows("WAITING_FOR", job_=job.id) if one != job.id]
    relations.leave(change, job.id)
    triggers.forget_job(change, watched)
    tx.run("UNDERIVE", wf_=change.wf)
    for waiter in dict.fromkeys(waiters):
        relations.recount_waiter(change, waiter)
    tx.free("DELETE FROM job WHERE id = ?", (job.id,))


def _forget_item(change: Change, kind: type[Any], id: int) -> None:
    """Take a file or a user data record out of what jobs read and write; lists that had it are shared no more."""
    tx = change.tx
    name, outputs = ("file", "job_output_file") if kind is File else ("user_data", "job_output_user_data")
    for (input_set,) in tx.rows("SETS_OF_ITEM", id_=id, kind_=name):
        tx.run("DROP_ITEM", set_=input_set, id_=id)
        tx.run("UNSHARE_INPUT", set_=input_set, digest_=input_set.to_bytes(8, "big"))
    tx.free(f"DELETE FROM {outputs} WHERE item_id = ?", (id,))
    tx.run("UNDERIVE", wf_=change.wf)


def default_requirement(change: Change) -> int:
    """The requirement of jobs that name none, made when it is first needed."""
    tx = change.tx
    row = tx.row("DEFAULT_REQUIREMENT", wf_=change.wf)
    if row is not None:
        return int(row[0])
    need = Requirement(id=tx.ids("requirement", 1), workflow_id=change.wf, name="default")  # type: ignore[arg-type]  # a fresh id
    tx.many("INSERT_RESOURCE_REQUIREMENTS", [_row(need)])
    return int(need.id)


def _measured(need: Requirement) -> Requirement:
    """A requirement whose bytes and seconds agree with its texts."""
    return replace(need, memory_bytes=memory_bytes(need.memory), runtime_s=duration_seconds(need.runtime))


def _user_action(operation: str, kind: type[Any], id: int, names: Sequence[str]) -> Told:
    noun = FIELDS[kind].noun.replace(" ", "_")
    return "user_action", {"operation": operation, "kind": noun, "id": id, "fields": list(names)}
