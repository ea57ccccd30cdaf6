"""What workflows used of a cluster: node-hours, CPU-hours, GPU-hours, waiting, idling, waste (`slurm.md` §15.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from torc_core.model import (
    Allocation,
    JobStatus,
    Json,
    Node,
    Query,
    Requirement,
    Result,
    SlurmScheduler,
    Workflow,
    WorkflowId,
)
from torc_core.model.resources import walltime_seconds
from torc_core.record import record

if TYPE_CHECKING:
    from torc_core.protocols import Store

EVERY = 2**31
HOUR_MS = 3_600_000
BY = ("workflow", "scheduler", "partition", "account", "user")


@record(frozen=True, slots=True, kw_only=True)
class Stretch:
    """An allocation in the books: times in milliseconds since 1970, hours of whole nodes.

    Parameters
    ----------
    planned
        Node-hours that were asked for.
    busy, wasted
        Node-hours in which jobs ran, and those of them whose attempt failed or was lost.
    waited
        Seconds in the queue; None: not known.
    """

    workflow: int
    user: str
    scheduler: str
    partition: str
    account: str
    node_hours: float
    cpu_hours: float
    gpu_hours: float
    planned: float
    busy: float
    wasted: float
    waited: float | None
    begin: int


@record(frozen=True, slots=True, kw_only=True)
class Accounted:
    """What Slurm says of an allocation; None: nothing."""

    start: int | None
    end: int | None
    submit: int | None
    nodes: int
    cpus: int
    gpus: int
    partition: str
    account: str


def stretches(store: Store, workflow: Workflow, now: int, accounts: Mapping[str, Accounted]) -> list[Stretch]:
    """The allocations of a workflow that have begun; `accounts`: what Slurm says of them, by number."""
    query = Query(workflow=workflow.id, limit=EVERY)
    allocations = store.find(Allocation, query).items
    schedulers: dict[int, SlurmScheduler] = {one.id: one for one in store.find(SlurmScheduler, query).items}
    homes: dict[int, list[Node]] = {}
    for node in store.find(Node, query).items:
        if node.allocation_id is not None:
            homes.setdefault(node.allocation_id, []).append(node)
    ran = _ran(store, workflow.id, {node.id: node for some in homes.values() for node in some})
    found = []
    for one in allocations:
        nodes = homes.get(one.id, [])
        books = accounts.get(one.scheduler_id or "")
        begin, end = _span(nodes, books, now)
        if begin is None or end is None:
            continue
        hours = max(0, end - begin) / HOUR_MS
        count = books.nodes if books is not None and books.nodes else max(one.nodes, 1)
        cpus = (
            books.cpus
            if books is not None and books.cpus
            else sum(node.capacity.cpus * node.num_nodes for node in nodes)
        )
        gpus = books.gpus if books is not None else sum(node.capacity.gpus * node.num_nodes for node in nodes)
        scheduler = schedulers.get(one.scheduler_config_id or 0)
        fields = {} if scheduler is None else scheduler.fields
        submit = books.submit if books is not None and books.submit is not None else one.submitted_at
        busy, wasted = (
            (sum(parts) for parts in zip(*(ran.get(node.id, (0.0, 0.0)) for node in nodes), strict=True))
            if nodes
            else (0.0, 0.0)
        )
        found.append(Stretch(
            workflow=workflow.id, user=workflow.user, scheduler="" if scheduler is None else scheduler.name,
            partition=(books.partition if books is not None else "") or str(fields.get("partition") or ""),
            account=(books.account if books is not None else "") or str(fields.get("account") or ""),
            node_hours=count * hours, cpu_hours=cpus * hours, gpu_hours=gpus * hours,
            planned=max(one.nodes, 1) * walltime_seconds(one.walltime or "") / 3_600,
            busy=min(busy, count * hours), wasted=min(wasted, count * hours),
            waited=None if submit is None else max(0, begin - submit) / 1000, begin=begin,
        ))  # fmt: skip
    return found


def _span(nodes: Sequence[Node], books: Accounted | None, now: int) -> tuple[int | None, int | None]:
    """When an allocation began and ended."""
    if books is not None and books.start is not None:
        return books.start, books.end if books.end is not None else now
    begin = min((node.start_time for node in nodes), default=None)
    end = max((node.end_time if node.end_time is not None else now for node in nodes), default=None)
    return begin, end


def _ran(store: Store, workflow: WorkflowId, nodes: Mapping[int, Node]) -> Mapping[int, tuple[float, float]]:
    """Node-hours in which jobs ran on each runner, and those of failed attempts: a job counts by its share of CPUs."""
    query = Query(workflow=workflow, limit=EVERY)
    from torc_core.model import Job

    needs = {one.id: one for one in store.find(Requirement, query).items}
    asked = {job.id: needs.get(job.requirement_id) for job in store.find(Job, query).items} if nodes else {}
    found: dict[int, tuple[float, float]] = {}
    for one in store.find(Result, query).items if nodes else ():
        if one.node_id is None or one.node_id not in nodes:
            continue
        need, node = asked.get(one.job_id), nodes[one.node_id]
        share = 1.0 if need is None else max(
            need.num_cpus / max(1, node.capacity.cpus), need.memory_bytes / max(1, node.capacity.memory),
            need.num_gpus / max(1, node.capacity.gpus) if need.num_gpus else 0.0,
        )  # fmt: skip
        hours = min(1.0, share) * (1 if need is None else need.num_nodes) * one.exec_minutes / 60
        busy, wasted = found.get(one.node_id, (0.0, 0.0))
        bad = hours if one.status is not JobStatus.COMPLETED else 0.0
        found[one.node_id] = (busy + hours, wasted + bad)
    return found


def summed(some: Iterable[Stretch], by: str, charge: Callable[[Stretch], float]) -> list[Mapping[str, Json]]:
    """One row for each workflow, scheduler, partition, account or user."""
    groups: dict[str, list[Stretch]] = {}
    for one in some:
        groups.setdefault(str(getattr(one, by)), []).append(one)
    return [
        _row(name, group, charge) for name, group in sorted(groups.items(), key=lambda pair: _order(pair[0]))
    ]


def total(some: Sequence[Stretch], charge: Callable[[Stretch], float]) -> Mapping[str, Json]:
    """All of it in one row."""
    return _row("total", some, charge)


def _row(name: str, some: Sequence[Stretch], charge: Callable[[Stretch], float]) -> Mapping[str, Json]:
    used = sum(one.node_hours for one in some)
    busy = sum(one.busy for one in some)
    waits = [one.waited for one in some if one.waited is not None]
    return {
        "group": name,
        "allocations": len(some),
        "node_hours": round(used, 4),
        "planned_node_hours": round(sum(one.planned for one in some), 4),
        "cpu_hours": round(sum(one.cpu_hours for one in some), 4),
        "gpu_hours": round(sum(one.gpu_hours for one in some), 4),
        "charge": round(sum(charge(one) for one in some), 4),
        "median_wait_seconds": round(median(waits), 1) if waits else None,
        "max_wait_seconds": round(max(waits), 1) if waits else None,
        "busy_percent": round(100 * busy / used, 1) if used else None,
        "idle_node_hours": round(used - busy, 4),
        "wasted_node_hours": round(sum(one.wasted for one in some), 4),
    }


def _order(name: str) -> tuple[bool, int, str]:
    """Numbers by their size."""
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)
