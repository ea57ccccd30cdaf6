"""Records that come one by one or by thousands: what follows from them is looked up for all at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from torc_core.engine.checks import checked, wrong
from torc_core.engine.records import (
    COUNTERS,
    NAMED,
    busy,
    check_welcome,
    duplicates,
    same_attempt,
    stamped,
)
from torc_core.engine.resets import check_open
from torc_core.engine.runs import digest
from torc_core.engine.triggers import check_action, required
from torc_core.errors import WrongState
from torc_core.model import (
    Action,
    ActionId,
    Event,
    EventId,
    FailureHandler,
    File,
    InputKind,
    Job,
    JobStatus,
    NewJob,
    Requirement,
    Result,
    ResultId,
    SlurmScheduler,
    Source,
    UserData,
    WorkflowId,
)
from torc_core.store.fields import FIELDS, WITHOUT_WORKFLOW
from torc_sql import finding, plain, relations, rows, triggers, whereabouts
from torc_sql.change import Change
from torc_sql.dialect import Dialect
from torc_sql.shapes import Shapes, class_of
from torc_sql.transaction import BLOCK, Transaction

CHUNK = 5_000
"""Rows of one statement."""


def chunks(items: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """The items, so many at a time."""
    flow = iter(items)
    while chunk := list(islice(flow, size)):
        yield chunk


def add(tx: Transaction, dialect: Dialect, shapes: Shapes, new: Sequence[Any]) -> list[Any]:
    """Add records that have been checked; the answer is in their order."""
    groups: dict[tuple[type[Any], WorkflowId | None], list[int]] = {}
    for at, one in enumerate(new):
        wf = None if type(one) in WITHOUT_WORKFLOW else one.workflow_id
        groups.setdefault((type(one), wf), []).append(at)
    changes = {wf: Change(tx, wf, shapes) for _, wf in groups if wf is not None}
    added: list[Any] = [None] * len(new)
    for (kind, wf), places in groups.items():
        some = [new[at] for at in places]
        if kind is Event:
            made: Sequence[Any] = [_event(tx, one) for one in some]
        elif kind is Result and wf is not None:
            made = [_result(changes[wf], dialect, one) for one in some]
        elif kind is Action and wf is not None:
            made = [add_action(changes[wf], one) for one in some]
        elif kind in whereabouts.ADD and wf is not None:
            made = [whereabouts.ADD[kind](changes[wf], one) for one in some]
        elif kind in NAMED and wf is not None:
            made = named(changes[wf], kind, some)
        else:
            made = [_single(tx, dialect, wf, one) for one in some]
        for at, one in zip(places, made, strict=True):
            added[at] = one
    for change in changes.values():
        change.close()
    return added


def _event(tx: Transaction, event: Event) -> Event:
    added = replace(event, id=EventId(tx.ids("event", 1)), timestamp=tx.now)
    tx.post(added)
    return added


def named(change: Change, kind: type[Any], some: Sequence[Any]) -> list[Any]:
    """Add checked records of a kind that comes by thousands; names that are taken are told."""
    tx, table = change.tx, finding.KINDS[kind].table.upper()
    taken = _taken(change, table, [one.name for one in some])
    first = tx.ids(COUNTERS[kind], len(some))
    added = [replace(one, id=id) for id, one in enumerate(some, first)]
    for chunk in chunks(added):
        tx.many(f"INSERT_{table}", [row(one) for one in chunk])
    for told in duplicates(FIELDS[kind].noun, taken, [(one.name, one.id) for one in added]):
        change.tell(told)
    return added


def _taken(change: Change, table: str, names: Iterable[str]) -> dict[str, list[int]]:
    """Records that have one of these names already: their ids by name."""
    taken: dict[str, list[int]] = {}
    for chunk in chunks(dict.fromkeys(names)):
        for name, id in change.tx.rows(f"TAKEN_{table}", wf_=change.wf, names_=json.dumps(chunk)):
            taken.setdefault(name, []).append(id)
    return taken


def _single(tx: Transaction, dialect: Dialect, wf: WorkflowId | None, record: Any) -> Any:
    kind = type(record)
    check_welcome(record, finding.look(tx, dialect, wf))
    added = stamped(replace(record, id=tx.ids(COUNTERS[kind], 1)), tx.now)
    tx.many(f"INSERT_{finding.KINDS[kind].table.upper()}", [row(added)])
    return added


def _result(change: Change, dialect: Dialect, new: Result) -> Result:
    tx, look = change.tx, finding.look(change.tx, dialect, change.wf)
    job = change.job(new.job_id)
    if job is None:
        raise wrong("job_id", new.job_id, f"workflow {change.wf} has no job {new.job_id}")
    run = new.run_id or change.run_id
    there = look(Result, {"job_id": job.id, "run_id": run, "attempt_id": new.attempt_id})
    if there:
        return same_attempt(replace(new, run_id=run), there[0])
    id = ResultId(tx.ids("result", 1))
    tx.many("INSERT_RESULT", [result_row(replace(
        new, id=id, run_id=run, completed_at=new.completed_at or tx.now, provisional=False
    ))])  # fmt: skip
    change.ended_at(run, new.completed_at or tx.now)
    if run == change.run_id:
        change.unsum()
        tx.run("POINT", job_=job.id, result_=id)
    found: Result = look(Result, {"id": id})[0]
    return found


def add_action(change: Change, new: Action) -> Action:
    """Add an action; it counts from the statuses of its jobs."""
    tx = change.tx
    check_action(new, schedulers={id for (id,) in tx.rows("SCHEDULERS", wf_=change.wf)})
    watched = sorted(set(new.jobs))
    known = dict(tx.rows("KNOWN_JOB", wf_=change.wf, jobs_=json.dumps(watched)))
    for job in watched:
        if job not in known:
            raise wrong("jobs", job, f"workflow {change.wf} has no job {job}")
    action = replace(
        new, id=ActionId(tx.ids("action", 1)), jobs=watched, trigger_count=0, executed=False, executed_at=None,
        executed_by=None, required_triggers=required(new.trigger_type, new.trigger_mode, len(watched)),
    )  # fmt: skip
    tx.many("INSERT_WORKFLOW_ACTION", [rows.action_row(action)])
    tx.many("INSERT_ACTION_JOB", [(action.id, job, change.wf, None) for job in watched])
    triggers.join(change, action)
    return triggers.seen(tx, triggers.action_of(tx, tx.row("ACTION", action_=action.id)), change.run_id)


def result_row(one: Result) -> tuple[Any, ...]:
    """A result in the order of its table."""
    usage = one.usage
    return (
        one.id, one.workflow_id, one.job_id, one.run_id, one.attempt_id, one.node_id, int(one.status),
        one.return_code, one.reason, one.exec_minutes, one.completed_at, usage.peak_memory_bytes,
        usage.avg_memory_bytes, usage.peak_cpu_percent, usage.avg_cpu_percent, one.provisional, None,
    )  # fmt: skip


def row(record: Any) -> tuple[Any, ...]:
    """A new record in the order of its table."""
    if isinstance(record, File):
        return (record.id, record.workflow_id, record.name, record.path, record.identifier, record.st_mtime,
                record.size, record.content_hash)  # fmt: skip
    if isinstance(record, UserData):
        data = rows.data(record)
        return (record.id, record.workflow_id, record.name, data, data, record.is_ephemeral)
    if isinstance(record, Requirement):
        need = record
        return (need.id, need.workflow_id, need.name, need.num_cpus, need.num_gpus, need.num_nodes, need.memory,
                need.runtime, need.memory_bytes, need.runtime_s)  # fmt: skip
    if isinstance(record, FailureHandler):
        return (record.id, record.workflow_id, record.name, rows.text(record.rules))
    if isinstance(record, SlurmScheduler):
        return (record.id, record.workflow_id, record.name, rows.text(record.fields))
    return plain.row(record)


def add_jobs(change: Change, new: Sequence[NewJob]) -> list[Job]:
    """Add jobs to a workflow, uninitialized (`engine.md` §5.5).

    PERF: a fixed number of statements for all of them, besides the rows themselves and one look for each distinct
    list; statement by statement 100,001 jobs took a minute.

    Raises
    ------
    Invalid
        If the workflow is archived, jobs of it are pending or running, or a job refers to what it does not have.
    """
    tx, wf = change.tx, change.wf
    jobs = [checked(job) for job in new]
    check_open(wf, change.state.is_archived == 1, "given new jobs")
    if change.live:
        raise WrongState(busy(wf, change.live))
    known = relations.check(
        change, {name: [getattr(job, name) or () for job in jobs] for name in relations.TABLES}
    )
    taken = _taken(change, "JOB", [job.name for job in jobs])
    first = tx.ids("job", len(jobs))
    books = _Books(change, first, jobs, known)
    for chunk in chunks(books.rows()):
        tx.many("INSERT_JOB", chunk)
    books.write()
    change.added(JobStatus.UNINITIALIZED, len(jobs))
    for told in duplicates("job", taken, [(job.name, id) for id, job in enumerate(jobs, first)]):
        change.tell(told)
    return [rows.job(row) for row in tx.rows("JOBS_BETWEEN", first_=first, last_=first + len(jobs) - 1)]


class _Books:
    """The rows of new jobs and of their relations: each distinct list is looked for, or made, once."""

    def __init__(
        self, change: Change, first: int, jobs: Sequence[NewJob], known: Mapping[str, Mapping[int, int]]
    ) -> None:
        self._change = change
        self._first = first
        self._jobs = jobs
        self._statuses = known["depends_on"]
        self._needs: dict[int, Requirement] = {}
        self._classes: dict[tuple[int, int | None, str | None], int] = {}
        self._default = 0
        self._groups: dict[tuple[int, ...], tuple[int, int]] = {}
        self._inputs: dict[tuple[InputKind, tuple[int, ...]], int] = {}
        self._late: dict[str, list[Any]] = {}
        self._free: dict[str, tuple[int, int]] = {}
        self._any_set = change.tx.row("ANY_SET", wf_=change.wf) is not None
        self._any_input = change.tx.row("ANY_INPUT", wf_=change.wf) is not None

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The jobs; what belongs to other tables is kept for `write`."""
        wf = self._change.wf
        for id, job in enumerate(self._jobs, self._first):
            need = job.requirement_id or self._default_requirement()
            group, remaining = self._group(tuple(sorted(set(job.depends_on)))) if job.depends_on else (0, 0)
            label = job.label or None
            yield (
                id, wf, job.name, job.command, job.invocation_script, rows.text(job.env or None), 0, job.priority,
                job.cancel_on_blocking_job_failure, job.supports_termination, need,
                self._class(need, job.scheduler_id, label), job.scheduler_id, job.failure_handler_id, label,
                int(remaining > 0), len(set(job.depends_on)), *rows.NEW_JOB[:-1],
                rows.text(job.schedule_compute_nodes),
            )  # fmt: skip
            if group:
                self._later("INSERT_DEP_USE", (id, group, wf, int(Source.EXPLICIT)))
            for kind, items in (
                (InputKind.FILE, job.input_files),
                (InputKind.USER_DATA, job.input_user_data),
            ):
                if items:
                    self._later("INSERT_INPUT_USE", (id, self._input(kind, tuple(sorted(set(items)))), wf))
            for item in dict.fromkeys(job.output_files):
                self._later("INSERT_JOB_OUTPUT_FILE", (id, item, wf))
            for datum in dict.fromkeys(job.output_user_data):
                self._later("INSERT_JOB_OUTPUT_USER_DATA", (id, datum, wf))

    def write(self) -> None:
        """Write what belongs to the jobs."""
        tx = self._change.tx
        for statement in ("INSERT_DEP_SET", "INSERT_DEP_MEMBER", "INSERT_DEP_USE", "INSERT_INPUT_SET",
                          "INSERT_INPUT_MEMBER", "INSERT_INPUT_USE", "INSERT_JOB_OUTPUT_FILE",
                          "INSERT_JOB_OUTPUT_USER_DATA"):  # fmt: skip
            for chunk in chunks(self._late.get(statement, ())):
                tx.many(statement, chunk)
        if any(name.startswith(("INSERT_INPUT", "INSERT_JOB_OUTPUT")) for name in self._late):
            tx.run("UNDERIVE", wf_=self._change.wf)

    def _id(self, kind: str) -> int:
        """PERF: sets come by thousands, so their ids are taken by so many at once."""
        first, end = self._free.get(kind, (0, 0))
        if first == end:
            size = min(BLOCK, len(self._jobs))
            first = self._change.tx.ids(kind, size)
            end = first + size
        self._free[kind] = (first + 1, end)
        return first

    def _later(self, statement: str, row: tuple[Any, ...]) -> None:
        self._late.setdefault(statement, []).append(row)

    def _default_requirement(self) -> int:
        if not self._default:
            self._default = default_requirement(self._change)
        return self._default

    def _class(self, need: int, scheduler: int | None, label: str | None) -> int:
        key = (need, scheduler, label)
        if key not in self._classes:
            tx = self._change.tx
            if need not in self._needs:
                self._needs[need] = rows.requirement(tx.row("REQUIREMENT", id_=need))
            one = self._needs[need]
            shape = rows.shape((
                one.num_cpus, one.memory_bytes, one.num_gpus, one.num_nodes, one.runtime_s, scheduler, label
            ))  # fmt: skip
            self._classes[key] = class_of(tx, self._change.wf, shape)
        return self._classes[key]

    def _group(self, members: tuple[int, ...]) -> tuple[int, int]:
        """The set with these members, and how many of them are open."""
        if members not in self._groups:
            tx, wf, key = self._change.tx, self._change.wf, digest(members)
            row = tx.row("DEP_SET_OF", wf_=wf, digest_=key) if self._any_set else None
            remaining, bad = relations.count(self._statuses, members)
            if row is None:
                id = self._id("dep_set")
                self._later("INSERT_DEP_SET", (id, wf, key, len(members), remaining, bad))
                self._late.setdefault("INSERT_DEP_MEMBER", []).extend((id, job, wf) for job in members)
            else:
                id = int(row[0])
            self._groups[members] = (id, remaining)
        return self._groups[members]

    def _input(self, kind: InputKind, items: tuple[int, ...]) -> int:
        """The input set with these items."""
        if (kind, items) not in self._inputs:
            tx, wf, key = self._change.tx, self._change.wf, digest(items)
            row = tx.row("INPUT_SET_OF", wf_=wf, kind_=kind.value, digest_=key) if self._any_input else None
            if row is None:
                id = self._id("input_set")
                self._later("INSERT_INPUT_SET", (id, wf, kind.value, key, len(items), None))
                self._late.setdefault("INSERT_INPUT_MEMBER", []).extend((id, item, wf) for item in items)
            else:
                id = int(row[0])
            self._inputs[kind, items] = id
        return self._inputs[kind, items]


def default_requirement(change: Change) -> int:
    """The requirement of jobs that name none, made when it is first needed."""
    tx = change.tx
    found = tx.row("DEFAULT_REQUIREMENT", wf_=change.wf)
    if found is not None:
        return int(found[0])
    need = Requirement(id=tx.ids("requirement", 1), workflow_id=change.wf, name="default")  # type: ignore[arg-type]  # a fresh id
    tx.many("INSERT_RESOURCE_REQUIREMENTS", [row(need)])
    return int(need.id)
