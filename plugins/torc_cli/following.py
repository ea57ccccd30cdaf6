"""Waits for the events of a workflow and hands them on as they are committed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import IO

from torc_cli.output.records import Item, event_item
from torc_core.errors import Unavailable, UsageError
from torc_core.model import Event, Query, Value, Workflow, WorkflowId
from torc_core.session import Session

AT_ONCE = 1_000
"""Events asked for in one go."""

PATIENCE = 60.0
"""Seconds that the store may be away."""


def follow(
    session: Session,
    workflow: WorkflowId,
    *,
    after: int,
    where: Mapping[str, Value | tuple[Value, ...]],
    seconds: float | None,
    pause: float,
    filename: str | None,
) -> Iterator[Item]:
    """Yield events with a higher sequence number than `after`, old ones first, then new ones as they come.

    Between two looks the store is closed: on an embedded one other programs have to get at it too.

    Ends when the time is over or the workflow is deleted. Each event comes exactly once, in commit order.

    Parameters
    ----------
    seconds
        When to stop; None: never.
    pause
        Seconds between two looks while nothing happens.
    filename
        Where to append them as JSON Lines, each before it is yielded.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    end = None if seconds is None else session.clock.monotonic() + seconds
    with ExitStack() as stack:
        copy = None if filename is None else stack.enter_context(_appended(filename))
        while True:
            found, gone = _look(session, Query(workflow=workflow, where=where, above=after, limit=AT_ONCE))
            for event in found:
                after = event.id
                item = event_item(event)
                if copy is not None:
                    copy.write(json.dumps(item, ensure_ascii=False, default=dict) + "\n")
                    copy.flush()
                yield item
            if len(found) == AT_ONCE:
                continue
            left = None if end is None else end - session.clock.monotonic()
            if (left is not None and left <= 0) or gone:
                return
            time.sleep(pause if left is None else min(pause, left))


def _look(session: Session, query: Query) -> tuple[Sequence[Event], bool]:
    """The events that there are, and whether the workflow is gone; a store may be away for a while.

    Raises
    ------
    Unavailable
        If it is away for longer than a minute.
    """
    patience = session.clock.monotonic() + PATIENCE
    while True:
        try:
            store = session.store()
            found = store.find(Event, query).items
            gone = not found and not store.find(Workflow, Query(where={"id": query.workflow}, limit=1)).items
        except Unavailable:
            if session.clock.monotonic() >= patience:
                raise
            time.sleep(1)
        else:
            return found, gone
        finally:
            session.close()


def _appended(filename: str) -> IO[str]:
    try:
        return open(filename, "a", encoding="utf-8")  # the caller's stack closes it
    except OSError as error:
        raise UsageError(f"cannot write '{filename}': {(error.strerror or 'error').lower()}") from error
