"""`torc scheduled-compute-nodes`: the allocations of a batch system, and what ran in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from cyclopts import App

from torc_core.errors import UsageError, did_you_mean
from torc_core.given import Given
from torc_core.model import (
    Allocation,
    AllocationStatus,
    Job,
    Node,
    Page,
    Query,
    Result,
    SlurmScheduler,
    Value,
    Waiting,
    WorkflowId,
)
from torc_core.model.allocation import shown
from torc_core.session import Session
from torc_terminal.narrowing import refuse_unknown
from torc_terminal.noun import Noun
from torc_terminal.output.answer import Listing, Record, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import Item
from torc_terminal.output.whereabouts import allocation_item, in_allocation
from torc_terminal.paging import SHORT, ShortPaging
from torc_terminal.selector import found

app = App(name="scheduled-compute-nodes", help="The allocations of a batch system, and what ran in them.")

STATUSES = tuple(dict.fromkeys(shown(status) for status in AllocationStatus))
"""The names that people know."""

NOUN = Noun(
    record=Allocation,
    group="scheduled-compute-nodes",
    one="scheduled compute node",
    many="scheduled compute nodes",
    item=partial(allocation_item, scheduler=None),
    columns=(
        Column(title="ID", key="id", right=True),
        Column(title="Scheduler", key="scheduler_config_id", right=True),
        Column(title="Slurm job", key="scheduler_id", right=True),
        Column(title="Status", key="status"),
        Column(title="Partition", key="partition"),
        Column(title="Nodes", key="nodes", right=True),
        Column(title="Walltime", key="walltime"),
        Column(title="Reason", key="reason"),
        Column(title="Est. start", key="estimated_start"),
    ),
)

JOB_COLUMNS = (
    Column(title="Job ID", key="job_id", right=True),
    Column(title="Job", key="job_name"),
    Column(title="Status", key="status"),
    Column(title="Run", key="run_id", right=True),
    Column(title="Attempt", key="attempt_id", right=True),
    Column(title="Node", key="compute_node_id", right=True),
    Column(title="Host", key="hostname"),
)


@app.command(name="list")
def list_(
    workflow: str | None = None,
    /,
    *,
    scheduler_id: str | None = None,
    scheduler_config_id: int | None = None,
    status: str | None = None,
    paging: ShortPaging = SHORT,
    session: Given,
) -> Listing:
    """List the allocations of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    scheduler_id
        Only the one that the batch system calls so.
    scheduler_config_id
        Only those of this Slurm scheduler.
    status
        Only with this status: `pending`, `active`, `complete` or `canceled`.
    """
    where: dict[str, Value | tuple[Value, ...]] = {}
    if scheduler_id is not None:
        where["scheduler_id"] = scheduler_id
    if scheduler_config_id is not None:
        where["scheduler_config_id"] = scheduler_config_id
    if status is not None:
        where["status"] = _meant(status)
    wf = found(session, workflow)
    page = NOUN.found(session, paging.query(wf.id, where))
    refuse_unknown(session, wf.id, page.total, (SlurmScheduler, scheduler_config_id))
    return _listing(session, page)


@app.command
def get(*ids: str, session: Given) -> Record | Listing:
    """Show allocations.

    Parameters
    ----------
    ids
        Ids of scheduled compute nodes: `7`, `7,9` or `7-9`.
    """
    some = [NOUN.fetched(session, number) for number in NOUN.ids(ids)]
    if len(some) > 1:
        return _listing(session, Page(items=some, total=len(some)))
    refuse_csv(session)
    one = some[0]
    scheduler = _schedulers(session, one.workflow_id).get(one.scheduler_config_id or 0)
    waits = _waiting(session, some).get(one.scheduler_id or "")
    return replace(NOUN.told(one), data=allocation_item(one, scheduler=scheduler, waits=waits))


@app.command
def list_jobs(id: int, /, *, session: Given) -> Listing:
    """List the jobs that ran or run in an allocation, an attempt a line.

    Parameters
    ----------
    id
        Id of the scheduled compute node.
    """
    one = NOUN.fetched(session, id)
    store, wf = session.store(), one.workflow_id
    nodes: dict[int, Node] = {
        node.id: node for node in store.find(Node, Query(workflow=wf, where={"allocation_id": one.id})).items
    }
    among = {"node_id": tuple(nodes)}
    results = store.find(Result, Query(workflow=wf, where=among)).items if nodes else ()
    jobs = store.find(Job, Query(workflow=wf, where=among)).items if nodes else ()
    items: list[Item] = sorted(in_allocation(nodes, results, jobs), key=_order)
    return Listing(
        schema="torc.scheduled-compute-nodes.list-jobs/1",
        noun="jobs",
        items=items,
        columns=JOB_COLUMNS,
        total=len(items),
        extra={"scheduled_compute_node_id": one.id},
    )


def _order(item: Item) -> tuple[int, ...]:
    return tuple(value for name in ("job_id", "run_id", "attempt_id") if isinstance(value := item[name], int))


def _meant(text: str) -> tuple[str, ...]:
    """The statuses that people know by this name."""
    if text not in STATUSES:
        raise UsageError(
            f"no status '{text}'{did_you_mean(text, STATUSES)}; choose from {', '.join(STATUSES)}"
        )
    return tuple(status.value for status in AllocationStatus if shown(status) == text)


def _listing(session: Session, page: Page[Allocation]) -> Listing:
    workflows = {one.workflow_id for one in page.items}
    schedulers = {id: one for wf in workflows for id, one in _schedulers(session, wf).items()}
    waits = _waiting(session, page.items)
    items = [
        allocation_item(
            one,
            scheduler=schedulers.get(one.scheduler_config_id or 0),
            waits=waits.get(one.scheduler_id or ""),
        )
        for one in page.items
    ]
    return replace(NOUN.listing(page), items=items)


def _waiting(session: Session, some: Sequence[Allocation]) -> Mapping[str, Waiting]:
    """For what queued ones wait, by the batch system's numbers, where it can be asked from here; one question for all."""
    numbers = [
        one.scheduler_id
        for one in some
        if one.status is AllocationStatus.PENDING and one.scheduler_id is not None
    ]
    if not numbers:
        return {}
    return {name: one for batch in session.batches() for name, one in batch.waiting(numbers).items()}


def _schedulers(session: Session, workflow: WorkflowId) -> dict[int, SlurmScheduler]:
    found_ = session.store().find(SlurmScheduler, Query(workflow=workflow)).items
    return {one.id: one for one in found_}
