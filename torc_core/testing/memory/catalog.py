"""Records without verbs: found, added, changed, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Any

from torc_core.engine.checks import checked, wrong
from torc_core.engine.completion import occupied
from torc_core.engine.records import (
    COUNTERS,
    Look,
    changed,
    check_idle,
    check_welcome,
    merged,
    same_attempt,
    stamped,
    user_action,
)
from torc_core.engine.triggers import check_action, required
from torc_core.errors import Conflict
from torc_core.model import (
    Action,
    ActionId,
    Allocation,
    Event,
    FailureHandler,
    File,
    InputKind,
    Job,
    JobId,
    Node,
    Page,
    Query,
    Requirement,
    Result,
    ResultId,
    RoCrateEntity,
    SlurmScheduler,
    UserData,
    Workflow,
)
from torc_core.store.fields import FIELDS
from torc_core.testing.memory import triggers, whereabouts
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.creation import default_requirement
from torc_core.testing.memory.flow import Flow, InputSet
from torc_core.testing.memory.job_changes import change_job, in_use, remove_jobs

_REFERENCES: Mapping[type[Any], Sequence[tuple[type[Any], str]]] = {
    SlurmScheduler: ((Node, "scheduler_id"), (Allocation, "scheduler_config_id")),
    File: ((RoCrateEntity, "file_id"),),
    Allocation: ((Node, "allocation_id"),),
}
"""Records besides jobs that name others: they lose the name when those are removed."""


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
    found.sort(key=lambda one: _rank(attrgetter(query.sort)(one)), reverse=query.reverse)
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
    return lambda one: attrgetter(name)(one) in wanted


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


def add(change: Change, record: Any, look: Look) -> Any:
    """Add a record that has been checked."""
    flow, kind = change.flow, type(record)
    if kind in whereabouts.ADD:
        return whereabouts.ADD[kind](change, record)
    if kind is Result:
        return _add_result(change, record)
    if kind is Action:
        return add_action(change, record)
    check_welcome(record, look)
    added = stamped(replace(record, id=change.number(COUNTERS[kind])), change.now)
    flow.tables[kind][added.id] = added
    if kind is UserData:
        flow.first_data[added.id] = added
    return added


def add_action(change: Change, new: Action) -> Action:
    """Add an action; it counts from the statuses of its jobs."""
    flow = change.flow
    check_action(new, schedulers=flow.tables[SlurmScheduler])
    for job in new.jobs:
        if job not in flow.jobs:
            raise wrong("jobs", job, f"workflow {flow.workflow.id} has no job {job}")
    watched = sorted(set(new.jobs))
    action = replace(
        new, id=ActionId(change.number("action")), jobs=watched, trigger_count=0, executed=False, executed_at=None,
        executed_by=None, required_triggers=required(new.trigger_type, new.trigger_mode, len(watched)),
    )  # fmt: skip
    flow.tables[Action][action.id] = action
    triggers.join(change, action)
    return triggers.seen(flow, flow.tables[Action][action.id])


def take_back(flow: Flow, record: Any) -> None:
    """Undo an `add`: another record of the same call was refused."""
    del flow.tables[type(record)][record.id]
    flow.first_data.pop(record.id, None) if isinstance(record, UserData) else None
    if isinstance(record, Result):
        del flow.results[record.job_id, record.run_id, record.attempt_id]


def _add_result(change: Change, new: Result) -> Result:
    flow = change.flow
    job = flow.jobs.get(new.job_id)
    if job is None:
        raise wrong("job_id", new.job_id, f"workflow {flow.workflow.id} has no job {new.job_id}")
    run = new.run_id or flow.workflow.run_id
    stored = flow.results.get((job.id, run, new.attempt_id))
    if stored is not None:
        return flow.seen(same_attempt(replace(new, run_id=run), flow.tables[Result][stored]))
    result = replace(
        new, id=ResultId(change.number("result")), job_name=job.name, run_id=run, provisional=False, current=True,
        completed_at=new.completed_at or change.now,
    )  # fmt: skip
    flow.keep(result)
    if run == flow.workflow.run_id:
        change.set(job, result_id=result.id)
    return flow.seen(result)


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


def change_record(change: Change, record: Any, fields: Mapping[str, Any], look: Look) -> Any:
    """Change fields of a record; None leaves one as it is (`engine.md` §8.7)."""
    flow, kind = change.flow, type(record)
    new = merged(record, fields)
    if kind is Job:
        return change_job(change, record, new)
    if not new:
        return record
    if kind in whereabouts.CHANGE:
        names = list(new)
        changed_ = whereabouts.CHANGE[kind](change, record, new)
        change.tell(user_action("change", FIELDS[kind].noun, record.id, names))
        return changed_
    changed_ = checked(changed(record, new))
    check_welcome(changed_, look)
    if kind is Event:
        return changed_
    if kind is Workflow:
        check_idle(record, new, sum(flow.tally[status] for status in flow.tally if status.live))
        flow.workflow = changed_
    else:
        flow.tables[kind][record.id] = changed_
    if kind is Requirement:
        flow.reshape()
    change.tell(user_action("change", FIELDS[kind].noun, record.id, new))
    return changed_


def remove(change: Change, kind: type[Any], records: Sequence[Any]) -> None:
    """Remove records that `check_unused` has let through, and every reference to them."""
    if kind is Job:
        remove_jobs(change, records)
        return
    for record in records:
        _remove(change, kind, record)


def _remove(change: Change, kind: type[Any], record: Any) -> None:
    flow = change.flow
    if kind is Result:
        take_back(flow, record)
        job = flow.jobs.get(record.job_id)
        if job is not None and job.result_id == record.id:
            change.set(job, result_id=None)
    elif kind is Action:
        triggers.drop(flow, record.id)
    elif kind is not Event:
        if kind is Requirement:
            _fall_back(change, record)
        del flow.tables[kind][record.id]
        _forget(change, kind, record.id)


def check_unused(flow: Flow, record: Any) -> None:
    """Refuse to remove what is in use; nothing has changed when this raises."""
    kind = type(record)
    if kind is Job and occupied(record):
        raise Conflict(in_use(record))
    if kind is Node and (record.is_active or flow.live.get(record.id)):
        raise Conflict(f"node {record.id} ({record.hostname}) is active; stop its runner first")
    if kind is File and any(flow.tally[status] for status in flow.tally if status.live):
        used = any(one.kind is InputKind.FILE and record.id in one.items for one in flow.input_sets)
        if used or record.id in flow.writers(InputKind.FILE):
            raise Conflict(
                f"file {record.id} ({record.name}) is used by jobs, and jobs of workflow {flow.workflow.id} are"
                " pending or running; wait for them, or cancel them first"
            )


def _fall_back(change: Change, need: Requirement) -> None:
    """Jobs of a requirement that goes have the workflow's `default` from now on."""
    flow = change.flow
    for job in [job for job in flow.jobs.values() if job.requirement_id == need.id]:
        change.set(job, requirement_id=default_requirement(change))


def _forget(change: Change, kind: type[Any], id: int) -> None:
    flow = change.flow
    field = {FailureHandler: "failure_handler_id", SlurmScheduler: "scheduler_id"}.get(kind)
    if field is not None:
        for job in [job for job in flow.jobs.values() if getattr(job, field) == id]:
            change.set(job, **{field: None})
    for other, named in _REFERENCES.get(kind, ()):
        for row in [row for row in flow.tables[other].values() if getattr(row, named) == id]:
            flow.tables[other][row.id] = replace(row, **{named: None})
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
