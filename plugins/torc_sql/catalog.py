"""Records without verbs: changed and removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torc_core.engine.checks import checked
from torc_core.engine.records import Look, changed, check_idle, check_welcome, merged, user_action
from torc_core.errors import Conflict
from torc_core.model import (
    AccessGroup,
    Action,
    Allocation,
    Event,
    FailureHandler,
    File,
    Job,
    Node,
    Requirement,
    Result,
    SlurmScheduler,
    UserData,
    Workflow,
)
from torc_core.store.fields import FIELDS
from torc_sql import rows, triggers, whereabouts
from torc_sql.adding import default_requirement
from torc_sql.change import Change
from torc_sql.finding import KINDS
from torc_sql.job_changes import change_job, check_unoccupied, reclass, remove_jobs, reshape, update
from torc_sql.plain import PLAIN, stored
from torc_sql.state import JobState
from torc_sql.transaction import Transaction

_JSON = {"metadata", "env", "execution_config", "resource_monitor_config", "slurm_defaults", "notify",
         "submit_options", "fields", "rules"}  # fmt: skip


def change_record(change: Change, record: Any, given: Mapping[str, Any], look: Look) -> None:
    """Change fields of a record of a workflow; None leaves one as it is (`engine.md` §8.7)."""
    kind, id = type(record), record.id
    new = merged(record, given)
    if kind is Job:
        change_job(change, record, new)
        return
    if not new:
        return
    if kind is Result:
        change.unsum()
    if kind in whereabouts.CHANGE:
        whereabouts.CHANGE[kind](change, record, dict(new))
        change.tell(user_action("change", FIELDS[kind].noun, id, new))
        return
    after = checked(changed(record, new))
    check_welcome(after, look)
    if kind is Workflow:
        check_idle(record, new, change.live)
    update(change, KINDS[kind].table, id, _columns(after, new))
    if kind is Requirement:
        reshape(change, after)
    if kind is not Event:
        change.tell(user_action("change", FIELDS[kind].noun, id, new))


def change_alone(tx: Transaction, record: Any, given: Mapping[str, Any], look: Look) -> None:
    """Change fields of a record that belongs to no workflow."""
    new = merged(record, given)
    after = checked(changed(record, new))
    check_welcome(after, look)
    for name, value in _columns(after, new).items():
        tx.free(f'UPDATE {KINDS[type(record)].table} SET "{name}" = ? WHERE id = ?', (value, record.id))


def remove(change: Change, kind: type[Any], records: Sequence[Any]) -> None:
    """Remove records of a workflow that nothing keeps, and every reference to them."""
    tx = change.tx
    if kind is Job:
        remove_jobs(change, records)
        return
    for record in records:
        _forget(change, record)
        tx.free(f"DELETE FROM {KINDS[kind].table} WHERE id = ?", (record.id,))


def remove_alone(tx: Transaction, record: Any) -> None:
    """Remove a record that belongs to no workflow, and what refers to it."""
    if isinstance(record, AccessGroup):
        tx.run("DROP_MEMBERS", id_=record.id)
        tx.run("DROP_LINKS", id_=record.id)
    tx.free(f"DELETE FROM {KINDS[type(record)].table} WHERE id = ?", (record.id,))


def check_unused(change: Change, record: Any) -> None:
    """Refuse to remove what is in use.

    Raises
    ------
    Conflict
        Saying by whom.
    """
    kind, tx = type(record), change.tx
    if kind is Job:
        check_unoccupied(record)
    if kind is Node and (record.is_active or tx.rows("MINE", node_=record.id)):
        raise Conflict(f"node {record.id} ({record.hostname}) is active; stop its runner first")
    if kind is File and change.live and tx.row("FILE_USED", id_=record.id) is not None:
        raise Conflict(
            f"file {record.id} ({record.name}) is used by jobs, and jobs of workflow {change.wf} are"
            " pending or running; wait for them, or cancel them first"
        )


def _columns(after: Any, names: Iterable[str]) -> dict[str, object]:
    """The columns of fields that have changed."""
    columns: dict[str, object] = {}
    for name in names:
        value = getattr(after, name)
        if isinstance(after, UserData) and name in ("data", "has_data"):
            columns["data"] = rows.data(after)
        elif isinstance(after, Event):
            columns[name] = json.dumps(value)
        elif isinstance(after, Result) and name == "usage":
            for part in ("peak_memory_bytes", "avg_memory_bytes", "peak_cpu_percent", "avg_cpu_percent"):
                columns[part] = getattr(value, part)
        elif type(after) in PLAIN:
            columns[name] = stored(value, written=name in PLAIN[type(after)].written)
        else:
            columns[name] = rows.text(value) if name in _JSON else stored(value)
    if isinstance(after, Requirement):
        columns |= {"memory_bytes": after.memory_bytes, "runtime_s": after.runtime_s}
    return columns


def _forget(change: Change, record: Any) -> None:
    """Take a record out of all that refers to it."""
    tx, kind, id = change.tx, type(record), record.id
    if kind is Result:
        change.unsum()
        tx.run("FORGET_RESULT", job_=record.job_id, result_=id)
    elif kind is FailureHandler:
        tx.run("FORGET_HANDLER", wf_=change.wf, id_=id)
    elif kind is SlurmScheduler:
        for row in tx.rows("OF_SCHEDULER_JOBS", wf_=change.wf, id_=id):
            update(change, "job", row[0], {"scheduler_id": None})
            reclass(change, JobState(*row))
        tx.write_ready()
        for statement in ("DROP_SCHEDULER_CLASSES", "FORGET_NODE_SCHEDULER", "FORGET_ALLOCATION_SCHEDULER"):
            tx.run(statement, id_=id)
    elif kind is Requirement:
        _fall_back(change, id)
    elif kind in (File, UserData):
        _forget_item(change, kind, id)
    elif kind is Action:
        triggers.drop(tx, id)
    elif kind is Node:
        tx.run("FORGET_NODE_CLAIMS", node_=id)
    elif kind is Allocation:
        tx.run("FORGET_ALLOCATION", id_=id)


def _fall_back(change: Change, id: int) -> None:
    """Jobs of a requirement that goes have the workflow's `default` from now on."""
    tx = change.tx
    if tx.rows("CLASSES_OF", id_=id):
        default = default_requirement(change)
        reshape(change, rows.requirement(tx.row("REQUIREMENT", id_=default)), id)
        tx.run("GIVE_REQUIREMENT", wf_=change.wf, id_=id, other_=default)


def _forget_item(change: Change, kind: type[Any], id: int) -> None:
    """Take a file or a user data record out of what jobs read and write; lists that had it are shared no more."""
    tx = change.tx
    name, outputs = ("file", "job_output_file") if kind is File else ("user_data", "job_output_user_data")
    for (input_set,) in tx.rows("SETS_OF_ITEM", id_=id, kind_=name):
        tx.run("DROP_ITEM", set_=input_set, id_=id)
        tx.run("UNSHARE_INPUT", set_=input_set, digest_=input_set.to_bytes(8, "big"))
    tx.free(f"DELETE FROM {outputs} WHERE item_id = ?", (id,))
    if kind is File:
        tx.run("FORGET_ENTITY_FILE", id_=id)
    tx.run("UNDERIVE", wf_=change.wf)
