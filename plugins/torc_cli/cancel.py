"""`torc cancel`: stop workflows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from torc_core.errors import Conflict, TorcError
from torc_core.given import Given
from torc_core.model import JobStatus, Json, WorkflowId
from torc_core.session import Session
from torc_terminal.options import Flag, Yes
from torc_terminal.output.answer import Outcome, refuse_csv
from torc_terminal.selector import confirm, workflows
from torc_terminal.standing import amount, state

if TYPE_CHECKING:
    from torc_core.protocols import Store, Withdrawn

LOOK_SECONDS = 0.1


def cancel(
    *workflow: str,
    yes: Yes = False,
    reason: str | None = None,
    wait: Flag = False,
    keep_allocations: Flag = False,
    session: Given,
) -> Outcome:
    """Cancel workflows: their running jobs are stopped, and no further job starts.

    Parameters
    ----------
    workflow
        Ids, ranges such as `10-20`, or `last`.
    yes
        Do not ask.
    reason
        Why, for the record.
    wait
        Come back only when no process of it runs any more.
    keep_allocations
        Leave allocations of a batch system that are running to end by themselves; queued ones are called off anyway.
    """
    refuse_csv(session)
    chosen = workflows(session, workflow)
    store = session.store()
    open_ones = []
    allocated = set()
    for totals in store.totals(chosen):
        if not totals.complete:
            open_ones.append(totals.workflow.id)
            if totals.pending_allocations or totals.active_allocations:
                allocated.add(totals.workflow.id)
        elif len(chosen) == 1:
            raise Conflict(f"workflow {totals.workflow.id} is {state(totals)}; there is nothing to cancel")
        else:
            session.warn(f"workflow {totals.workflow.id} is {state(totals)}; there is nothing to cancel")
    if not open_ones:
        raise Conflict("all of these workflows are complete; there is nothing to cancel")
    if session.interactive:
        confirm(session, f"Cancel {named(open_ones)}?", yes)
    canceled = 0
    errors: list[Json] = []
    numbers: list[str] = []
    for number in open_ones:
        try:
            canceled += store.cancel(number, reason).moved.get(JobStatus.CANCELED.label, 0)
        except TorcError as error:
            if len(open_ones) == 1:
                raise
            errors.append({"workflow_id": number, "message": str(error)})
        if number in allocated:
            off = withdrawn(session, number, running=not keep_allocations, reason=reason or "canceled")
            numbers += off.numbers
            errors += [{"workflow_id": number, "message": text} for text in off.errors]
    if wait:
        for number in open_ones:
            wait_until_nothing_runs(session, store, number)
    extra: dict[str, Json] = {
        "canceled_jobs": canceled,
        "canceled_slurm_jobs": list(numbers),
        "errors": errors,
    }
    parts = [f"{amount(canceled, 'job')} stopped"]
    if numbers:
        parts.append(f"{amount(len(numbers), 'allocation')} called off")
    if len(open_ones) > 1:
        extra["workflow_ids"] = list(open_ones)
    return Outcome(
        message=f"Canceled {named(open_ones)} ({', '.join(parts)})",
        workflow_id=open_ones[0] if len(open_ones) == 1 else None,
        extra=extra,
        status="partial_success" if errors else "success",
        hint=str(errors[0]["message"]) if errors and isinstance(errors[0], dict) else None,
        exit_code=1 if errors else 0,
    )


def withdrawn(session: Session, workflow: WorkflowId, *, running: bool, reason: str) -> Withdrawn:
    """Call off the allocations of a canceled workflow, as far as their batch systems can be asked from here."""
    from torc_core.protocols import Withdrawn

    batches = session.batches()
    if not batches:
        sentence = f"no batch system is on this host to call off the allocations of workflow {workflow}"
        return Withdrawn(errors=[f"{sentence}; call them off where they were submitted, with 'torc cancel'"])
    every = [batch.withdraw(workflow, running=running, reason=reason) for batch in batches]
    return Withdrawn(
        numbers=[number for one in every for number in one.numbers],
        errors=[error for one in every for error in one.errors],
    )


def wait_until_nothing_runs(session: Session, store: Store, workflow: WorkflowId) -> None:
    """Come back when every runner of a workflow has left or is known to be dead."""
    from torc_terminal.processes import alive_nodes

    pause = threading.Event()
    while alive_nodes(store, workflow):
        pause.wait(LOOK_SECONDS)


def named(numbers: list[WorkflowId]) -> str:
    """`workflow 3`, or `workflows 3, 4`."""
    return f"workflow{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
