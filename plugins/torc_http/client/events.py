"""Events of a server as they happen: a stream where it has one, else questions that it holds until there is an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from torc_core.errors import Invalid, NotFound, TorcError, Unavailable, Unreached
from torc_core.model import Event, EventId, Severity, WorkflowId
from torc_core.record import record

if TYPE_CHECKING:
    from torc_http.client.store import HttpStore

SILENCE = 45.0
"""Seconds without a byte after which a stream is dead; the server says something every 15 (OB26)."""

HELD = 15.0
"""Seconds that a question for events is held where there is no stream."""

LEVELS = tuple(Severity)


@record(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be told, and for how long: `left` says how many seconds are left."""

    workflow: WorkflowId
    after: int
    level: Severity
    types: Collection[str]
    left: Callable[[], float]

    def wants(self, event: Event) -> bool:
        """Whether an event is to be told."""
        enough = LEVELS.index(event.severity) >= LEVELS.index(self.level)
        return enough and (not self.types or event.category in self.types)


def followed(store: HttpStore, wish: Wish) -> Iterator[Event | None]:
    """As `Distant.follow`: from the stream; where there is none, or none that is free, by asking again and again."""
    query: dict[str, str | int] = {"after": wish.after, "level": wish.level.value}
    if wish.types:
        query["types"] = ",".join(wish.types)
    with ExitStack() as stack:
        line: Callable[[float], str] | None = None
        try:
            path = f"/workflows/{wish.workflow}/events/stream?{urlencode(query)}"
            line = stack.enter_context(store.stream(path))
        except Unreached:
            raise
        except (NotFound, Invalid, Unavailable):
            line = None
        yield from _told(wish, line) if line is not None else _asked(store, wish)


def counting_down(seconds: float | None) -> Callable[[], float]:
    """How many seconds are left of so many from now on; None: never fewer than enough."""
    if seconds is None:
        return lambda: SILENCE
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def _told(wish: Wish, line: Callable[[float], str]) -> Iterator[Event | None]:
    """The frames of a stream; torc's servers put the data of each into one line."""
    while (patience := wish.left()) > 0:
        try:
            text = line(min(patience, SILENCE))
        except TimeoutError as silent:
            if wish.left() <= 0:
                return
            raise Unavailable("the server says nothing any more") from silent
        if not text:
            raise Unavailable("the server has ended the stream of events")
        if text.startswith(":"):
            yield None
        elif text.startswith("data:") and "event_type" in (told := json.loads(text.removeprefix("data:"))):
            yield event_of(told)


def _asked(store: HttpStore, wish: Wish) -> Iterator[Event | None]:
    after = wish.after
    while (left := wish.left()) > 0:
        wait = min(left, HELD)
        query = urlencode({"after": after, "wait_ms": int(wait * 1000)})
        answer = store.ask(
            "GET", f"/x/workflows/{wish.workflow}/events?{query}", b"", patience=wait + SILENCE
        )
        found = json.loads(answer.body)
        after = found["after"]
        yield from filter(wish.wants, map(event_of, found["events"]))
        if not found["events"]:
            yield None


def event_of(told: Any) -> Event:
    """An event as servers tell it.

    Raises
    ------
    TorcError
        If it is none.
    """
    try:
        return Event(
            id=EventId(told["seq"]),
            workflow_id=WorkflowId(told["workflow_id"]),
            timestamp=told["timestamp"],
            category=told["event_type"],
            severity=Severity(told["severity"]),
            data=told["data"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TorcError(f"the server told an event that makes no sense: {error}") from error
