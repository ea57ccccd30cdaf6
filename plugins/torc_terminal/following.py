"""Waits for the events of a workflow and hands them on as they are committed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import IO

from torc_core.errors import Unavailable, UsageError
from torc_core.model import Event, Query, Severity, Value, Workflow, WorkflowId
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.distance import distant
from torc_terminal.output.records import Item, event_item

AT_ONCE = 1_000
"""Events asked for in one go."""

PATIENCE = 60.0
"""Seconds that the store may be away."""

LEVELS = tuple(Severity)
"""From the least to the most severe."""


@record(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events.

    Parameters
    ----------
    level
        Those that are at least so severe.
    types
        Their categories; none: all.
    """

    level: Severity = Severity.DEBUG
    types: Collection[str] = ()

    @property
    def where(self) -> dict[str, Value | tuple[Value, ...]]:
        """What a store is asked for."""
        where: dict[str, Value | tuple[Value, ...]] = {}
        if self.types:
            where["category"] = tuple(self.types)
        if self.level is not Severity.DEBUG:
            where["severity"] = tuple(one.value for one in LEVELS[LEVELS.index(self.level) :])
        return where


def follow(
    session: Session,
    workflow: WorkflowId,
    *,
    after: int,
    wanted: Wanted,
    seconds: float | None,
    pause: float,
    filename: str | None,
) -> Iterator[Item]:
    """Yield events with a higher sequence number than `after`, old ones first, then new ones as they come.

    A server tells them by itself. An embedded store is looked at again and again, and closed between two looks: other
    programs have to get at it too. Ends when the time is over or the workflow is deleted. Each event comes exactly
    once, in commit order, whether or not the store was away in between.

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

    def left() -> float | None:
        return None if end is None else end - session.clock.monotonic()

    with ExitStack() as stack:
        copy = None if filename is None else stack.enter_context(_appended(filename))
        for event in _every(session, workflow, after, wanted, left, pause):
            item = event_item(event)
            if copy is not None:
                copy.write(json.dumps(item, ensure_ascii=False, default=dict) + "\n")
                copy.flush()
            yield item


def _every(
    session: Session,
    workflow: WorkflowId,
    after: int,
    wanted: Wanted,
    left: Callable[[], float | None],
    pause: float,
) -> Iterator[Event]:
    while True:
        found, gone = _look(session, Query(workflow=workflow, where=wanted.where, above=after, limit=AT_ONCE))
        for event in found:
            after = event.id
            yield event
        if len(found) == AT_ONCE:
            continue
        rest = left()
        if (rest is not None and rest <= 0) or gone:
            return
        told = 0
        for event in _told(session, workflow, after, wanted, rest):
            told, after = told + 1, event.id
            yield event
        if not told:
            session.close()
            rest = left()
            time.sleep(pause if rest is None else max(0.0, min(pause, rest)))


def _told(
    session: Session, workflow: WorkflowId, after: int, wanted: Wanted, seconds: float | None
) -> Iterator[Event]:
    """What a server tells by itself, until it goes away, the time is over or the workflow is gone; else nothing."""
    far = distant(session.store())
    if far is None:
        return
    try:
        for event in far.follow(
            workflow, after=after, level=wanted.level, types=wanted.types, seconds=seconds
        ):
            if event is not None:
                yield event
            elif _gone(session, workflow):
                return
    except Unavailable:
        session.close()  # the next look opens it anew, or finds out that it stays away


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
            found = session.store().find(Event, query).items
            gone = not found and query.workflow is not None and _gone(session, query.workflow)
        except Unavailable:
            session.close()
            if session.clock.monotonic() >= patience:
                raise
            time.sleep(1)
        else:
            if distant(session.store()) is None:
                session.close()
            return found, gone


def _gone(session: Session, workflow: WorkflowId) -> bool:
    return not session.store().find(Workflow, Query(where={"id": workflow}, limit=1)).items


def _appended(filename: str) -> IO[str]:
    try:
        return open(filename, "a", encoding="utf-8")  # the caller's stack closes it
    except OSError as error:
        raise UsageError(f"cannot write '{filename}': {(error.strerror or 'error').lower()}") from error
