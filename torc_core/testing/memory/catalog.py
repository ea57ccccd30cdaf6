"""Records without verbs: found, added, changed, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from torc_core.engine.completion import occupied
from torc_core.engine.liveness import may_still_run
from torc_core.engine.retry import checked_rules
from torc_core.engine.telling import ours
from torc_core.engine.triggers import check_action, required
from torc_core.errors import Conflict, Forbidden, Invalid, NotFound
from torc_core.model import (
    Action,
    ActionId,
    Event,
    FailureHandler,
    File,
    InputKind,
    Job,
    JobId,
    JobStatus,
    Node,
    NodeState,
    Page,
    Query,
    Requirement,
    Result,
    SlurmScheduler,
    UserData,
    Workflow,
)
from torc_core.model.resources import duration_seconds, memory_bytes
from torc_core.store.fields import FIELDS
from torc_core.testing.memory import triggers
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.creation import check_relations, recount_waiter, relate
from torc_core.testing.memory.flow import Flow, InputSet

ADDED = (File, UserData, Requirement, Event, Action, FailureHandler)
"""Kinds of records that clients may add."""

COUNTERS = {File: "file", UserData: "user_data", Requirement: "requirement", FailureHandler: "handler"}


def page(flows: Sequence[Flow], kind: type[Any], query: Query, records: Iterable[Any]) -> Page[Any]:
    """Those of the records that match, sorted and cut."""
    tests = [_test(flows, kind, name, value) for name, value in query.where.items()]
    found = [one for one in records if one.id > query.above and all(test(one) for test in tests)]
    for name, pattern in query.like.items():
        found = [one for one in found if fnmatchcase(getattr(one, name) or "", pattern)]
    if query.since is not None:
        found = [one for one in found if one.timestamp >= query.since]
    found.sort(key=lambda one: one.id)
    # Nothing sorts before something, as in SQL; ties stay in the order of ids in both directions.
    found.sort(key=lambda one: _rank(getattr(one, query.sort)), reverse=query.reverse)
    return Page(items=found[query.offset : query.offset + query.limit], total=len(found), offset=query.offset)


def records(flow: Flow, kind: type[Any]) -> Iterable[Any]:
    """All records of a kind that belong to a workflow."""
    if kind is Workflow:
        return [flow.workflow]
    if kind is Job:
        return flow.jobs.values()
    if kind is Result:
        return [flow.seen(result) for result in flow.tables[Result].values()]
    if kind is Action:
        return [triggers.seen(flow, action) for action in flow.tables[Action].values()]
    return list(flow.tables[kind].values())


def _rank(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def _test(flows: Sequence[Flow], kind: type[Any], name: str, value: Any) -> Callable[[Any], bool]:
    wanted = set(value) if isinstance(value, (tuple, list)) else {value}
    if name in FIELDS[kind].related:
        related = set().union(*(_related(flow, kind, name, wanted) for flow in flows)) if flows else set()
        if name == "is_output":
            return lambda one: (one.id in related) in wanted
        return lambda one: one.id in related
    if kind is Result and name == "run_id" and 0 in wanted:
        # Run 0 is the current one (`engine.md` §6.1).
        wanted = wanted | {flow.workflow.run_id for flow in flows}
    return lambda one: getattr(one, name) in wanted


def _related(flow: Flow, kind: type[Any], name: str, wanted: set[Any]) -> set[int]:
    """The ids of records that stand in this relation to one of the wanted jobs or files."""
    if name == "upstream_job_id":
        return {job for one in wanted for group in flow.memberships(one) for job in flow.users(group)}
    if name == "needs_file_id":
        readers = flow.readers(InputKind.FILE)
        return {job for file in wanted for jobs in readers.get(file, ()) for job in jobs}
    if name == "is_output":
        return set(flow.writers(InputKind.FILE))
    sort = InputKind.FILE if kind is File else InputKind.USER_DATA
    if name == "consumer_job_id":
        sets = [flow.input_sets[index] for job in wanted for index in flow.inputs.get(job, ())]
        return {item for one in sets if one.kind is sort for item in one.items}
    return {item for job in wanted for item in flow.outputs.get(job, {}).get(sort, ())}


def add(change: Change, record: Any) -> Any:
    """Add a file, a user data record or a requirement."""
    flow, kind = change.flow, type(record)
    if kind is Action:
        return _add_action(change, record)
    same = [other.id for other in flow.tables[kind].values() if other.name == record.name]
    added = replace(record, id=change.number(COUNTERS[kind]))
    flow.tables[kind][added.id] = added
    if kind is UserData:
        flow.first_data[added.id] = added
    if same:
        name = FIELDS[kind].noun.replace(" ", "_")
        change.tell(("duplicate_name", {"kind": name, "name": record.name, "ids": [*same, added.id]}))
    return added


def _add_action(change: Change, new: Action) -> Action:
    flow = change.flow
    check_action(new, schedulers=flow.tables[SlurmScheduler])
    for job in new.jobs:
        if job not in flow.jobs:
            raise NotFound(f"workflow {flow.workflow.id} has no job {job}")
    watched = sorted(set(new.jobs))
    action = replace(
        new, id=ActionId(change.number("action")), jobs=watched, trigger_count=0, executed=False, executed_at=None,
        executed_by=None, required_triggers=required(new.trigger_type, new.trigger_mode, len(watched)),
    )  # fmt: skip
    flow.tables[Action][action.id] = action
    triggers.join(change, action)
    return triggers.seen(flow, flow.tables[Action][action.id])


def one(flow: Flow, kind: type[Any], id: int) -> Any | None:
    """A record by its id."""
    if kind is Workflow:
        return flow.workflow if flow.workflow.id == id else None
    if kind is Job:
        return flow.jobs.get(JobId(id))
    found = flow.tables[kind].get(id)
    if isinstance(found, Action):
        return triggers.seen(flow, found)
    return flow.seen(found) if isinstance(found, Result) else found


def checked(record: Any) -> Any:
    """A record with what follows from its fields: a requirement's bytes and seconds agree with its texts."""
    if isinstance(record, FailureHandler):
        return replace(record, rules=checked_rules(record.rules))
    return measured(record) if isinstance(record, Requirement) else record


def measured(need: Requirement) -> Requirement:
    """A requirement whose bytes and seconds agree with its texts."""
    return replace(need, memory_bytes=memory_bytes(need.memory), runtime_s=duration_seconds(need.runtime))


def change_record(change: Change, record: Any, fields: Mapping[str, Any]) -> Any:
    """Change fields of a record; None leaves one as it is (`engine.md` §8.7)."""
    flow, kind = change.flow, type(record)
    given = {name: value for name, value in fields.items() if value is not None}
    if kind is UserData and "data" in fields:
        given = {"has_data": True, **given, "data": fields["data"]}
    if kind is Event:
        if ours(record.category):
            raise Forbidden(f"event {record.id} was written by torc itself; it cannot be changed")
        return replace(record, **given)
    if kind is Job:
        return _change_job(change, record, given)
    if kind is FailureHandler and "rules" in given:
        given["rules"] = checked_rules(given["rules"])
    changed = replace(record, **given)
    if kind is Workflow:
        flow.workflow = changed
    else:
        flow.tables[kind][record.id] = changed
    if kind is Requirement:
        flow.tables[kind][record.id] = changed = measured(changed)
        flow.reshape()
    change.tell(_user_action("change", kind, record.id, sorted(given)))
    return changed


def _change_job(change: Change, job: Job, given: dict[str, Any]) -> Job:
    flow = change.flow
    early = [name for name in given if name in FIELDS[Job].early]
    if early and job.status is not JobStatus.UNINITIALIZED:
        raise Invalid(
            f"job {job.id} is {job.status.label}; {', '.join(early)} can only be changed while it is uninitialized"
        )
    check_relations(flow, given)
    if job.id in given.get("depends_on", ()):
        raise Invalid(f"job {job.id} cannot wait for itself")
    status = given.pop("status", None)
    relations = {name: given.pop(name) for name in early if name.startswith(("depends", "input", "output"))}
    if given.get("label") == "":
        given["label"] = None
    if status is not None:
        _check_status(job, JobStatus(status))
    job = change.set(job, **given)
    if relations:
        relate(flow, job.id, **relations)
        job = flow.jobs[job.id]
    if status is not None and status != job.status:
        job = change.move(job, JobStatus(status), ready_since=None)
    change.tell(
        _user_action("change", Job, job.id, sorted((*given, *relations, *(["status"] if status else []))))
    )
    change.settle()
    return flow.jobs[job.id]


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


def remove(change: Change, record: Any) -> None:
    """Remove a record, and every reference to it.

    Raises
    ------
    Conflict
        If it is in use.
    Forbidden
        For an event that torc wrote.
    """
    flow, kind = change.flow, type(record)
    check_removable(flow, record)
    if kind is Job:
        _remove_job(change, record)
    elif kind is Result:
        del flow.tables[Result][record.id]
        del flow.results[record.job_id, record.run_id, record.attempt_id]
        job = flow.jobs.get(record.job_id)
        if job is not None and job.result_id == record.id:
            change.set(job, result_id=None)
    elif kind is Action:
        triggers.drop(flow, record.id)
    elif kind is not Event:
        del flow.tables[kind][record.id]
        _forget(change, kind, record.id)
    if kind is not Event:
        change.tell(_user_action("remove", kind, record.id, []))


def check_removable(flow: Flow, record: Any) -> None:
    """Refuse to remove what is in use; nothing has changed when this raises."""
    kind = type(record)
    if kind is Job and occupied(record):
        raise Conflict(_occupied(record))
    if kind is Event and ours(record.category):
        raise Forbidden(f"event {record.id} was written by torc itself; it cannot be removed")
    if kind is Node and record.state is NodeState.LOST and may_still_run(record):
        raise Conflict(
            f"node {record.id} ({record.hostname}) is lost but not known to be dead; it may still run jobs"
        )
    if kind is Node and (record.is_active or flow.live.get(record.id)):
        raise Conflict(f"node {record.id} ({record.hostname}) is active; stop its runner first")
    if kind is Requirement:
        users = sum(job.requirement_id == record.id for job in flow.jobs.values())
        if users:
            raise Conflict(
                f"resource requirement {record.name!r} is used by {users} jobs; give them another first"
            )
    if kind is Workflow:
        raise Invalid("workflows are deleted, not removed; use delete")


def _occupied(job: Job) -> str:
    if job.status.live:
        return f"job {job.id} is {job.status.label}; cancel it first"
    return f"job {job.id} is {job.status.label}, but node {job.node_id} has not ended it yet; try again later"


def _remove_job(change: Change, job: Job) -> None:
    flow = change.flow
    # To those who wait, a job that is gone is like a disabled one.
    change.vanish(job)
    waiters = {user for group in flow.memberships(job.id) for user in flow.users(group)} - {job.id}
    flow.links.leave(job.id)
    for waiter in waiters:
        recount_waiter(flow, waiter)
    for result in [one for one in flow.tables[Result].values() if one.job_id == job.id]:
        del flow.tables[Result][result.id], flow.results[job.id, result.run_id, result.attempt_id]
    triggers.forget_job(change, job.id)
    flow.drop(flow.jobs[job.id])


def _forget(change: Change, kind: type[Any], id: int) -> None:
    flow = change.flow
    field = {FailureHandler: "failure_handler_id", SlurmScheduler: "scheduler_id"}.get(kind)
    if field is not None:
        for job in [job for job in flow.jobs.values() if getattr(job, field) == id]:
            change.set(job, **{field: None})
    sort = {File: InputKind.FILE, UserData: InputKind.USER_DATA}.get(kind)
    if sort is not None:
        flow.input_sets = [
            InputSet(
                kind=one.kind, items=tuple(item for item in one.items if one.kind is not sort or item != id)
            )
            for one in flow.input_sets
        ]
        for job_id, outputs in flow.outputs.items():
            flow.outputs[job_id] = {**outputs, sort: tuple(item for item in outputs[sort] if item != id)}
        flow.first_data.pop(id, None) if kind is UserData else None


def _user_action(
    operation: str, kind: type[Any], id: int, fields: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    noun = FIELDS[kind].noun.replace(" ", "_")
    return "user_action", {"operation": operation, "kind": noun, "id": id, "fields": list(fields)}
