"""Records of where jobs run: nodes, allocations, remote workers, accounting, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from torc_core.engine import telling
from torc_core.engine.addresses import check_once, parse
from torc_core.engine.allocating import forward, status_of
from torc_core.engine.liveness import reopened, slurm_number
from torc_core.errors import NotFound
from torc_core.model import (
    Allocation,
    AllocationId,
    Node,
    NodeId,
    NodeState,
    Page,
    Query,
    RemoteWorker,
    RemoteWorkerId,
    Resources,
    RunningJob,
    SlurmCorrelation,
    SlurmStats,
    SlurmStatsId,
    Usage,
    WorkflowId,
)
from torc_sql import allocations, losing, plain, rows
from torc_sql.change import Change
from torc_sql.job_changes import update
from torc_sql.transaction import Transaction


def _add_node(change: Change, new: Node) -> Node:
    """Register a runner the published way; the same process is the same node, and has no lease."""
    tx, wf = change.tx, change.wf
    start = new.start_time or tx.now
    row = tx.row("NODE_OF_PROCESS", wf_=wf, hostname_=new.hostname, pid_=new.pid, start_=start)
    if row is not None:
        return rows.node(row)
    _check_scheduler(change, new.scheduler_id)
    of = new.allocation_id
    if of is not None and allocations.allocation_of(tx, of).workflow_id != wf:
        raise NotFound(f"workflow {wf} has no scheduled compute node {of}")
    if of is None and (found := allocations.bound(change, None, new.scheduler)) is not None:
        of = found.id
    node = replace(
        new, id=NodeId(tx.ids("node", 1)), start_time=start, beats=False, last_beat=tx.now, allocation_id=of,
        state=NodeState.ACTIVE if new.is_active else NodeState.ENDED, draining=False,
    )  # fmt: skip
    tx.many("INSERT_COMPUTE_NODE", [rows.node_row(node)])
    change.tell(telling.node_started(node))
    return rows.node(tx.row("NODE", node_=node.id))


def _add_allocation(change: Change, new: Allocation) -> Allocation:
    """Record an allocation that the batch system has; the same one again is the first record."""
    tx = change.tx
    _check_scheduler(change, new.scheduler_config_id)
    for row in tx.rows("OF_NUMBER", wf_=change.wf, number_=new.scheduler_id) if new.scheduler_id else ():
        one = rows.allocation(row)
        if one.scheduler_type == new.scheduler_type:
            return one
    added = replace(
        new, id=AllocationId(tx.ids("allocation", 1)), action_run_id=None,
        submitted_at=new.submitted_at or (tx.now if new.scheduler_id else None),
    )  # fmt: skip
    tx.many("INSERT_SCHEDULED_COMPUTE_NODE", [rows.allocation_row(added)])
    if added.scheduler_id is not None:
        change.tell(telling.allocation_created(added))
    return added


def _add_worker(change: Change, new: RemoteWorker) -> RemoteWorker:
    """Add a remote worker; the same address again is no harm, its host with another user or port is refused."""
    tx, read = change.tx, plain.reader(RemoteWorker)
    known: list[RemoteWorker] = [read(row) for row in tx.rows("WORKERS", wf_=change.wf)]
    address = parse(new.worker)
    if not check_once(address, [one.worker for one in known]):
        return next(one for one in known if one.worker == address.text)
    added = replace(new, id=RemoteWorkerId(tx.ids("remote_worker", 1)), worker=address.text)
    tx.many(
        "INSERT_REMOTE_WORKER", [(added.id, change.wf, added.worker, added.label, rows.text(added.options))]
    )
    return added


def _add_stats(change: Change, new: SlurmStats) -> SlurmStats:
    """Keep what the accounting says of an attempt, in the place of what it said before."""
    tx = change.tx
    job = change.job(new.job_id)
    if job is None:
        raise NotFound(f"workflow {change.wf} has no job {new.job_id}")
    run, attempt = new.run_id or job.run_id, new.attempt_id or job.attempt_id
    row = tx.row("STATS_OF", job_=job.id, run_=run, attempt_=attempt)
    id = SlurmStatsId(tx.ids("slurm_stats", 1) if row is None else row[0])
    added = replace(new, id=id, run_id=run, attempt_id=attempt)
    tx.run("REPLACE_STATS", id_=id)
    tx.many("INSERT_SLURM_STATS", [plain.row(added)])
    return added


ADD: Mapping[type[Any], Callable[[Change, Any], Any]] = {
    Node: _add_node, Allocation: _add_allocation, RemoteWorker: _add_worker, SlurmStats: _add_stats,
}  # fmt: skip
"""How records of these kinds are added."""


def _change_node(change: Change, node: Node, given: dict[str, Any]) -> None:
    """Change a node; one that is no longer active is closed (`wire.md` §3.11)."""
    active = given.pop("is_active", node.is_active)
    _check_scheduler(change, given.get("scheduler_id"))
    columns = _columns(given)
    if active and reopened(node):
        columns |= {"is_active": 1, "state": NodeState.ACTIVE.value, "end_time": None}
    update(change, "compute_node", node.id, columns)
    if node.is_active and not active:
        losing.close_node(change, rows.node(change.tx.row("NODE", node_=node.id)), given.get("usage"))


def _columns(given: Mapping[str, Any]) -> dict[str, object]:
    """The columns of fields of a node."""
    columns: dict[str, object] = {}
    for name, value in given.items():
        if name == "usage":
            usage: Usage = value
            columns |= {field.name: getattr(usage, field.name) for field in fields(usage)}
        elif name == "capacity":
            size: Resources = value
            columns |= {"num_cpus": size.cpus, "memory_bytes": size.memory, "num_gpus": size.gpus}
        else:
            columns[name] = rows.text(value) if name == "scheduler" else value
    return columns


def _change_allocation(change: Change, old: Allocation, given: dict[str, Any]) -> None:
    """Change an allocation; its status only goes forward (`wire.md` §3.12)."""
    status = status_of(given.pop("status", old.status))
    if not forward(old, status):
        status = old.status
    allocations.write(change, old, replace(old, status=status, **given))


CHANGE: Mapping[type[Any], Callable[[Change, Any, dict[str, Any]], None]] = {
    Node: _change_node, Allocation: _change_allocation,
}  # fmt: skip
"""How records of these kinds are changed; the fields that are given are not None."""


def running(tx: Transaction, wf: WorkflowId, query: Query) -> Page[RunningJob]:
    """The jobs that run, and where."""
    found = [
        RunningJob(
            workflow_id=wf, job_id=job, job_name=name, compute_node_name=host or "", scheduler_type=kind or "",
            scheduler_job_id=number or slurm_number(rows.value(told)), start_time=start,
        )
        for job, name, start, host, kind, told, number in tx.rows("RUNNING_JOBS", wf_=wf)
    ]  # fmt: skip
    return _page(found, query)


def correlations(tx: Transaction, wf: WorkflowId, query: Query) -> Page[SlurmCorrelation]:
    """Jobs, and the batch jobs in which attempts of theirs ran or run."""
    numbers = {
        node: known
        for node, told, number in tx.rows("NODE_NUMBERS", wf_=wf)
        if (known := number or slurm_number(rows.value(told))) is not None
    }
    pairs = {
        (job, numbers[node], name)
        for statement in (("NODES_OF_RESULTS", "NODES_OF_JOBS") if numbers else ())
        for job, node, name in tx.rows(statement, wf_=wf)
        if node in numbers
    }
    found = [
        SlurmCorrelation(workflow_id=wf, job_id=job, job_name=name, slurm_job_id=number)
        for job, number, name in sorted(pairs)
    ]
    return _page(found, query)


def _page(found: Sequence[Any], query: Query) -> Page[Any]:
    for name, value in query.where.items():
        wanted = set(value) if isinstance(value, (tuple, list)) else {value}
        found = [one for one in found if getattr(one, name) in wanted]
    items = sorted(found, key=lambda one: one.job_id, reverse=query.reverse)
    return Page(items=items[query.offset : query.offset + query.limit], total=len(items), offset=query.offset)


def _check_scheduler(change: Change, scheduler: int | None) -> None:
    if scheduler is not None and change.tx.row("SCHEDULER", id_=scheduler, wf_=change.wf) is None:
        raise NotFound(f"workflow {change.wf} has no Slurm scheduler {scheduler}")
