"""A workflow leaves as a document and comes as one (`engine.md` §17)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
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
from torc_sql import creation, finding, plain, repairing, rows
from torc_sql.adding import result_row
from torc_sql.creation import Made, Step
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


def size(given: Parcel) -> int:
    """About how many rows a parcel makes."""
    return creation.size(given.plan) + len(given.jobs) + len(given.results) + len(given.events)


class Unpacked(Made):
    """The rows of a plan, and what a parcel has besides it."""

    def __init__(self, given: Parcel, user: str, tx: Transaction) -> None:
        super().__init__(given.plan, user, tx)
        self.given = given
        self.local_schedulers = tx.ids("local_scheduler", len(given.local_schedulers))
        self.entities = tx.ids("entity", len(given.entities))
        self.allocations = tx.ids("allocation", len(given.allocations))
        self.nodes = tx.ids("node", len(given.nodes))
        self.results = tx.ids("result", len(given.results))
        self.events = tx.ids("event", len(given.events))

    def steps(self) -> Iterator[Step]:
        """What to insert, and then to change, in an order in which every row finds what it refers to."""
        yield from super().steps()
        given, wf = self.given, self.wf
        yield "IMPORT_FILE", (
            {"file_": self.files + at, "mtime_": one.st_mtime, "size_": one.size, "hash_": one.content_hash}
            for at, one in enumerate(given.files) if (one.st_mtime, one.size, one.content_hash) != (None, None, None)
        )  # fmt: skip
        yield "IMPORT_USER_DATA", (
            {"datum_": self.user_data + at, "data_": rows.data(now)}
            for at, (first, now) in enumerate(zip(given.plan.user_data, given.user_data, strict=True))
            if (first.has_data, first.data) != (now.has_data, now.data)
        )  # fmt: skip
        yield "IMPORT_ACTION", (
            {"action_": self.actions + at, "recovery_": int(fields["is_recovery"]), "count_": fields["trigger_count"]}
            for at, fields in given.actions.items()
        )  # fmt: skip
        yield from _plain(given.local_schedulers, self.local_schedulers, wf)
        yield from _plain(given.entities, self.entities, wf, file_id=self.files)
        yield "INSERT_SCHEDULED_COMPUTE_NODE", (
            rows.allocation_row(_placed(one, self.allocations + at, wf, scheduler_config_id=self.schedulers))
            for at, one in enumerate(given.allocations)
        )  # fmt: skip
        yield "INSERT_COMPUTE_NODE", (
            rows.node_row(
                _placed(one, self.nodes + at, wf, scheduler_id=self.schedulers, allocation_id=self.allocations)
            )
            for at, one in enumerate(given.nodes)
        )  # fmt: skip
        yield "INSERT_RESULT", (
            result_row(_placed(one, self.results + at, wf, job_id=self.jobs, node_id=self.nodes))
            for at, one in enumerate(given.results)
        )  # fmt: skip
        yield "IMPORT_JOB", (self._changed(at, fields) for at, fields in self._jobs())
        yield "INSERT_EVENT", self._events()

    def settling(self) -> Sequence[Callable[[Transaction], object]]:
        """Counts anew what follows from statuses that are kept."""
        if all(_status(fields) is JobStatus.UNINITIALIZED for _, fields in self._jobs()):
            return ()
        return [partial(count, wf=self.wf) for count in repairing.COUNTS]

    def reveal(self, tx: Transaction) -> None:
        """The last thing: what is counted, and then there is a workflow."""
        wf = self.wf
        columns = {
            name: rows.text(value) if name in _JSON else value for name, value in self.given.workflow.items()
        }
        pairs = ", ".join(f'"{name}" = ?' for name in columns)
        tx.free(f"UPDATE workflow SET {pairs} WHERE id = ?", (*columns.values(), wf))
        moved = Counter(_status(fields) for _, fields in self._jobs())
        for status, count in moved.items():
            tx.moved(wf, JobStatus.UNINITIALIZED, status, count)
        tx.run("UNSUM", wf_=wf)
        tx.tell(wf, *user_action("import", "workflow", wf))
        super().reveal(tx)

    def _jobs(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The jobs, by position, that are not as a plan makes them."""
        given = self.given
        return ((at, fields) for at, fields in given.jobs.items() if fields or at in given.current)

    def _changed(self, at: int, fields: Mapping[str, Any]) -> Mapping[str, object]:
        caller, current = fields.get("spawned_by"), self.given.current
        return {
            "job_": self.jobs + at, "status_": int(_status(fields)), "reason_": fields.get("reason"),
            "run_": fields.get("run_id", 0), "attempt_": fields.get("attempt_id", 1),
            "losses_": fields.get("losses", 0), "hash_": fields.get("input_hash"), "origin_": fields.get("origin"),
            "lineage_": fields.get("lineage"), "caller_": None if caller is None else self.jobs + caller,
            "schedule_": rows.text(fields.get("schedule_compute_nodes")),
            "result_": self.results + current[at] if at in current else None,
        }  # fmt: skip

    def _events(self) -> Iterator[tuple[Any, ...]]:
        plan, given = self.plan, self.given
        ids = {
            "jobs": range(self.jobs, self.jobs + len(plan.jobs)),
            "compute_nodes": range(self.nodes, self.nodes + len(given.nodes)),
            "workflow_actions": range(self.actions, self.actions + len(plan.actions)),
            "files": range(self.files, self.files + len(plan.files)),
        }
        for at, one in enumerate(given.events):
            data = json.dumps(settled(one, ids, self.wf))
            yield self.events + at, self.wf, one.timestamp, one.category, one.severity.value, data


def _status(fields: Mapping[str, Any]) -> JobStatus:
    return JobStatus(fields.get("status", JobStatus.UNINITIALIZED))


def _plain(records: Sequence[Any], first: int, wf: WorkflowId, **firsts: int) -> Iterator[Step]:
    if records:
        table = plain.PLAIN[type(records[0])].table.upper()
        yield (
            f"INSERT_{table}",
            (plain.row(_placed(one, first + at, wf, **firsts)) for at, one in enumerate(records)),
        )


def _placed(record: Any, id: int, wf: WorkflowId, **firsts: int) -> Any:
    """A record with ids in place of positions; `firsts`: by field the id of position 0."""
    places = {
        name: None if (at := getattr(record, name)) is None else first + at for name, first in firsts.items()
    }
    return replace(record, id=id, workflow_id=wf, **places)
