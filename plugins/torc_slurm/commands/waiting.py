"""Waits for the end of a workflow that was submitted, and does meanwhile what is due."""

from __future__ import annotations

import threading

from torc_core.errors import TimedOut, Unavailable
from torc_core.model import Totals, WorkflowId
from torc_core.session import Session
from torc_slurm.batch import SlurmBatch
from torc_terminal.output.answer import Report
from torc_terminal.patience import Looking
from torc_terminal.serving import served
from torc_terminal.standing import counted, heading, outcome_code, status_json

LOOK = 2.0
"""Seconds between two looks."""
TEND = 60.0
"""Seconds between two rounds of care for what is due."""


def waited(session: Session, workflow: int, limit: float | None) -> Report:
    """Come back when a workflow is complete.

    Raises
    ------
    TimedOut
        If that takes longer than `limit` seconds.
    Unavailable
        If the store stays away.
    """
    number = WorkflowId(workflow)
    url = served(session).url
    looking = Looking(session, number)
    begun = tended = session.clock.monotonic()
    pause = threading.Event()
    while True:
        totals = looking.look()
        now = session.clock.monotonic()
        if totals.complete:
            return answer(totals)
        if limit is not None and now - begun >= limit:
            raise TimedOut(
                f"workflow {workflow} is not complete after {limit:.0f} s; it goes on: torc status {workflow}"
            )
        if now - tended >= TEND:
            tended = now
            try:
                batch = SlurmBatch(session.store(), session.config, session.clock, url)
                batch.sync(number)
                batch.tend(number)
            except Unavailable as error:
                session.warn(str(error))
        pause.wait(LOOK)


def answer(totals: Totals) -> Report:
    """How the workflow ended."""
    return Report(
        schema="torc.submit.wait/1",
        data=status_json(totals),
        text=f"{heading(totals)}\n{counted(totals)}",
        exit_code=outcome_code(totals, unfinished=1),
    )
