"""The figures that scheduling is decided by, as a store has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torc_core.engine.allocating import OVER
from torc_core.model import (
    Allocation,
    AllocationStatus,
    Job,
    JobStatus,
    Node,
    NodeState,
    Query,
    Value,
    WorkflowId,
)
from torc_core.model.resources import walltime_seconds
from torc_slurm.watching.scheduling import Figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torc_core.protocols import Store

EVERY = 2**31
WAITING = (AllocationStatus.INTENDED.value, AllocationStatus.PENDING.value)
THERE = (NodeState.ACTIVE, NodeState.UNREACHABLE)


def figures(store: Store, workflow: WorkflowId, now: int) -> Figures:
    """How a workflow stands at a moment, in milliseconds since 1970."""
    ready = _ready(store, workflow, {})
    retries = _ready(store, workflow, {"origin": "retry"})
    spawned = _ready(store, workflow, {"origin": "spawn"})
    allocations = store.find(Allocation, Query(workflow=workflow, limit=EVERY)).items
    nodes = store.find(Node, Query(workflow=workflow, limit=EVERY)).items
    there = [node for node in nodes if node.state in THERE]
    lefts = [left for node in there if (left := time_left(node, now)) is not None]
    last = max((one.submitted_at for one in allocations if one.submitted_at is not None), default=None)
    return Figures(
        ready=ready, retries=retries, spawned=spawned,
        oldest=_oldest(store, workflow, now) if retries or spawned else 0.0,
        live=sum(one.status is AllocationStatus.ACTIVE for one in allocations),
        queued=sum(one.status.value in WAITING for one in allocations),
        runners=sum(node.allocation_id is None for node in there),
        longest=max(lefts, default=None),
        since=None if last is None else max(0, now - last) / 1000,
        node_hours=node_hours(nodes, now),
    )  # fmt: skip


def time_left(node: Node, now: int) -> float | None:
    """Seconds until a runner has to end; None: it has not said."""
    if node.time_limit is None:
        return None
    return max(0.0, node.time_limit - (now - node.start_time) / 1000)


def node_hours(nodes: Sequence[Node], now: int) -> float:
    """What the runners in allocations have used up to now."""
    return sum(
        node.num_nodes * max(0, (node.end_time or now) - node.start_time) / 3_600_000
        for node in nodes
        if node.type == "slurm" or node.allocation_id is not None
    )


def hours_of(allocations: Sequence[Allocation], nodes: Sequence[Node], now: int) -> float:
    """Node-hours that are used up, and those that what is open may still use."""
    live = {one.id: one for one in allocations if one.status not in OVER}
    asked = sum(one.nodes * walltime_seconds(one.walltime or "") / 3_600 for one in live.values())
    return asked + node_hours([node for node in nodes if node.allocation_id not in live], now)


def _ready(store: Store, workflow: WorkflowId, where: dict[str, Value]) -> int:
    asked: dict[str, Value | Sequence[Value]] = {"status": int(JobStatus.READY), **where}
    return store.find(Job, Query(workflow=workflow, where=asked, limit=0)).total


def _oldest(store: Store, workflow: WorkflowId, now: int) -> float:
    """Seconds for which the first job that nobody has planned for has been ready."""
    where: dict[str, Value | Sequence[Value]] = {"status": int(JobStatus.READY), "origin": ("retry", "spawn")}
    found = store.find(Job, Query(workflow=workflow, where=where, sort="ready_since", limit=1)).items
    since = found[0].ready_since if found else None
    return 0.0 if since is None else max(0, now - since) / 1000
