"""`torc status`: how far a workflow is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import Json, Standing, Totals, WorkflowId
from torc_core.session import Session
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.progress import eta
from torc_terminal.selector import found
from torc_terminal.standing import (
    amount,
    counted,
    failures,
    heading,
    next_step,
    outcome_code,
    status_json,
    times,
)

WATCH_SECONDS = 2.0

STAGES = (
    Column(title="Stage", key="stage"),
    Column(title="Jobs", key="total", right=True),
    Column(title="Done", key="done", right=True),
    Column(title="Running", key="running", right=True),
    Column(title="Failed", key="failed", right=True),
    Column(
        title="Median s", key="median_seconds", right=True, show=lambda item: short(item["median_seconds"])
    ),
)


def status(
    workflow: str | None = None,
    /,
    *,
    by_stage: Flag = False,
    watch: Annotated[list[float] | None, Parameter(consume_multiple=(0, 1), negative="")] = None,
    exit_code: Flag = False,
    session: Given,
) -> Report:
    """Show how far a workflow is.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    by_stage
        Also a line for each group of jobs whose names differ only in their numbers.
    watch
        Show it again every so many seconds (2) until it is complete; on a terminal only.
    exit_code
        Leave with 0: complete and good, 1: complete with failures, 7: canceled, 10: not complete.
    """
    chosen = found(session, workflow).id
    if watch is None:
        return report(session, chosen, by_stage=by_stage, exit_code=exit_code)
    if not session.tty or session.format != "table":
        raise UsageError(
            "--watch draws on a terminal, and stdout is none; leave it out, or use '-f table' there"
        )
    pause = watch[0] if watch else WATCH_SECONDS
    if not 0.1 <= pause <= 86_400:
        raise UsageError(f"--watch '{pause:g}' is not a number of seconds from 0.1 to 86400")
    return watched(session, chosen, pause, by_stage=by_stage, exit_code=exit_code)


def watched(
    session: Session, workflow: WorkflowId, pause: float, *, by_stage: bool, exit_code: bool
) -> Report:
    """Show it again and again until it is complete; the last look is the answer."""
    while True:
        answer = report(session, workflow, by_stage=by_stage, exit_code=exit_code)
        sys.stdout.write("\x1b[H\x1b[2J")
        if answer.data["is_complete"]:
            return answer
        answer.render(session)
        sys.stdout.flush()
        threading.Event().wait(pause)


def report(session: Session, workflow: WorkflowId, *, by_stage: bool, exit_code: bool) -> Report:
    """One look at a workflow."""
    from torc_core.store.standing import additions
    from torc_terminal.processes import place_of

    look = session.store().standing(workflow, by_stage=by_stage)
    # What a killed runner left is still on record; on this host its death can be told at once.
    dead = sum(place_of(node).gone for node in look.nodes)
    totals = replace(look.totals, active_nodes=look.totals.active_nodes - dead)
    look = replace(look, totals=totals)
    now = session.clock.now()
    more = additions(look, now)
    data = {**status_json(totals), **more, "unreachable_compute_nodes": dead + _silent(more)}
    rows: Any = more.get("stages", [])
    return Report(
        schema="torc.status/1",
        data=data,
        text=text(look, dead, now),
        rows=rows,
        columns=STAGES if by_stage else (),
        noun="stages",
        hint=_due(look) or next_step(totals),
        exit_code=outcome_code(totals, unfinished=10) if exit_code else 0,
    )


def _due(look: Standing) -> str | None:
    """What to do where nodes are due and nobody is there who would ask for them; None: nothing of the kind."""
    totals, due = look.totals, look.nodes_due
    if not due or not totals.initialized or totals.active_nodes or totals.workflow.is_archived:
        return None
    number = totals.workflow.id
    return f"nodes are due ({amount(due, 'action')}) and nobody asks for them; on a login node: torc submit {number}"


def _silent(more: Mapping[str, Json]) -> int:
    """Runners that have not been heard of for a while, of other hosts."""
    count = more["unreachable_compute_nodes"]
    return count if isinstance(count, int) else 0


def text(look: Standing, dead: int, now: int) -> str:
    """What people read; `dead` runners never said goodbye."""
    totals = look.totals
    gone = f" ({dead} died)" if dead else ""
    nodes = (
        f"Nodes:     {totals.active_nodes} active{gone}{allocated(totals)}"
        if totals.active_nodes or not totals.complete
        else None
    )
    lines = (
        heading(totals),
        counted(totals),
        nodes,
        times(totals, now),
        expected(look, now),
        failures(totals),
    )
    return "\n".join(line for line in lines if line)


def expected(look: Standing, now: int) -> str | None:
    """When it will have ended, and between which instants in four of five cases; None: nothing is left, or not known."""
    totals, told = look.totals, look.eta
    if totals.complete or not totals.initialized:
        return None
    if told is None:
        nobody = not (totals.active_nodes or totals.pending_allocations or totals.active_allocations)
        return "ETA:       unknown: no live or queued nodes" if nobody else None
    at = datetime.fromtimestamp(now / 1000).astimezone()
    middle, early, late = (eta(at, seconds) for seconds in (told.p50, told.p10, told.p90))
    return f"ETA:       {middle} ({early} to {late})"


def allocated(totals: Totals) -> str:
    """Allocations of a batch system that wait or run, if there are any."""
    queued, running = totals.pending_allocations, totals.active_allocations
    waits = f", {amount(queued, 'allocation')} queued" if queued else ""
    return waits + (f", {amount(running, 'allocation')} running" if running else "")


def short(value: object) -> str:
    """A number of seconds with two decimals."""
    return f"{value:.2f}" if isinstance(value, (int, float)) else ""
