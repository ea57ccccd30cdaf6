"""Lists of records: filters and order become SQL, from names of the allow-list only (`torc_core.store.fields`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torc_core.engine.records import Look
from torc_core.errors import Invalid
from torc_core.model import (
    Action,
    ActionRun,
    Allocation,
    Event,
    FailureHandler,
    File,
    GroupLink,
    Job,
    Node,
    Operation,
    Page,
    Query,
    Requirement,
    Result,
    SlurmScheduler,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.store.fields import FIELDS, WITHOUT_WORKFLOW
from torc_sql import plain, rows, triggers
from torc_sql.dialect import Dialect
from torc_sql.transaction import Transaction

MOST_VALUES = 30_000
"""Values that one filter may name; databases bind no more than about this many."""

VISIBLE = "EXISTS (SELECT 1 FROM workflow AS owner WHERE owner.id = {} AND owner.deleting = 0)"
"""That the workflow of a record, `{}`, is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How records of a kind are read.

    Parameters
    ----------
    table
        Whose columns the fields are, but for those in `columns`.
    statement
        Name of the select without conditions.
    columns
        Fields that are expressions.
    related
        Filters by a relation, each a condition that ends before the list of values.
    """

    table: str
    statement: str
    record: Callable[[Any], Any]
    columns: Mapping[str, str]
    related: Mapping[str, str]

    def column(self, field: str) -> str:
        """The SQL of a field."""
        return self.columns.get(field, f"{self.table}.{field}")


def _kind(
    table: str, record: Callable[[Any], Any], related: Mapping[str, str] | None = None, **columns: str
) -> Kind:
    return Kind(
        table=table, statement=f"ALL_{table.upper()}", record=record, columns=columns, related=related or {}
    )


_BY_INPUT = (
    "SELECT {} FROM input_use JOIN input_set ON input_set.id = input_use.set_id AND input_set.kind = '{}'"
    " JOIN input_member ON input_member.set_id = input_set.id WHERE {}"
)

USED = ("peak_memory_bytes", "avg_memory_bytes", "peak_cpu_percent", "avg_cpu_percent")
"""What a result says about the use of resources."""

KINDS: Mapping[type[Any], Kind] = {
    Workflow: _kind("workflow", rows.workflow),
    Job: _kind("job", rows.job, {
        "upstream_job_id": "job.id IN (SELECT dep_use.job_id FROM dep_use JOIN dep_member ON dep_member.set_id ="
                           " dep_use.set_id WHERE dep_member.job_id",
        "needs_file_id": f"job.id IN ({_BY_INPUT.format('input_use.job_id', 'file', 'input_member.item_id')}",
    }),
    File: _kind("file", rows.file, {
        "produced_by_job_id": "file.id IN (SELECT item_id FROM job_output_file WHERE job_id",
        "is_output": "(EXISTS (SELECT 1 FROM job_output_file WHERE item_id = file.id)",
    }),
    UserData: _kind("user_data", rows.user_data, {
        "producer_job_id": "user_data.id IN (SELECT item_id FROM job_output_user_data WHERE job_id",
        "consumer_job_id": f"user_data.id IN ({_BY_INPUT.format('item_id', 'user_data', 'input_use.job_id')}",
    }, has_data="(user_data.data IS NOT NULL)"),
    Requirement: _kind("resource_requirements", rows.requirement),
    FailureHandler: _kind("failure_handler", rows.handler),
    SlurmScheduler: _kind("slurm_scheduler", rows.scheduler),
    Action: _kind("workflow_action", lambda row: row),
    ActionRun: _kind("action_run", rows.action_run),
    Operation: _kind("task", rows.operation),
    Result: _kind("result", rows.result, None, job_name="job.name",
                  current="coalesce(job.result_id = result.id, 0)", **{f"usage.{used}": f"result.{used}" for used in USED}),
    Event: _kind("event", rows.event),
    Node: _kind("compute_node", rows.node),
    Allocation: _kind("scheduled_compute_node", rows.allocation),
    GroupLink: _kind("workflow_access_group", plain.reader(GroupLink), workflow_id="workflow_access_group.wf"),
    **{
        kind: _kind(plain.PLAIN[kind].table, plain.reader(kind)) for kind in plain.PLAIN if kind is not GroupLink
    },
}  # fmt: skip


def find(tx: Transaction, dialect: Dialect, kind: type[Any], query: Query) -> Page[Any]:
    """A page of records; the query has been checked."""
    how = KINDS[kind]
    conditions, values = _conditions(dialect, kind, how, query)
    where = f" WHERE {' AND '.join(conditions)}"
    base = tx.text(how.statement)
    direction = " DESC" if query.reverse else ""
    order = f" ORDER BY {how.column(query.sort)}{direction}, {how.column('id')}"
    cut = f" LIMIT {int(query.limit)} OFFSET {int(query.offset)}"
    found = tx.free(base + where + order + cut, values)
    total = query.offset + len(found)
    if len(found) == query.limit or (query.offset and not found):
        ((total,),) = tx.free(f"SELECT count(*) FROM ({base}{where}) AS found", values)
    return Page(items=[_record(tx, kind, how, row) for row in found], total=total, offset=query.offset)


def one(tx: Transaction, dialect: Dialect, kind: type[Any], id: int) -> Any | None:
    """A record by its id; None: there is none."""
    found = find(tx, dialect, kind, Query(where={"id": id}, limit=1)).items
    return found[0] if found else None


def look(tx: Transaction, dialect: Dialect, wf: WorkflowId | None) -> Look:
    """What the rules of records ask about those that are there."""

    def found(kind: type[Any], wanted: Mapping[str, Any]) -> Sequence[Any]:
        if kind not in KINDS:
            return ()
        workflow = None if kind in WITHOUT_WORKFLOW else wf
        return find(tx, dialect, kind, Query(workflow=workflow, where=wanted, limit=2)).items

    return found


def owners(tx: Transaction, kind: type[Any], ids: Sequence[int]) -> dict[int, WorkflowId]:
    """The workflows of those of the records that are there."""
    if not ids:
        return {}
    if kind not in KINDS:
        raise Invalid(f"records of kind {kind.__name__!r} are not kept by an id")
    table = KINDS[kind].table
    owner = "workflow.id" if kind is Workflow else f"{table}.wf"
    marks = ", ".join("?" * len(ids))
    where = f"{table}.id IN ({marks}) AND {VISIBLE.format(owner)}"
    return dict(tx.free(f"SELECT {table}.id, {owner} FROM {table} WHERE {where}", ids))


def _record(tx: Transaction, kind: type[Any], how: Kind, row: Any) -> Any:
    if kind is Action:
        run = tx.row("WORKFLOW_STATE", wf_=row[1])[2]
        return triggers.seen(tx, triggers.action_of(tx, row), run)
    return how.record(row)


def _conditions(dialect: Dialect, kind: type[Any], how: Kind, query: Query) -> tuple[list[str], list[object]]:
    owner = "workflow.id" if kind is Workflow else f"{how.table}.wf"
    # PERF: of one workflow this is asked once, and not for each of a hundred thousand records.
    known = query.workflow is not None and kind not in WITHOUT_WORKFLOW
    conditions = [VISIBLE.format("?" if known else owner)]
    values: list[object] = [query.workflow] if known else []
    if kind in WITHOUT_WORKFLOW:
        conditions = ["1 = 1"]
    if kind is Event:
        # The last word about a workflow outlives it.
        conditions = [f"({conditions[0]} OR event.category = 'workflow_deleted')"]
    if query.workflow is not None:
        conditions.append(f"{owner} = ?")
        values.append(query.workflow)
    for field, wanted in query.where.items():
        listed = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
        if len(listed) > MOST_VALUES:
            raise Invalid(
                f"{field} is compared with {len(listed)} values; ask for at most {MOST_VALUES} at a time"
            )
        conditions.append(_condition(kind, how, field, listed, values))
    for field, pattern in query.like.items():
        conditions.append(dialect.glob.format(f"coalesce({how.column(field)}, '')"))
        values.append(pattern.replace("[!", "[^"))
    if query.above:
        conditions.append(f"{how.column('id')} > ?")
        values.append(query.above)
    if query.since is not None:
        conditions.append("event.timestamp >= ?")
        values.append(query.since)
    return conditions, values


def _condition(kind: type[Any], how: Kind, field: str, wanted: Sequence[Any], values: list[object]) -> str:
    known = [value for value in wanted if value is not None]
    values.extend(known)
    among = f"IN ({', '.join('?' * len(known))})"
    if field in FIELDS[kind].related:
        return f"{how.related[field]} {among})"
    column = how.column(field)
    choices = [f"{column} {among}"] if known else []
    if len(known) < len(wanted):
        choices.append(f"{column} IS NULL")
    if kind is Result and field == "run_id" and 0 in known:
        # Run 0 is the current one (`engine.md` §6.1).
        choices.append("result.run_id = (SELECT run_id FROM workflow WHERE id = result.wf)")
    return f"({' OR '.join(choices)})" if choices else "1 = 0"
