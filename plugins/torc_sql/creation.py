"""Creating a workflow from a plan: positions become ids, rows flow in chunks, and nobody sees them before the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from torc_core.engine import telling
from torc_core.engine.change import canonical, definition, input_hash, related
from torc_core.engine.records import no_group
from torc_core.engine.runs import digest
from torc_core.errors import Invalid
from torc_core.model import (
    InputKind,
    JobStatus,
    Plan,
    PlannedJob,
    SchedulerId,
    Shape,
    WorkflowId,
    with_user_data_ids,
)
from torc_sql import rows
from torc_sql.dialect import Write
from torc_sql.rows import shape_key, text
from torc_sql.transaction import Transaction

CHUNK = 5_000
"""Rows of one statement."""
AT_ONCE = 10_000
"""Rows of one transaction; a plan that has fewer is created in a single one."""

Step = tuple[str, Iterable[Any]]


def create(
    begin: Callable[[Transaction], Made],
    size: int,
    *,
    apart: Write,
    write: Write,
    purge: Callable[[WorkflowId], None],
) -> WorkflowId:
    """Create all of a plan, or nothing.

    A large plan is written in many transactions under a workflow that is marked as being deleted, so a crash leaves
    only what the next opening removes, and other writers get their turns between the chunks.

    Parameters
    ----------
    size
        About how many rows there are.
    apart, write
        Begin the transactions of a large plan: each that nobody sees, and the last one, with which it is there.
    purge
        Told of a large plan when the first rows are written: removes them, in the end, if they were never revealed.
    """
    if size <= AT_ONCE:
        with write() as tx:
            made = begin(tx)
            for statement, chunk in _chunks(made.steps()):
                tx.many(statement, chunk)
            for settle in made.settling():
                settle(tx)
            made.reveal(tx)
        return made.wf
    with apart() as tx:
        made = begin(tx)
        steps = _chunks(made.steps())
        more = _some(tx, steps)
    purge(made.wf)
    while more:
        with apart() as tx:
            more = _some(tx, steps)
    for settle in made.settling():
        with apart() as tx:
            settle(tx)
    with write() as tx:
        made.reveal(tx)
    return made.wf


def size(plan: Plan) -> int:
    """About how many rows a plan makes; only whether they are many matters."""
    return (
        3 * len(plan.jobs)
        + 2 * len(plan.groups)
        + len(plan.files)
        + len(plan.user_data)
        + 2 * len(plan.inputs)
    )


def _chunks(steps: Iterable[Step]) -> Iterator[tuple[str, list[Any]]]:
    for statement, all_rows in steps:
        flow = iter(all_rows)
        while chunk := list(islice(flow, CHUNK)):
            yield statement, chunk


def _some(tx: Transaction, chunks: Iterator[tuple[str, list[Any]]]) -> bool:
    """Write up to `AT_ONCE` rows; whether any were left."""
    written = 0
    for statement, chunk in chunks:
        tx.many(statement, chunk)
        written += len(chunk)
        if written >= AT_ONCE:
            return True
    return False


class Made:
    """The rows of a plan, table by table, each after those it refers to."""

    def __init__(self, plan: Plan, user: str, tx: Transaction) -> None:
        self.plan = plan
        self.user = user
        self.now = tx.now
        self.access_groups = _groups_named(tx, plan.workflow.access_groups)
        self.links = tx.ids("group_link", len(self.access_groups))
        self.wf = WorkflowId(tx.ids("workflow", 1))
        self.files = tx.ids("file", len(plan.files))
        self.user_data = tx.ids("user_data", len(plan.user_data))
        self.requirements = tx.ids("requirement", len(plan.requirements))
        self.handlers = tx.ids("handler", len(plan.handlers))
        self.schedulers = tx.ids("scheduler", len(plan.schedulers))
        self.jobs = tx.ids("job", len(plan.jobs))
        self.groups = tx.ids("dep_set", len(plan.groups))
        self.inputs = tx.ids("input_set", len(plan.inputs))
        self._digests = [digest(self.jobs + job for job in group) for group in plan.groups]
        self.actions = tx.ids("action", len(plan.actions))
        kinds = {(job.requirement, job.scheduler, job.label) for job in plan.jobs}
        self.shapes = {kind: self._shape(*kind) for kind in sorted(kinds, key=str)}
        distinct = list(dict.fromkeys(self.shapes.values()))
        first = tx.ids("job_class", len(distinct))
        self.classes = {shape: first + i for i, shape in enumerate(distinct)}

    def steps(self) -> Iterator[Step]:
        """What to insert, in an order in which every row finds what it refers to."""
        plan, wf = self.plan, self.wf
        yield "INSERT_WORKFLOW", [rows.workflow_row(wf, plan, self.user, self.now)]
        yield "INSERT_STATUS_COUNT", [(wf, status, 0) for status in JobStatus]
        yield (
            "INSERT_WORKFLOW_ACCESS_GROUP",
            ((self.links + i, wf, group, "full", self.now) for i, group in enumerate(self.access_groups)),
        )
        yield "INSERT_RESOURCE_REQUIREMENTS", (
            (self.requirements + i, wf, r.name, r.num_cpus, r.num_gpus, r.num_nodes, r.memory, r.runtime,
             r.memory_bytes, r.runtime_s)
            for i, r in enumerate(plan.requirements)
        )  # fmt: skip
        yield (
            "INSERT_FAILURE_HANDLER",
            (
                (self.handlers + i, wf, handler.name, text(handler.rules))
                for i, handler in enumerate(plan.handlers)
            ),
        )
        yield (
            "INSERT_SLURM_SCHEDULER",
            (
                (self.schedulers + i, wf, scheduler.name, text(scheduler.fields))
                for i, scheduler in enumerate(plan.schedulers)
            ),
        )
        yield "INSERT_JOB_CLASS", [(id, wf, *shape_key(shape), 0) for shape, id in self.classes.items()]
        yield (
            "INSERT_FILE",
            (
                (self.files + i, wf, file.name, file.path, file.identifier, None, None, None)
                for i, file in enumerate(plan.files)
            ),
        )
        yield (
            "INSERT_USER_DATA",
            (
                (self.user_data + i, wf, record.name, data, data, record.is_ephemeral)
                for i, record in enumerate(plan.user_data)
                for data in [json.dumps(record.data, ensure_ascii=False) if record.has_data else None]
            ),
        )
        yield "INSERT_JOB", (self._job(i, job) for i, job in enumerate(plan.jobs))
        yield "INSERT_DEP_SET", (self._group(i, group) for i, group in enumerate(plan.groups))
        yield (
            "INSERT_DEP_MEMBER",
            ((self.groups + i, self.jobs + job, wf) for i, group in enumerate(plan.groups) for job in group),
        )
        yield (
            "INSERT_DEP_USE",
            (
                (self.jobs + i, self.groups + group, wf, int(source))
                for i, job in enumerate(plan.jobs)
                for group, source in job.groups
            ),
        )
        yield from self._relations()

    def settling(self) -> Sequence[Callable[[Transaction], object]]:
        """What else is done when all rows are there, each in a transaction of its own if they are many."""
        return ()

    def reveal(self, tx: Transaction) -> None:
        """The last thing: now there is a workflow."""
        tx.counted(self.wf, JobStatus.UNINITIALIZED, len(self.plan.jobs))
        tx.run("REVEAL", wf_=self.wf)
        name, data = telling.of_workflow("workflow_created", self.wf, self.plan.workflow.name, 0)
        tx.tell(self.wf, name, data)

    def _job(self, position: int, job: PlannedJob) -> tuple[Any, ...]:
        return (
            self.jobs + position, self.wf, job.name, self._text(job.command),
            None if job.invocation_script is None else self._text(job.invocation_script), text(job.env), 0,
            job.priority, job.cancel_on_blocking_job_failure, job.supports_termination,
            self.requirements + job.requirement,
            self.classes[self.shapes[job.requirement, job.scheduler, job.label]],
            None if job.scheduler is None else self.schedulers + job.scheduler,
            None if job.handler is None else self.handlers + job.handler,
            job.label, len(job.groups), job.num_blockers, *rows.NEW_JOB[:16], self._hash(job), *rows.NEW_JOB[17:],
        )  # fmt: skip

    def _hash(self, job: PlannedJob) -> str | None:
        """Its input hash, so that the first initialisation need not write it; None: what it reads may change until then."""
        inputs = [self.plan.inputs[at] for at in job.inputs]
        if any(one.kind is InputKind.USER_DATA for one in inputs):
            return None
        script = None if job.invocation_script is None else self._text(job.invocation_script)
        return input_hash(
            definition(self._text(job.command), script, canonical(job.env) if job.env else b""),
            related(
                [self._digests[group] for group, _ in job.groups],
                {self.files + item for one in inputs for item in one.items},
                (),
                [*(self.files + item for item in job.output_files),
                 *(-(self.user_data + item) for item in job.output_user_data)],
            ),
            "",
        )  # fmt: skip

    def _text(self, written: str) -> str:
        """A command or script with the ids of the user data that it refers to."""
        return with_user_data_ids(written, range(self.user_data, self.user_data + len(self.plan.user_data)))

    def _group(self, position: int, group: Sequence[int]) -> tuple[Any, ...]:
        return (self.groups + position, self.wf, self._digests[position], len(group), len(group), 0)

    def _relations(self) -> Iterator[Step]:
        plan, wf = self.plan, self.wf
        first_item = {InputKind.FILE: self.files, InputKind.USER_DATA: self.user_data}
        yield "INSERT_INPUT_SET", (
            (self.inputs + i, wf, entry.kind.value, digest(first_item[entry.kind] + item for item in entry.items),
             len(entry.items), None if entry.group is None else self.groups + entry.group)
            for i, entry in enumerate(plan.inputs)
        )  # fmt: skip
        yield (
            "INSERT_INPUT_MEMBER",
            (
                (self.inputs + i, first_item[entry.kind] + item, wf)
                for i, entry in enumerate(plan.inputs)
                for item in entry.items
            ),
        )
        yield (
            "INSERT_INPUT_USE",
            (
                (self.jobs + i, self.inputs + entry, wf)
                for i, job in enumerate(plan.jobs)
                for entry in job.inputs
            ),
        )
        yield (
            "INSERT_JOB_OUTPUT_FILE",
            (
                (self.jobs + i, self.files + item, wf)
                for i, job in enumerate(plan.jobs)
                for item in job.output_files
            ),
        )
        yield (
            "INSERT_JOB_OUTPUT_USER_DATA",
            (
                (self.jobs + i, self.user_data + item, wf)
                for i, job in enumerate(plan.jobs)
                for item in job.output_user_data
            ),
        )
        yield "INSERT_WORKFLOW_ACTION", (
            (self.actions + i, wf, action.trigger_type, action.trigger_mode, action.action_type,
             text(action.config), action.persistent, 0,
             1 if action.trigger_mode == "any" else max(1, len(action.jobs)), 0)
            for i, action in enumerate(plan.actions)
        )  # fmt: skip
        yield (
            "INSERT_ACTION_JOB",
            (
                (self.actions + i, self.jobs + job, wf, None)
                for i, action in enumerate(plan.actions)
                for job in action.jobs
            ),
        )

    def _shape(self, requirement: int, scheduler: int | None, label: str | None) -> Shape:
        needs = self.plan.requirements[requirement]
        return Shape(
            cpus=needs.num_cpus, memory=needs.memory_bytes, gpus=needs.num_gpus, nodes=needs.num_nodes,
            runtime=needs.runtime_s, label=label,
            scheduler=None if scheduler is None else SchedulerId(self.schedulers + scheduler),
        )  # fmt: skip


def _groups_named(tx: Transaction, names: Sequence[str]) -> list[int]:
    found = []
    for name in dict.fromkeys(names):
        row = tx.row("GROUP_NAMED", name_=name)
        if row is None:
            raise Invalid(no_group(name), details={"field": "access_groups", "value": name})
        found.append(int(row[0]))
    return found
