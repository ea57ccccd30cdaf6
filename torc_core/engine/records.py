"""Rules of records without verbs: which may be added, how changes are merged, what stands in the way of a removal.

What a rule has to know of the records that are there it asks through `Look`, so that every store uses the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields as declared
from dataclasses import replace
from typing import Any

from torc_core.engine.checks import OWN_DATA, check_modes, check_text, wrong
from torc_core.engine.liveness import may_still_run
from torc_core.engine.telling import Told, ours
from torc_core.errors import Conflict, Forbidden, Invalid, NotFound, WrongState
from torc_core.model import (
    CLEAR,
    MANY_EQUAL,
    OF_COMMANDS,
    AccessGroup,
    Action,
    Allocation,
    AllocationStatus,
    AuditEntry,
    Event,
    FailureHandler,
    File,
    GroupLink,
    Job,
    Json,
    LocalScheduler,
    Membership,
    Node,
    NodeState,
    RemoteWorker,
    Requirement,
    Result,
    RoCrateEntity,
    SlurmScheduler,
    SlurmStats,
    Token,
    UserData,
    Workflow,
)

Look = Callable[[type[Any], Mapping[str, Any]], Sequence[Any]]
"""Some of the records of a kind whose fields have these values, of the workflow at hand where the kind has one."""

ADDABLE: tuple[type[Any], ...] = (
    File, UserData, Requirement, Event, SlurmScheduler, LocalScheduler, RoCrateEntity, Result, AccessGroup,
    Membership, GroupLink, Token, AuditEntry, Action, FailureHandler, Node, Allocation, RemoteWorker, SlurmStats,
)  # fmt: skip
"""Kinds of records that callers may add; all others come from verbs."""

COUNTERS: Mapping[type[Any], str] = {
    File: "file", UserData: "user_data", Requirement: "requirement", SlurmScheduler: "scheduler",
    LocalScheduler: "local_scheduler", RoCrateEntity: "entity", Result: "result", AccessGroup: "group",
    Membership: "membership", GroupLink: "group_link", Token: "token", AuditEntry: "audit", Action: "action",
    FailureHandler: "handler",
}  # fmt: skip
"""What the ids of each addable kind are counted by in stores."""

NAMED: tuple[type[Any], ...] = (File, UserData, Requirement, FailureHandler)
"""Kinds of which a second record of the same name is worth an event `duplicate_name`, and which come by thousands."""

SYSTEM_GROUP = "admin"
"""The name of the group that the configuration fills (`security.md` Z4)."""

MOST_IDS = 100
"""Ids that one event `duplicate_name` lists; `count` says how many there are."""

_UNIQUE: Mapping[type[Any], tuple[tuple[str, ...], str]] = {
    RoCrateEntity: (
        ("entity_id",),
        "workflow {0.workflow_id} has an RO-Crate entity {0.entity_id!r} already",
    ),
    AccessGroup: (("name",), "there is an access group {0.name!r} already"),
    Membership: (
        ("group_id", "user_name"),
        "{0.user_name!r} is a member of access group {0.group_id} already",
    ),
    GroupLink: (("group_id",), "access group {0.group_id} is linked to workflow {0.workflow_id} already"),
    Token: (("key",), "there is a token with the key {0.key!r} already"),
}


def check_addable(records: Iterable[Any]) -> None:
    """Refuse records that only the store itself makes.

    Raises
    ------
    Invalid, Forbidden
        Naming the kind, or the category.
    """
    for record in records:
        kind = type(record)
        if kind not in ADDABLE:
            raise Invalid(f"records of kind {kind.__name__!r} cannot be added")
        if kind is Event and ours(record.category) and record.category not in OF_COMMANDS:
            raise Forbidden(f"events of category {record.category!r} are written by torc itself")
        if kind is Requirement and record.name == "default":
            raise wrong(
                "name", "default", "the name 'default' is reserved for torc's own resource requirement"
            )
        if kind is UserData and record.name.startswith(OWN_DATA):
            raise _own_data(record.name)


def check_welcome(record: Any, look: Look) -> None:
    """Refuse a record, new or changed, that clashes with others or refers to what is not there.

    Raises
    ------
    Conflict, Invalid, NotFound, Forbidden
        Naming the field and the value.
    """
    kind = type(record)
    if kind is AccessGroup and record.name == SYSTEM_GROUP:
        raise Conflict(f"the access group {SYSTEM_GROUP!r} is torc's own; choose another name")
    if kind in _UNIQUE:
        names, sentence = _UNIQUE[kind]
        others = [
            one for one in look(kind, {name: getattr(record, name) for name in names}) if one.id != record.id
        ]
        if others:
            details = {"field": names[-1], "value": getattr(record, names[-1]), "id": others[0].id}
            raise Conflict(sentence.format(record), details=details)
    if kind is RoCrateEntity and record.file_id is not None and not look(File, {"id": record.file_id}):
        raise wrong("file_id", record.file_id, f"workflow {record.workflow_id} has no file {record.file_id}")
    if kind in (Membership, GroupLink):
        groups = look(AccessGroup, {"id": record.group_id})
        if not groups:
            raise NotFound(f"no access group {record.group_id}")
        if kind is Membership and groups[0].is_system:
            raise _system_group()


def merged(record: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a change that make a difference, with their new values (`wire.md` T8, `engine.md` §8.7).

    None leaves a field as it is. `CLEAR` takes it away, and so does an empty text, list or map where a field may be
    without a value. Names that are no fields of the record (relations of a job) are handed on.

    Raises
    ------
    Invalid
        If a field that has to have a value is cleared.
    """
    kind = type(record)
    if kind is UserData:
        fields = _data(fields)
    if kind is SlurmScheduler and isinstance(fields.get("fields"), Mapping):
        fields = {**fields, "fields": _scheduler_fields(record.fields, fields["fields"])}
    nullable = _nullable(kind)
    new: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in nullable:
            if value is not None:
                new[name] = () if value is CLEAR else value
            continue
        free = nullable[name] or (kind, name) == (UserData, "data")
        if value is CLEAR and not free:
            raise wrong(name, None, f"{name} cannot be cleared; give it another value")
        if value is None and (kind, name) != (UserData, "data"):
            continue
        empty = nullable[name] and isinstance(value, str | Sequence | Mapping) and not value
        after = None if value is CLEAR or empty else value
        if isinstance(after, str):
            check_text(name, after)
        before = getattr(record, name)
        # NOTE: 1 and True are equal, but not the same JSON.
        if after != before or type(after) is not type(before):
            new[name] = after
    _check_new(record, new)
    return new


def stamped(record: Any, now: int) -> Any:
    """A new record with the instant at which it is added, where its kind has one."""
    kind = type(record)
    if kind is AccessGroup:
        return replace(record, created_at=now, is_system=False)
    if kind in (Membership, GroupLink, Token):
        return replace(record, created_at=now)
    return replace(record, timestamp=now) if kind in (AuditEntry, Event) else record


def check_removable(record: Any, look: Look) -> None:
    """Refuse to remove what others need, or what nobody may remove.

    Raises
    ------
    Conflict, Forbidden, Invalid
        Naming what is in the way.
    """
    kind = type(record)
    if kind is Event and ours(record.category):
        raise Forbidden(f"event {record.id} was written by torc itself; it cannot be removed")
    if kind is AuditEntry:
        raise Forbidden("the audit record only grows; nothing is removed from it")
    if kind is Requirement and record.name == "default":
        raise Invalid(
            f"resource requirement {record.id} is the workflow's 'default', which jobs fall back to; it stays"
        )
    if kind is AccessGroup and record.is_system:
        raise _system_group()
    if kind is Membership and look(AccessGroup, {"id": record.group_id, "is_system": True}):
        raise _system_group()
    if kind is Node and record.state is NodeState.LOST and may_still_run(record):
        raise Conflict(
            f"node {record.id} ({record.hostname}) is lost but not known to be dead; it may still run jobs"
        )
    if kind is Allocation:
        active = look(Node, {"allocation_id": record.id, "is_active": True})
        if active:
            raise Conflict(
                f"scheduled compute node {record.id} has an active node, {active[0].id}; stop it first"
            )
    if kind is SlurmScheduler:
        open_ = tuple(status.value for status in (
            AllocationStatus.INTENDED, AllocationStatus.PENDING, AllocationStatus.ACTIVE
        ))  # fmt: skip
        found = look(Allocation, {"scheduler_config_id": record.id, "status": open_})
        if found:
            raise Conflict(
                f"Slurm scheduler {record.id} has an allocation that is {found[0].status}"
                f" (scheduled compute node {found[0].id}); cancel it first"
            )
    if kind is Workflow:
        raise Invalid("workflows are deleted, not removed; use delete")


def same_attempt(new: Result, stored: Result) -> Result:
    """What is answered when a result is added for an attempt that has one: the stored one, if it says the same.

    Raises
    ------
    Conflict
        If it says something else.
    """
    told = ("status", "return_code", "node_id", "exec_minutes", "completed_at", "usage")
    if any(getattr(new, name) != getattr(stored, name) for name in told):
        raise Conflict(
            f"job {new.job_id} has another result for run {new.run_id}, attempt {new.attempt_id} (id {stored.id})",
            details={"code": "different_result", "id": stored.id},
        )
    return stored


def duplicates(noun: str, taken: Mapping[str, Sequence[int]], new: Sequence[tuple[str, int]]) -> list[Told]:
    """An event for each name that several records have now: those that were there (`taken`) and the new ones."""
    ids: dict[str, list[int]] = {}
    for name, id in new:
        ids.setdefault(name, list(taken.get(name, ()))).append(id)
    kind = noun.replace(" ", "_")
    told = [(name, found) for name, found in ids.items() if len(found) > 1]
    if len(told) > MANY_EQUAL:
        first, last = told[0][1][0], told[-1][1][-1]
        return [("duplicate_name", {"kind": kind, "count": len(told), "first_id": first, "last_id": last})]
    return [
        ("duplicate_name", {"kind": kind, "name": name, "ids": found[:MOST_IDS], "count": len(found)})
        for name, found in told
    ]


def user_action(operation: str, noun: str, id: int, fields: Iterable[str] = (), **more: Json) -> Told:
    """A person changed or removed a record, or set something back."""
    data: dict[str, Json] = {
        "operation": operation,
        "kind": noun.replace(" ", "_"),
        "id": id,
        "fields": sorted(fields),
    }
    return "user_action", data | more


def removed(noun: str, ids: Sequence[int]) -> list[Told]:
    """A person removed records: one event for each, or one with a count and an id range for very many."""
    if len(ids) <= MANY_EQUAL:
        return [user_action("remove", noun, id) for id in ids]
    data: dict[str, Json] = {"operation": "remove", "kind": noun.replace(" ", "_"), "count": len(ids)}
    return [("user_action", {**data, "first_id": min(ids), "last_id": max(ids)})]


def _check_new(record: Any, new: Mapping[str, Any]) -> None:
    kind = type(record)
    if kind is Event and ours(record.category):
        raise Forbidden(f"event {record.id} was written by torc itself; it cannot be changed")
    if kind is Requirement and "name" in new and "default" in (new["name"], record.name):
        raise wrong(
            "name",
            new["name"],
            "the name 'default' belongs to torc's own resource requirement, and to no other",
        )
    if kind is UserData and str(new.get("name", "")).startswith(OWN_DATA):
        raise _own_data(new["name"])


def _data(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """A change of user data: a null that is given is a value, and `CLEAR` leaves none."""
    if "data" not in fields:
        return fields
    has = fields["data"] is not CLEAR and fields.get("has_data", True)
    return {**fields, "has_data": has, "data": fields["data"] if has else CLEAR}


def _scheduler_fields(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {**old, **{name: value for name, value in given.items() if value is not None}}
    return {name: None if value is CLEAR or value == "" else value for name, value in kept.items()}


def _nullable(kind: type[Any]) -> dict[str, bool]:
    """Every field of a kind, and whether it may be without a value."""
    return {field.name: "None" in str(field.type) for field in declared(kind)}


def _own_data(name: str) -> Invalid:
    return wrong(
        "name", name, f"user data cannot be called {name!r}: names that begin with {OWN_DATA} are torc's own"
    )


def _system_group() -> Forbidden:
    return Forbidden(
        f"the access group {SYSTEM_GROUP!r} is filled from the server's configuration; it cannot be edited"
    )


def changed(record: Any, new: Mapping[str, Any]) -> Any:
    """A record with new values, as it is before its checks; `new` comes from `merged`."""
    return replace(record, **{name: value for name, value in new.items() if name in _nullable(type(record))})


def check_idle(workflow: Workflow, new: Mapping[str, Any], live: int) -> None:
    """Refuse to change how jobs are executed while some are, or to what no mode knows (`wire.md` §3.3).

    Raises
    ------
    Invalid
        Naming the field.
    """
    if "execution_config" in new:
        check_modes(new["execution_config"])
    if live and "execution_config" in new:
        sentence = f"execution_config of workflow {workflow.id} cannot change while {live} of its jobs are pending or running"
        raise wrong("execution_config", None, sentence)


def early(job: Job, new: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Those of the fields that change only while a job is uninitialized.

    Raises
    ------
    Invalid
        If it is not, naming them.
    """
    names = [name for name in new if name in allowed]
    if names and job.status.label != "uninitialized":
        listed = ", ".join(names)
        sentence = (
            f"job {job.id} is {job.status.label}; {listed} can only be changed while it is uninitialized"
        )
        raise WrongState(sentence, details={"field": names[0], "fields": names})
    return names


def busy(workflow: int, live: int) -> str:
    """Why no jobs can be added just now."""
    return (
        f"jobs cannot be added to workflow {workflow} while {live} of its jobs are pending or running;"
        " a running job may spawn some, else wait or cancel the workflow"
    )


def no_group(name: str) -> str:
    """Why a workflow with this access group cannot be created."""
    return f"no access group {name!r}; an admin creates it, or leave it out"
