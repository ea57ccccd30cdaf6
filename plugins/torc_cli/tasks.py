"""`torc tasks`: long operations that a server carries out by itself."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import App, Parameter

from torc_core.engine.operations import ACTIVE
from torc_core.errors import BadValue, TimedOut
from torc_core.given import Given
from torc_core.model import Operation, OperationId, OperationStatus
from torc_core.protocols import Embedded
from torc_core.session import Session
from torc_terminal.output.answer import Record, refuse_csv
from torc_terminal.output.records import task_item

app = App(name="tasks", help="Long operations that a server carries out by itself.")

FIRST_PAUSE = 0.1
"""Seconds between the first two looks; they double up to `--poll-fallback-interval`."""


@app.command
def wait(
    id: int,
    /,
    *,
    timeout: Annotated[float | None, Parameter(name="--timeout")] = None,
    poll_fallback_interval: Annotated[float, Parameter(name="--poll-fallback-interval")] = 10.0,
    session: Given,
) -> Record:
    """Wait until a task has ended: exit code 0 if it succeeded, 1 if it failed, 124 when the time is over.

    Parameters
    ----------
    id
        Id of the task.
    timeout
        Wait at most so many seconds.
    poll_fallback_interval
        Longest time between two looks, in seconds.
    """
    refuse_csv(session)
    if poll_fallback_interval <= 0 or (timeout is not None and timeout < 0):
        raise BadValue("--timeout and --poll-fallback-interval must not be negative")
    until = None if timeout is None else session.clock.monotonic() + timeout
    pause = FIRST_PAUSE
    while (task := _look(session, OperationId(id))).status in ACTIVE:
        left = None if until is None else until - session.clock.monotonic()
        if left is not None and left <= 0:
            raise TimedOut(f"task {id} ({task.name}) is still {task.status} after {timeout:g} s")
        session.close()  # between two looks the store belongs to others
        time.sleep(pause if left is None else min(pause, left))
        pause = min(2 * pause, poll_fallback_interval)
    return Record(
        schema="torc.tasks.wait/1", data=task_item(task), exit_code=int(task.status is OperationStatus.FAILED)
    )


def _look(session: Session, id: OperationId) -> Operation:
    """The task as it is now; in a store of our own nobody else would carry it out."""
    store = session.store()
    task = store.get(Operation, id)
    return store.carry_out(id) if task.status in ACTIVE and isinstance(store, Embedded) else task
