"""Queued allocations that nothing needs any more (`slurm.md` §8)."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from torc_core.model import (
    Allocation,
    AllocationStatus,
    Job,
    JobStatus,
    Node,
    Query,
    Requirement,
    SchedulerId,
    SlurmScheduler,
    Totals,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_slurm.scheduler.slurm import Slurm, SlurmSilent
from torc_slurm.submission.keeper import capacity_of, nodes_of, share_of, usable_seconds

log = logging.getLogger(__name__)

SURE, KEPT = 2.0, 1.25
"""There are too many if there are so many times what is needed; so many times that are kept."""
REASON = "nothing needs it any more"
OPEN = tuple(int(status) for status in JobStatus if status.open)


def queued(store: Store, workflow: WorkflowId) -> list[Allocation]:
    """Allocations of a workflow that wait in the queue."""
    where = {"status": AllocationStatus.PENDING.value}
    found = store.find(Allocation, Query(workflow=workflow, where=where, limit=2**31)).items
    return [one for one in found if one.scheduler_id is not None]


def unneeded(store: Store, totals: Totals, *, everything: bool = False) -> list[Allocation]:
    """Queued allocations that no job can use; none of schedulers that keep theirs.

    Parameters
    ----------
    everything
        Also those of schedulers that keep theirs.
    """
    workflow = totals.workflow
    waiting = queued(store, workflow.id)
    if not waiting:
        return []
    schedulers = {
        one.id: one for one in store.find(SlurmScheduler, Query(workflow=workflow.id, limit=2**31)).items
    }
    over = totals.complete or workflow.is_canceled
    if not over and _wanted(store, workflow.id, None):
        return []
    found: list[Allocation] = []
    for number in dict.fromkeys(one.scheduler_config_id for one in waiting):
        scheduler = schedulers.get(SchedulerId(number or 0))
        if scheduler is not None and scheduler.fields.get("keep_queued") and not everything:
            continue
        own = [one for one in waiting if one.scheduler_config_id == number]
        if over or not _wanted(store, workflow.id, number):
            found += own
        elif scheduler is not None and len(own) > 1:
            found += _surplus(store, workflow, scheduler, own)
    return found


def _surplus(
    store: Store, workflow: Workflow, scheduler: SlurmScheduler, own: Sequence[Allocation]
) -> Sequence[Allocation]:
    """The newest of queued allocations, if there are twice as many as what is left of the work needs (UQ2).

    What a node offers has to be known from a runner; on one that nobody has seen a job may need all of it.
    """
    whole = Query(workflow=workflow.id, limit=2**31)
    capacity = capacity_of(scheduler, store.find(Node, whole).items)
    if capacity is None:
        return ()
    needs = {one.id: one for one in store.find(Requirement, whole).items}
    query = Query(workflow=workflow.id, where={"status": OPEN, "scheduler_id": scheduler.id}, limit=2**31)
    left = [needs[job.requirement_id] for job in store.find(Job, query).items]
    usable, each = usable_seconds(workflow, scheduler, len(own)), nodes_of(scheduler)
    if any(one.runtime_s > usable or one.num_nodes > each for one in left):
        return ()
    needed = sum(share_of(one, capacity, usable, each) for one in left)
    if len(own) < SURE * needed:
        return ()
    return sorted(own, key=lambda one: one.id)[max(1, math.ceil(KEPT * needed - 1e-9)) :]


def withdraw(
    store: Store,
    slurm: Slurm,
    allocations: Sequence[Allocation],
    reason: str = REASON,
    *,
    running: bool = False,
) -> tuple[list[Allocation], list[str]]:
    """Call allocations off with one call; those that are off now, and what went wrong.

    One that has just started is left alone, unless `running`.

    Raises
    ------
    Unavailable
        If the store does not answer.
    """
    numbers = [one.scheduler_id for one in allocations if one.scheduler_id is not None]
    if not numbers:
        return [], []
    errors = slurm.cancel(numbers, queued_only=not running)
    if errors:
        return [], errors
    started: set[str] = set()
    if not running:
        try:
            started = {row.number for row in slurm.queue(numbers) if not row.standing.over}
        except SlurmSilent as error:
            log.info("slurm_withdrawn unsure=%s", error)
    off = [store.withdrawn(one.id, reason) for one in allocations if one.scheduler_id not in started]
    return off, []


def _wanted(store: Store, workflow: WorkflowId, scheduler: int | None) -> bool:
    """Whether a job that has not ended is bound to this scheduler; None: to no scheduler at all."""
    query = Query(workflow=workflow, where={"status": OPEN, "scheduler_id": scheduler}, limit=1)
    return store.find(Job, query).total > 0
