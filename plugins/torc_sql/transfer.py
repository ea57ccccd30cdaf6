"""A workflow leaves as a document and comes as one (`engine.md` §17)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torc_core.engine.exporting import Contents, Wiring
from torc_core.engine.importing import Parcel, settled
from torc_core.engine.records import user_action
from torc_core.errors import NotFound
from torc_core.model import (
    Action,
    Allocation,
    Event,
    FailureHandler,
    File,
    InputKind,
    Job,
    JobId,
    JobStatus,
    LocalScheduler,
    Node,
    Query,
    Requirement,
    Result,
    RoCrateEntity,
    SlurmScheduler,
    Source,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_sql import finding, plain, repairing, rows
from torc_sql.adding import chunks, result_row
from torc_sql.creation import Made
from torc_sql.dialect import Dialect
from torc_sql.transaction import Transaction

EVERY = 2**62
_JSON = frozenset({"schedule_compute_nodes", "submit_options"})


def contents(tx: Transaction, dialect: Dialect, wf: WorkflowId, results: bool, events: bool) -> Contents:
    """All that belongs to a workflow, as one snapshot has it.

    Raises
    ------
    NotFound
        If there is none.
    """
    workflow: Workflow | None = finding.one(tx, dialect, Workflow, wf)
    if workflow is None:
        raise NotFound(f"no workflow {wf}")

    def every(kind: type[Any]) -> list[Any]:
        return list(finding.find(tx, dialect, kind, Query(workflow=wf, limit=EVERY)).items)

    return Contents(
        workflow=workflow, wiring=_wiring(tx, wf), files=every(File), user_data=every(UserData),
        first_data={row[0]: rows.user_data(row) for row in tx.rows("FIRST_USER_DATA", wf_=wf)},
        requirements=every(Requirement), handlers=every(FailureHandler), schedulers=every(SlurmScheduler),
        local_schedulers=every(LocalScheduler), jobs=every(Job), actions=every(Action), entities=every(RoCrateEntity),
        nodes=every(Node) if results else (), allocations=every(Allocation) if results else (),
        results=every(Result) if results else None, events=every(Event) if events else None,
    )  # fmt: skip


def _wiring(tx: Transaction, wf: WorkflowId) -> Wiring:
    groups: dict[int, list[JobId]] = {}
    for group, job in tx.rows("ALL_MEMBERS", wf_=wf):
        groups.setdefault(group, []).append(job)
    inputs: dict[int, tuple[InputKind, list[int]]] = {}
    for entry, kind, item in tx.rows("ALL_INPUTS", wf_=wf):
        inputs.setdefault(entry, (InputKind(kind), []))[1].append(item)
    uses = [
        (job, group, Source(sources))
        for job, group, sources in tx.rows("ALL_SOURCES", wf_=wf)
        if group in groups
    ]
    return Wiring(
        groups=groups, uses=uses, inputs=inputs,
        readers=[(job, entry) for job, entry in tx.rows("ALL_READERS", wf_=wf) if entry in inputs],
        outputs=[
            (job, kind, item)
            for kind, statement in ((InputKind.FILE, "FILE_WRITERS"), (InputKind.USER_DATA, "USER_DATA_WRITERS"))
            for item, job in tx.rows(statement, wf_=wf)
        ],
    )  # fmt: skip


def unpack(tx: Transaction, made: Made, given: Parcel) -> None:
    """Write what a parcel has besides its plan; nobody sees the workflow before that is done."""
    wf = made.wf
    columns = {name: rows.text(value) if name in _JSON else value for name, value in given.workflow.items()}
    pairs = ", ".join(f'"{name}" = ?' for name in columns)
    tx.free(f"UPDATE workflow SET {pairs} WHERE id = ?", (*columns.values(), wf))
    _many(tx, "IMPORT_FILE", [
        {"file_": made.files + at, "mtime_": one.st_mtime, "size_": one.size, "hash_": one.content_hash}
        for at, one in enumerate(given.files) if (one.st_mtime, one.size, one.content_hash) != (None, None, None)
    ])  # fmt: skip
    _many(tx, "IMPORT_USER_DATA", [
        {"datum_": made.user_data + at, "data_": rows.data(now)}
        for at, (first, now) in enumerate(zip(given.plan.user_data, given.user_data, strict=True))
        if (first.has_data, first.data) != (now.has_data, now.data)
    ])  # fmt: skip
    _many(tx, "IMPORT_ACTION", [
        {"action_": made.actions + at, "recovery_": int(fields["is_recovery"]), "count_": fields["trigger_count"]}
        for at, fields in given.actions.items()
    ])  # fmt: skip
    _records(tx, "local_scheduler", given.local_schedulers, wf)
    _records(tx, "entity", given.entities, wf, file_id=made.files)
    allocations = tx.ids("allocation", len(given.allocations))
    _many(tx, "INSERT_SCHEDULED_COMPUTE_NODE", [
        rows.allocation_row(_placed(one, allocations + at, wf, scheduler_config_id=made.schedulers))
        for at, one in enumerate(given.allocations)
    ])  # fmt: skip
    nodes = tx.ids("node", len(given.nodes))
    _many(tx, "INSERT_COMPUTE_NODE", [
        rows.node_row(_placed(one, nodes + at, wf, scheduler_id=made.schedulers, allocation_id=allocations))
        for at, one in enumerate(given.nodes)
    ])  # fmt: skip
    results = tx.ids("result", len(given.results))
    _many(tx, "INSERT_RESULT", [
        result_row(_placed(one, results + at, wf, job_id=made.jobs, node_id=nodes))
        for at, one in enumerate(given.results)
    ])  # fmt: skip
    _set_jobs(tx, made, given, results)
    tx.run("UNSUM", wf_=wf)
    _set_events(tx, made, given, nodes)


def _placed(record: Any, id: int, wf: WorkflowId, **firsts: int) -> Any:
    """A record with ids in place of positions; `firsts`: by field the id of position 0."""
    places = {
        name: None if (at := getattr(record, name)) is None else first + at for name, first in firsts.items()
    }
    return replace(record, id=id, workflow_id=wf, **places)


def _records(tx: Transaction, counter: str, records: Sequence[Any], wf: WorkflowId, **firsts: int) -> None:
    if records:
        first = tx.ids(counter, len(records))
        table = plain.PLAIN[type(records[0])].table.upper()
        placed = (plain.row(_placed(one, first + at, wf, **firsts)) for at, one in enumerate(records))
        for chunk in chunks(placed):
            tx.many(f"INSERT_{table}", chunk)


def _many(tx: Transaction, statement: str, values: Sequence[Any]) -> None:
    for chunk in chunks(values):
        tx.many(statement, chunk)


def _set_jobs(tx: Transaction, made: Made, given: Parcel, results: int) -> None:
    changed: list[Mapping[str, object]] = []
    moved: dict[JobStatus, int] = {}
    for at, fields in given.jobs.items():
        if not fields and at not in given.current:
            continue
        status = JobStatus(fields.get("status", JobStatus.UNINITIALIZED))
        moved[status] = moved.get(status, 0) + 1
        caller = fields.get("spawned_by")
        changed.append({
            "job_": made.jobs + at, "status_": int(status), "reason_": fields.get("reason"),
            "run_": fields.get("run_id", 0), "attempt_": fields.get("attempt_id", 1),
            "losses_": fields.get("losses", 0), "hash_": fields.get("input_hash"), "origin_": fields.get("origin"),
            "lineage_": fields.get("lineage"), "caller_": None if caller is None else made.jobs + caller,
            "schedule_": rows.text(fields.get("schedule_compute_nodes")),
            "result_": results + given.current[at] if at in given.current else None,
        })  # fmt: skip
    _many(tx, "IMPORT_JOB", changed)
    for status, count in moved.items():
        tx.moved(made.wf, JobStatus.UNINITIALIZED, status, count)
    if any(status is not JobStatus.UNINITIALIZED for status in moved):
        repairing.recount(tx, made.wf)


def _set_events(tx: Transaction, made: Made, given: Parcel, nodes: int) -> None:
    plan = given.plan
    ids = {
        "jobs": range(made.jobs, made.jobs + len(plan.jobs)),
        "compute_nodes": range(nodes, nodes + len(given.nodes)),
        "workflow_actions": range(made.actions, made.actions + len(plan.actions)),
        "files": range(made.files, made.files + len(plan.files)),
    }
    first = tx.ids("event", len(given.events))
    _many(tx, "INSERT_EVENT", [
        (first + at, made.wf, one.timestamp, one.category, one.severity.value, json.dumps(settled(one, ids, made.wf)))
        for at, one in enumerate(given.events)
    ])  # fmt: skip
    tx.tell(made.wf, *user_action("import", "workflow", made.wf))
