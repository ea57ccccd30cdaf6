"""Follows a workflow after its workers were started, until it is complete (`torc remote run --wait`)."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import cast

from torc_core.errors import TimedOut
from torc_core.model import WorkflowId
from torc_core.session import Session
from torc_terminal.durations import seconds_of
from torc_terminal.output.answer import Report
from torc_terminal.patience import Looking
from torc_terminal.progress import ProgressView
from torc_terminal.standing import counted, outcome_code, status_json

LOOK = 1.0


def followed(session: Session, report: Report, timeout: str | None) -> Report:
    """Wait; the report, with the outcome of the workflow.

    Raises
    ------
    TimedOut
        If the time is over.
    Unavailable
        If the store stays away.
    """
    number = WorkflowId(cast("int", report.data["workflow_id"]))
    end = None if timeout is None else session.clock.monotonic() + seconds_of(timeout, "--timeout")
    session.note(str(report.text))
    pause = threading.Event()
    looking = Looking(session, number)
    with ProgressView(
        lambda: looking.totals,
        session.clock,
        live=session.progress,
        plain=not session.quiet,
    ):
        while True:
            totals = looking.look()
            if totals.complete or totals.workflow.is_canceled:
                break
            if end is not None and session.clock.monotonic() >= end:
                raise TimedOut(f"workflow {number} is not complete after {timeout}; its workers go on")
            pause.wait(LOOK)
    data = {**report.data, "workflow": status_json(totals)}
    return replace(report, data=data, text=counted(totals), exit_code=outcome_code(totals, unfinished=1))
