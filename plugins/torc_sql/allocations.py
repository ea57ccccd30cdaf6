"""Allocations of a batch system: their rows, and what follows when they change (`engine.md` §15.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torc_core.engine import telling
from torc_core.engine.allocating import check_intent, running, submission_key, takeable
from torc_core.engine.liveness import slurm_number
from torc_core.errors import NotFound
from torc_core.model import (
    ActionRunId,
    Allocation,
    AllocationId,
    AllocationStatus,
    Json,
    Node,
    SchedulerId,
)
from torc_sql import rows
from torc_sql.change import Change
from torc_sql.transaction import Transaction


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
    """Write intents, each with a fresh submission key; the same request again gives the same ones.

    Raises
    ------
    Invalid
        If the numbers make no sense.
    NotFound
        If the workflow has no such scheduler.
    """
    tx, wf = change.tx, change.wf
    check_intent(count, nodes)
    if request_id is not None and (known := tx.rows("OF_REQUEST", wf_=wf, request_=request_id)):
        return [rows.allocation(row) for row in known]
    row = tx.row("SCHEDULER", id_=scheduler, wf_=wf)
    if row is None:
        raise NotFound(f"workflow {wf} has no Slurm scheduler {scheduler}")
    walltime = rows.scheduler(row).fields.get("walltime")
    first = tx.ids("allocation", count)
    made = [
        Allocation(
            id=AllocationId(first + at), workflow_id=wf, scheduler_config_id=scheduler,
            status=AllocationStatus.INTENDED, submission_key=submission_key(uuid()), action_run_id=action_run,
            ordinal=at, nodes=nodes, walltime=walltime if isinstance(walltime, str) else None,
            submitted_by=holder or request_id, submitted_at=tx.now if holder or request_id else None,
        )
        for at in range(count)
    ]  # fmt: skip
    tx.many("INSERT_SCHEDULED_COMPUTE_NODE", [rows.allocation_row(one, request_id) for one in made])
    return made


def take(change: Change, holder: str, instead: str | None) -> list[Allocation]:
    """Give intents in nobody's hands to a holder."""
    tx = change.tx
    found = [rows.allocation(row) for row in tx.rows("OPEN_INTENTS", wf_=change.wf, run_=change.run_id)]
    return [
        write(change, one, replace(one, submitted_by=holder, submitted_at=tx.now))
        for one in found
        if takeable(one, holder, instead, tx.now)
    ]


def allocation_of(tx: Transaction, id: AllocationId) -> Allocation:
    """An allocation.

    Raises
    ------
    NotFound
        If there is none.
    """
    row = tx.row("ALLOCATION", id_=id)
    if row is None:
        raise NotFound(f"no scheduled compute node {id}")
    return rows.allocation(row)


def bound(change: Change, key: str | None, scheduler: Mapping[str, Json] | None) -> Allocation | None:
    """The allocation that a runner joins from, by its key or its number; it is running from now on (SJ5)."""
    number = slurm_number(scheduler)
    row = change.tx.row("OF_KEY", wf_=change.wf, key_=key) if key else None
    if row is None and number is not None:
        row = change.tx.row("OF_NUMBER", wf_=change.wf, number_=number)
    if row is None:
        return None
    found = rows.allocation(row)
    return write(change, found, running(found, number))


def close(change: Change, allocation: Allocation, status: AllocationStatus, reason: str) -> Allocation:
    """An allocation is called off or over; the reason is kept with the first word that says so."""
    if allocation.status is status:
        return allocation
    return write(change, allocation, replace(allocation, status=status, reason=reason))


def nodes_of(tx: Transaction, allocation: AllocationId) -> list[Node]:
    """The runners of an allocation that have not ended."""
    return [rows.node(row) for row in tx.rows("OPEN_NODES_OF", id_=allocation)]


def write(change: Change, old: Allocation, new: Allocation) -> Allocation:
    """Store what has changed of an allocation; the event that it is known comes with its number."""
    change.tx.run(
        "WRITE_ALLOCATION", id_=new.id, number_=new.scheduler_id, status_=new.status.value, reason_=new.reason,
        walltime_=new.walltime, at_=new.submitted_at, by_=new.submitted_by,
    )  # fmt: skip
    if new.scheduler_id is not None and old.scheduler_id is None:
        change.tell(telling.allocation_created(new))
    return new


def counts(tx: Transaction, wf: int) -> dict[str, Any]:
    """How many allocations wait, and how many run, by the names that `Totals` has for them."""
    found = dict(tx.rows("ALLOCATION_COUNTS", wf_=wf))
    return {
        "pending_allocations": found.get("intended", 0) + found.get("pending", 0),
        "active_allocations": found.get("active", 0),
    }
