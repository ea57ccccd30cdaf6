"""Allocations of a batch system: their records, and what follows when they change (`engine.md` §15.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from torc_core.engine import telling
from torc_core.engine.allocating import WAITING, check_intent, running, submission_key, takeable
from torc_core.engine.liveness import slurm_number
from torc_core.errors import NotFound
from torc_core.model import (
    ActionRun,
    ActionRunId,
    ActionState,
    Allocation,
    AllocationId,
    AllocationStatus,
    Json,
    Node,
    NodeState,
    SchedulerId,
    SlurmScheduler,
)
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow


def intend(
    change: Change,
    scheduler: SchedulerId,
    count: int,
    nodes: int,
    uuid: Callable[[], str],
    *,
    request_id: str | None = None,
    action_run: ActionRunId | None = None,
    holder: str | None = None,
) -> list[Allocation]:
    """Write intents, each with a fresh submission key; the same request again gives the same ones."""
    flow = change.flow
    check_intent(count, nodes)
    table: dict[int, Allocation] = flow.tables[Allocation]
    if request_id is not None and request_id in flow.requests:
        return [table[id] for id in flow.requests[request_id] if id in table]
    if scheduler not in flow.tables[SlurmScheduler]:
        raise NotFound(f"workflow {flow.workflow.id} has no Slurm scheduler {scheduler}")
    walltime = flow.tables[SlurmScheduler][scheduler].fields.get("walltime")
    made = [
        Allocation(
            id=AllocationId(change.number("allocation")), workflow_id=flow.workflow.id,
            scheduler_config_id=scheduler, status=AllocationStatus.INTENDED,
            submission_key=submission_key(uuid()), action_run_id=action_run, ordinal=at, nodes=nodes,
            walltime=walltime if isinstance(walltime, str) else None, submitted_by=holder or request_id,
            submitted_at=change.now if holder or request_id else None,
        )
        for at in range(count)
    ]  # fmt: skip
    table.update((one.id, one) for one in made)
    if request_id is not None:
        flow.requests[request_id] = [one.id for one in made]
    change.touched = True
    return made


def take(change: Change, holder: str, instead: str | None) -> list[Allocation]:
    """Give intents in nobody's hands to a holder."""
    flow = change.flow
    runs: dict[int, ActionRun] = flow.tables[ActionRun]
    open_ones = {
        one.id
        for one in runs.values()
        if one.run_id == flow.workflow.run_id and one.state in (ActionState.TRIGGERED, ActionState.CLAIMED)
    }
    found = sorted(flow.tables[Allocation].values(), key=lambda one: one.id)
    return [
        write(change, one, replace(one, submitted_by=holder, submitted_at=change.now))
        for one in found
        if one.action_run_id not in open_ones and takeable(one, holder, instead, change.now)
    ]


def bound(change: Change, key: str | None, scheduler: Mapping[str, Json] | None) -> Allocation | None:
    """The allocation that a runner joins from, by its key or its number; it is running from now on (SJ5)."""
    table: dict[int, Allocation] = change.flow.tables[Allocation]
    number = slurm_number(scheduler)
    by_key = [one for one in table.values() if key and one.submission_key == key]
    by_number = [one for one in table.values() if number is not None and one.scheduler_id == number]
    found = (by_key or by_number)[:1]
    return write(change, found[0], running(found[0], number)) if found else None


def close(change: Change, allocation: Allocation, status: AllocationStatus, reason: str) -> Allocation:
    """An allocation is called off or over; the reason is kept with the first word that says so."""
    if allocation.status is status:
        return allocation
    return write(change, allocation, replace(allocation, status=status, reason=reason))


def nodes_of(flow: Flow, allocation: AllocationId) -> list[Node]:
    """The runners of an allocation that have not ended."""
    nodes: Iterable[Node] = flow.tables[Node].values()
    return [one for one in nodes if one.allocation_id == allocation and one.state is not NodeState.ENDED]


def write(change: Change, old: Allocation, new: Allocation) -> Allocation:
    """Store what has changed of an allocation; the event that it is known comes with its number."""
    change.flow.tables[Allocation][new.id] = new
    change.touched = True
    if new.scheduler_id is not None and old.scheduler_id is None:
        change.tell(telling.allocation_created(new))
    return new


def counts(flow: Flow) -> dict[str, Any]:
    """How many allocations wait, and how many run, by the names that `Totals` has for them."""
    all_: list[Allocation] = list(flow.tables[Allocation].values())
    return {
        "pending_allocations": sum(one.status in WAITING for one in all_),
        "active_allocations": sum(one.status is AllocationStatus.ACTIVE for one in all_),
    }
