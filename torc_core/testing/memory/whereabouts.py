"""Records of where jobs run: nodes, allocations, remote workers, accounting, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from torc_core.engine import telling
from torc_core.engine.addresses import check_once, parse
from torc_core.engine.allocating import forward, status_of
from torc_core.engine.liveness import reopened, slurm_number
from torc_core.errors import NotFound
from torc_core.model import (
    Allocation,
    AllocationId,
    JobStatus,
    Node,
    NodeId,
    NodeState,
    Page,
    Query,
    RemoteWorker,
    RemoteWorkerId,
    Result,
    RunningJob,
    SlurmCorrelation,
    SlurmScheduler,
    SlurmStats,
    SlurmStatsId,
)
from torc_core.testing.memory import allocations, losing
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow


def _add_node(change: Change, new: Node) -> Node:
    """Register a runner the published way; the same process is the same node, and has no lease."""
    flow = change.flow
    nodes: dict[int, Node] = flow.tables[Node]
    start = new.start_time or change.now
    key = (new.hostname, new.pid, start)
    for node in nodes.values():
        if not node.beats and (node.hostname, node.pid, node.start_time) == key:
            return node
    _check_scheduler(flow, new.scheduler_id)
    of = new.allocation_id
    if of is not None and of not in flow.tables[Allocation]:
        raise NotFound(f"workflow {flow.workflow.id} has no scheduled compute node {of}")
    if of is None and (found := allocations.bound(change, None, new.scheduler)) is not None:
        of = found.id
    node = replace(
        new, id=NodeId(change.number("node")), start_time=start, beats=False, last_beat=change.now,
        allocation_id=of, state=NodeState.ACTIVE if new.is_active else NodeState.ENDED, draining=False,
    )  # fmt: skip
    nodes[node.id] = node
    change.tell(telling.node_started(node))
    return node


def _add_allocation(change: Change, new: Allocation) -> Allocation:
    """Record an allocation that the batch system has; the same one again is the first record."""
    flow = change.flow
    table: dict[int, Allocation] = flow.tables[Allocation]
    _check_scheduler(flow, new.scheduler_config_id)
    for one in table.values():
        if new.scheduler_id and (one.scheduler_type, one.scheduler_id) == (
            new.scheduler_type,
            new.scheduler_id,
        ):
            return one
    added = replace(
        new, id=AllocationId(change.number("allocation")), action_run_id=None,
        submitted_at=new.submitted_at or (change.now if new.scheduler_id else None),
    )  # fmt: skip
    return allocations.write(change, replace(added, scheduler_id=None), added)


def _add_worker(change: Change, new: RemoteWorker) -> RemoteWorker:
    """Add a remote worker; the same address again is no harm, its host with another user or port is refused."""
    table: dict[int, RemoteWorker] = change.flow.tables[RemoteWorker]
    address = parse(new.worker)
    if not check_once(address, [one.worker for one in table.values()]):
        return next(one for one in table.values() if one.worker == address.text)
    added = replace(new, id=RemoteWorkerId(change.number("remote_worker")), worker=address.text)
    table[added.id] = added
    return added


def _add_stats(change: Change, new: SlurmStats) -> SlurmStats:
    """Keep what the accounting says of an attempt, in the place of what it said before."""
    flow = change.flow
    table: dict[int, SlurmStats] = flow.tables[SlurmStats]
    job = flow.jobs.get(new.job_id)
    if job is None:
        raise NotFound(f"workflow {flow.workflow.id} has no job {new.job_id}")
    run, attempt = new.run_id or job.run_id, new.attempt_id or job.attempt_id
    same = [
        id for id, one in table.items() if (one.job_id, one.run_id, one.attempt_id) == (job.id, run, attempt)
    ]
    id = SlurmStatsId(same[0] if same else change.number("slurm_stats"))
    table[id] = replace(new, id=id, run_id=run, attempt_id=attempt)
    added: SlurmStats = table[id]
    return added


ADD: Mapping[type[Any], Callable[[Change, Any], Any]] = {
    Node: _add_node, Allocation: _add_allocation, RemoteWorker: _add_worker, SlurmStats: _add_stats,
}  # fmt: skip
"""How records of these kinds are added."""


def _change_node(change: Change, node: Node, given: dict[str, Any]) -> Node:
    """Change a node; one that is no longer active is closed (`wire.md` §3.11)."""
    nodes: dict[int, Node] = change.flow.tables[Node]
    active = given.pop("is_active", node.is_active)
    _check_scheduler(change.flow, given.get("scheduler_id"))
    if active and reopened(node):
        given |= {"is_active": True, "state": NodeState.ACTIVE, "end_time": None}
    nodes[node.id] = replace(node, **given)
    if node.is_active and not active:
        return losing.close_node(change, nodes[node.id], given.get("usage"))
    return nodes[node.id]


def _change_allocation(change: Change, old: Allocation, given: dict[str, Any]) -> Allocation:
    """Change an allocation; its status only goes forward (`wire.md` §3.12)."""
    status = status_of(given.pop("status", old.status))
    if not forward(old, status):
        status = old.status
    return allocations.write(change, old, replace(old, status=status, **given))


CHANGE: Mapping[type[Any], Callable[[Change, Any, dict[str, Any]], Any]] = {
    Node: _change_node, Allocation: _change_allocation,
}  # fmt: skip
"""How records of these kinds are changed; the fields that are given are not None."""


def running(flow: Flow, query: Query) -> Page[RunningJob]:
    """The jobs that run, and where."""
    return _page(_running(flow), query)


def correlations(flow: Flow, query: Query) -> Page[SlurmCorrelation]:
    """Jobs, and the batch jobs in which attempts of theirs ran or run."""
    return _page(_correlations(flow), query)


def _running(flow: Flow) -> Iterator[RunningJob]:
    nodes: dict[int, Node] = flow.tables[Node]
    for job in flow.jobs.values():
        if job.status is JobStatus.RUNNING:
            node = None if job.node_id is None else nodes.get(job.node_id)
            yield RunningJob(
                workflow_id=job.workflow_id, job_id=job.id, job_name=job.name,
                compute_node_name="" if node is None else node.hostname,
                scheduler_type="" if node is None else node.type,
                scheduler_job_id=None if node is None else _number(flow, node), start_time=job.start_time,
            )  # fmt: skip


def _correlations(flow: Flow) -> Iterator[SlurmCorrelation]:
    nodes: dict[int, Node] = flow.tables[Node]
    results: list[Result] = list(flow.tables[Result].values())
    pairs = {(one.job_id, one.node_id) for one in results}
    pairs |= {(job.id, job.node_id) for job in flow.jobs.values() if job.status is JobStatus.RUNNING}
    found = {
        (job, number)
        for job, node in pairs
        if node in nodes and job in flow.jobs and (number := _number(flow, nodes[node])) is not None
    }
    for job, number in sorted(found):
        row = flow.jobs[job]
        yield SlurmCorrelation(
            workflow_id=row.workflow_id, job_id=job, job_name=row.name, slurm_job_id=number
        )


def _number(flow: Flow, node: Node) -> str | None:
    """The batch system's number of the allocation that a node is in."""
    table: dict[int, Allocation] = flow.tables[Allocation]
    known = None if node.allocation_id is None else table[node.allocation_id].scheduler_id
    return known or slurm_number(node.scheduler)


def _page(found: Iterator[Any], query: Query) -> Page[Any]:
    for name, value in query.where.items():
        wanted = set(value) if isinstance(value, (tuple, list)) else {value}
        found = iter([one for one in found if getattr(one, name) in wanted])
    items = sorted(found, key=lambda one: one.job_id, reverse=query.reverse)
    return Page(items=items[query.offset : query.offset + query.limit], total=len(items), offset=query.offset)


def _check_scheduler(flow: Flow, scheduler: int | None) -> None:
    if scheduler is not None and scheduler not in flow.tables[SlurmScheduler]:
        raise NotFound(f"workflow {flow.workflow.id} has no Slurm scheduler {scheduler}")
