"""Allocations of the schedulers that a workflow has, as many as its ready jobs lack, longer and larger where these need it.

What a node of a scheduler offers is known from the runners that it has had; of one that never ran, each job counts as
a whole node.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.engine.allocating import OVER
from torc_core.model import (
    Allocation,
    AllocationId,
    AllocationStatus,
    Intent,
    Job,
    JobStatus,
    Json,
    Node,
    PlannedScheduler,
    Query,
    Replan,
    Requirement,
    Resources,
    SchedulerId,
    SlurmScheduler,
    Workflow,
    WorkflowId,
)
from torc_core.model.resources import walltime_seconds
from torc_core.record import record
from torc_slurm.recovering.limits import START_UP, before_end
from torc_slurm.recovering.providing import Provided, Wanted
from torc_slurm.scheduler.sizes import as_mebibytes, mebibytes
from torc_slurm.scheduler.times import written
from torc_slurm.watching.seeing import node_hours, time_left

if TYPE_CHECKING:
    from torc_core.protocols import Batch
    from torc_core.session import Session

EVERY = 2**31
MULTIPLIER = 1.5
"""Walltime for a job that does not fit into the one there is, as in the planner (`slurm.md` PL9)."""


@record(frozen=True, slots=True, kw_only=True)
class Shape:
    """What jobs need of each node, for how many seconds, and of how many nodes."""

    needs: Resources
    runtime: int
    nodes: int = 1


@record(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: a scheduler with these fields, so many allocations of so many nodes, of so many seconds."""

    scheduler: SlurmScheduler
    name: str
    fields: Mapping[str, Json]
    jobs: Sequence[Job]
    count: int
    nodes: int
    walltime: int

    @property
    def fresh(self) -> bool:
        """Whether the scheduler has to be made."""
        return self.name != self.scheduler.name

    @property
    def node_hours(self) -> float:
        """What it may use."""
        return self.count * self.nodes * self.walltime / 3_600


def asked(
    scheduler: SlurmScheduler,
    jobs: Sequence[tuple[Job, Shape]],
    capacity: Resources | None,
    there: float,
    *,
    before_end: int,
    run: int,
    wanted: Wanted,
) -> Asked:
    """What jobs of one scheduler lack.

    Parameters
    ----------
    capacity
        Of one of its nodes; None: not known.
    there
        How many allocations, or parts of them, can still run them.
    before_end
        Seconds before the end of an allocation in which no job may run any more.
    """
    fields = dict(scheduler.fields)
    overhead = START_UP + before_end
    shapes = Counter(shape for _, shape in jobs)
    longest = max(shape.runtime for shape in shapes)
    memory = max(shape.needs.memory for shape in shapes)
    walltime = walltime_seconds(wanted.walltime or str(fields.get("walltime") or "01:00:00"))
    if walltime < longest + overhead and wanted.walltime is None:
        walltime = math.ceil(max(longest * MULTIPLIER, longest + overhead) / 60) * 60
    mem = fields.get("mem")
    has = None if mem is None else mebibytes(str(mem))
    if has is not None and has < memory:
        fields["mem"] = as_mebibytes(memory)
        capacity = (
            None if capacity is None else Resources(cpus=capacity.cpus, memory=memory, gpus=capacity.gpus)
        )
    most_nodes = max(shape.nodes for shape in shapes)
    given = fields.get("nodes")
    nodes = max(most_nodes, given if isinstance(given, int) else 1)
    fields |= {"walltime": written(walltime), "nodes": nodes}
    if wanted.partition is not None:
        fields["partition"] = wanted.partition
    same = all(
        fields.get(key) == value for key, value in scheduler.fields.items()
    ) and walltime == walltime_seconds(str(scheduler.fields.get("walltime") or "01:00:00"))
    need = sum(count / _slots(shape, capacity, walltime - overhead, nodes) for shape, count in shapes.items())
    return Asked(
        scheduler=scheduler, name=scheduler.name if same else f"{_base(scheduler.name)}_regen_r{run}",
        fields=scheduler.fields if same else fields, jobs=[job for job, _ in jobs],
        count=max(0, math.ceil(need - there - 1e-9)), nodes=nodes, walltime=walltime,
    )  # fmt: skip


def _slots(shape: Shape, capacity: Resources | None, seconds: int, nodes: int) -> int:
    """How many such jobs one allocation runs, one after the other and side by side."""
    rounds = max(1, seconds // max(1, shape.runtime))
    if shape.nodes > 1:
        return rounds * max(1, nodes // shape.nodes)
    beside = 1
    if capacity is not None:
        beside = min(
            capacity.cpus // max(1, shape.needs.cpus),
            capacity.memory // max(1, shape.needs.memory),
            *([capacity.gpus // shape.needs.gpus] if shape.needs.gpus else []),
        )
    return rounds * max(1, beside) * nodes


def _base(name: str) -> str:
    return name.partition("_regen_")[0]


class Reusing:
    """A provider that asks for allocations of the schedulers that there are."""

    def __init__(self, session: Session, batch: Batch) -> None:
        self._session = session
        self._batch = batch

    def __call__(self, workflow: WorkflowId, wanted: Wanted, *, dry_run: bool = False) -> Provided:
        """Ask for what ready jobs lack; Conflict if somebody else has asked meanwhile."""
        store = self._session.store()
        tended = self._batch.tend(workflow) if not dry_run else None
        rows = list(store.find(Allocation, Query(workflow=workflow, limit=EVERY)).items)
        found = self._asked(workflow, wanted, rows)
        plans = [one for one in found if one.count]
        used = self._used(workflow, rows)
        document: dict[str, Json] = {
            "allocations": [
                {"scheduler": one.name, "count": one.count, "nodes": one.nodes, "walltime": written(one.walltime),
                 "jobs": len(one.jobs), "node_hours": round(one.node_hours, 4)}
                for one in plans
            ],
            "node_hours_used": round(used, 4),
        }  # fmt: skip
        if not plans:
            why = None if tended else "nothing is missing: what is queued or runs is enough"
            if not found:
                why = "no ready job belongs to a scheduler of the workflow"
            return Provided(
                intended=0 if tended is None else len(tended.submitted), why_not=why, document=document,
                **({} if tended is None else {"tended": tended}),
            )  # fmt: skip
        hours = sum(one.node_hours for one in plans)
        if wanted.max_node_hours is not None and used + hours > wanted.max_node_hours:
            why = f"{hours:.1f} node-hours would be needed, {used:.1f} of {wanted.max_node_hours:g} are used or asked for already"
            return Provided(why_not=why, document=document)
        if dry_run:
            return Provided(intended=sum(one.count for one in plans), document=document)
        plan = Replan(
            schedulers=[PlannedScheduler(name=one.name, fields=one.fields) for one in plans if one.fresh],
            assign={one.name: [job.id for job in one.jobs] for one in plans if one.fresh},
            allocations=[Intent(scheduler=one.name, count=one.count, nodes=one.nodes) for one in plans],
            newest=max((one.id for one in rows), default=AllocationId(0)),
        )
        made = store.replan(workflow, plan)
        return Provided(intended=len(made), tended=self._batch.tend(workflow), document=document)

    def _asked(self, workflow: WorkflowId, wanted: Wanted, rows: Sequence[Allocation]) -> list[Asked]:
        store = self._session.store()
        whole = Query(workflow=workflow, limit=EVERY)
        about = store.get(Workflow, workflow)
        needs = {one.id: one for one in store.find(Requirement, whole).items}
        nodes = store.find(Node, whole).items
        now = self._session.clock.now()
        query = Query(workflow=workflow, where={"status": int(JobStatus.READY)}, limit=EVERY)
        ready = list(store.find(Job, query).items)
        if wanted.jobs:
            chosen = Query(workflow=workflow, where={"id": tuple(wanted.jobs)}, limit=EVERY)
            ready += [job for job in store.find(Job, chosen).items if job.status is not JobStatus.READY]
        found = []
        for scheduler in store.find(SlurmScheduler, whole).items:
            jobs = [
                (job, _shape(needs[job.requirement_id])) for job in ready if job.scheduler_id == scheduler.id
            ]
            if not jobs:
                continue
            own = [node for node in nodes if node.scheduler_id == scheduler.id]
            longest = max(shape.runtime for _, shape in jobs)
            found.append(
                asked(
                    scheduler, jobs, _capacity(own), _there(scheduler.id, rows, own, longest, now),
                    before_end=before_end(about), run=about.run_id, wanted=wanted,
                )
            )  # fmt: skip
        return found

    def _used(self, workflow: WorkflowId, rows: Sequence[Allocation]) -> float:
        """Node-hours that are used up, and those that what is open may still use."""
        nodes = self._session.store().find(Node, Query(workflow=workflow, limit=EVERY)).items
        asked_ = sum(
            one.nodes * walltime_seconds(one.walltime or "") / 3_600 for one in rows if one.status not in OVER
        )
        open_ids = {one.id for one in rows if one.status not in OVER}
        over = [node for node in nodes if node.allocation_id not in open_ids]
        return asked_ + node_hours(over, self._session.clock.now())


def _shape(needs: Requirement) -> Shape:
    resources = Resources(cpus=needs.num_cpus, memory=needs.memory_bytes, gpus=needs.num_gpus)
    return Shape(needs=resources, runtime=needs.runtime_s, nodes=needs.num_nodes)


def _capacity(nodes: Sequence[Node]) -> Resources | None:
    """What the smallest of the runners that a scheduler has had offered on one node."""
    if not nodes:
        return None
    return Resources(
        cpus=min(node.capacity.cpus for node in nodes),
        memory=min(node.capacity.memory for node in nodes),
        gpus=min(node.capacity.gpus for node in nodes),
    )


def _there(
    scheduler: SchedulerId, rows: Sequence[Allocation], nodes: Sequence[Node], runtime: int, now: int
) -> float:
    """Allocations of a scheduler that wait, and live ones that still have the time for another job."""
    count = 0.0
    for one in rows:
        if one.scheduler_config_id != scheduler or one.status in OVER:
            continue
        if one.status is not AllocationStatus.ACTIVE:
            count += 1
            continue
        own = [node for node in nodes if node.allocation_id == one.id and node.is_active]
        lefts = [time_left(node, now) for node in own]
        if any(left is None or left >= runtime for left in lefts):
            count += 1
    return count
