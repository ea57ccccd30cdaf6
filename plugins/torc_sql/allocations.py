"""Allocations of a batch system: their rows, and what follows when they change (`engine.md` §15.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torc_core.engine import telling
from torc_core.engine.allocating import check_intent, submission_key
from torc_core.errors import NotFound
from torc_core.model import ActionRunId, Allocation, AllocationId, AllocationStatus, SchedulerId
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
        )
        for at in range(count)
    ]  # fmt: skip
    tx.many("INSERT_SCHEDULED_COMPUTE_NODE", [rows.allocation_row(one, request_id) for one in made])
    return made


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
