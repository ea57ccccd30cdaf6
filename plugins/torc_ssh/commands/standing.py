"""How the workers of a workflow are, as the store knows it from their beats."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.model import Json, Node, NodeState, Query, RemoteWorker, WorkflowId
from torc_core.session import Session

WORDS = {
    NodeState.ACTIVE: "running",
    NodeState.UNREACHABLE: "unreachable",
    NodeState.LOST: "lost",
    NodeState.ENDED: "not running",
}


def nodes_by_worker(session: Session, workflow: WorkflowId) -> Mapping[str, Node]:
    """The newest runner of each worker."""
    found: dict[str, Node] = {}
    nodes = session.store().find(Node, Query(workflow=workflow, limit=2**31)).items
    for node in sorted(nodes, key=lambda one: one.id):
        scheduler = node.scheduler or {}
        worker = scheduler.get("worker")
        if scheduler.get("type") == "remote" and isinstance(worker, str):
            found[worker] = node
    return found


def state_of(worker: RemoteWorker, nodes: Mapping[str, Node]) -> str:
    """How a worker is, in a word."""
    node = nodes.get(worker.worker)
    return "never started" if node is None else WORDS[node.state]


def last_seen(node: Node | None) -> int | None:
    """When the store heard of a worker last, in milliseconds since 1970."""
    return None if node is None else node.last_beat or node.start_time


def seconds_since(node: Node | None, now: int) -> Json:
    """How long that is ago."""
    seen = last_seen(node)
    return None if seen is None else max(0, now - seen) // 1000
