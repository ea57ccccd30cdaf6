"""Which registered runners live: what their processes say, where this host can tell."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import Node, NodeState, Query, WorkflowId
from torc_core.protocols import Catalog
from torc_core.runner.place import Place


def place_of(node: Node) -> Place:
    """Where a runner said it was when it registered."""
    return Place(hostname=node.hostname, pid=node.pid, boot_id=node.boot_id, start=node.process_start)


def alive_nodes(store: Catalog, workflow: WorkflowId) -> Sequence[Node]:
    """Runners of a workflow that have not left and are not known to be dead."""
    return [node for node in active(store, workflow) if not place_of(node).gone]


def dead_nodes(store: Catalog, workflow: WorkflowId) -> Sequence[Node]:
    """Runners of a workflow that died on this host without leaving."""
    return [node for node in active(store, workflow) if place_of(node).gone]


def active(store: Catalog, workflow: WorkflowId) -> Sequence[Node]:
    """Runners of a workflow that have not left, those that were lost among them."""
    there = (NodeState.ACTIVE, NodeState.UNREACHABLE, NodeState.LOST)
    return store.find(Node, Query(workflow=workflow, where={"state": there})).items


def living_here(store: Catalog, workflow: WorkflowId | None = None) -> Sequence[Node]:
    """Runners that live on this host: of any workflow of this store, or of this one."""
    here = Place.here()
    query = Query(workflow=workflow, where={"boot_id": here.boot_id, "is_active": True})
    return [
        node
        for node in store.find(Node, query).items
        if node.hostname == here.hostname and not place_of(node).gone
    ]
