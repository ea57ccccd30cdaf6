"""`torc compute-nodes`: the runners of a workflow, and how they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

from cyclopts import App, Parameter

from torc_core.given import Given
from torc_core.model import Allocation, Job, JobStatus, Json, Node, Page, Query, Value
from torc_core.model.resources import duration_text
from torc_core.session import Session
from torc_terminal.narrowing import refuse_unknown
from torc_terminal.noun import Noun
from torc_terminal.options import Flag
from torc_terminal.output.answer import Listing, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import Item
from torc_terminal.output.whereabouts import node_item
from torc_terminal.paging import SHORT, ShortPaging
from torc_terminal.selector import found

app = App(name="compute-nodes", help="The runners of a workflow, and how they are.")


def _gib(value: Json) -> str:
    return f"{value:.1f}g" if isinstance(value, (int, float)) else ""


def _seconds(value: Json) -> str:
    return duration_text(value) if isinstance(value, (int, float)) else ""


NOUN = Noun(
    record=Node,
    group="compute-nodes",
    one="compute node",
    many="compute nodes",
    item=partial(node_item, running=0),
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Host", key="hostname"),
        Column(title="Type", key="compute_node_type"),
        Column(title="Label", key="label"),
        Column(title="PID", key="pid", right=True),
        Column(title="State", key="state", show=lambda item: _state(dict(item))),
        Column(title="CPUs", key="num_cpus", right=True),
        Column(title="Mem", key="memory_gb", right=True, show=lambda item: _gib(item["memory_gb"])),
        Column(title="GPUs", key="num_gpus", right=True),
        Column(title="Jobs running", key="jobs_running", right=True),
        Column(title="Started", key="start_time"),
        Column(title="Last seen", key="last_seen"),
        Column(
            title="Duration",
            key="duration_seconds",
            right=True,
            show=lambda item: _seconds(item["duration_seconds"]),
        ),
    ),
    sorts={
        "compute_node_type": "type",
        "scheduler_config_id": "scheduler_id",
        "scheduled_compute_node_id": "allocation_id",
        "last_seen": "last_beat",
    },
)


def _state(item: Item) -> str:
    """How a node is; one that is given no further jobs says so."""
    state = str(item["state"])
    return f"{state}, draining" if item["draining"] and state != "ended" else state


@app.command(name="list")
def list_(
    workflow: str | None = None,
    /,
    *,
    scheduled_compute_node: Annotated[
        int | None, Parameter(name=["--scheduled-compute-node", "--scheduled-compute-node-id"])
    ] = None,
    active: Flag = False,
    paging: ShortPaging = SHORT,
    session: Given,
) -> Listing:
    """List the runners of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    scheduled_compute_node
        Only those that were started by this allocation.
    active
        Only those that have neither left nor been lost.
    """
    where: dict[str, Value | tuple[Value, ...]] = {}
    if scheduled_compute_node is not None:
        where["allocation_id"] = scheduled_compute_node
    if active:
        where["is_active"] = True
    wf = found(session, workflow)
    page = NOUN.found(session, paging.query(wf.id, where, sorts=NOUN.sorts))
    refuse_unknown(session, wf.id, page.total, (Allocation, scheduled_compute_node))
    return _listing(session, page)


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show runners.

    Parameters
    ----------
    ids
        Ids of compute nodes: `7`, `7,9` or `7-9`.
    """
    nodes = [NOUN.fetched(session, number) for number in NOUN.ids(ids)]
    if len(nodes) > 1:
        return _listing(session, Page(items=nodes, total=len(nodes)))
    refuse_csv(session)
    told = NOUN.told(nodes[0])
    return replace(told, data=node_item(nodes[0], running=_running(session, nodes)[nodes[0].id]))


def _listing(session: Session, page: Page[Node]) -> Listing:
    running = _running(session, page.items)
    items = [node_item(node, running=running[node.id]) for node in page.items]
    return replace(NOUN.listing(page), items=items)


def _running(session: Session, nodes: Sequence[Node]) -> dict[int, int]:
    """How many jobs run on each of these nodes."""
    count: dict[int, int] = {node.id: 0 for node in nodes}
    busy = tuple(node.id for node in nodes if node.is_active)
    where: dict[str, Value | Sequence[Value]] = {"node_id": busy, "status": int(JobStatus.RUNNING)}
    for job in session.store().find(Job, Query(where=where)).items if busy else ():
        if job.node_id is not None:
            count[job.node_id] += 1
    return count
