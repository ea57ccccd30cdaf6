"""Events with resume: as a stream, and as JSON for tools without one (`wire.md` §7.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, cast

from marshmallow import Schema

from torc_core.model import Severity, Workflow, WorkflowId
from torc_core.store.guarded import guarded
from torc_http.call import Answer, Call
from torc_http.errors import Refused
from torc_http.hub.streams import Readable, Streams, Wish, events_after, piece
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Choice, Int, Text

if TYPE_CHECKING:
    from torc_core.store.principal import Principal

LONGEST_WAIT = 20_000
BUFFER = 256 * 1024


class StreamQuery(Schema):
    """Where to begin, and what to leave out."""

    after = Int(minimum=0)
    level = Choice(*[one.value for one in Severity], load_default="info")
    types = Text()


class EventsQuery(Schema):
    """A piece of what happened."""

    after = Int(minimum=0, load_default=0)
    limit = Int(minimum=1, maximum=10_000, load_default=1_000)
    wait_ms = Int(minimum=0, maximum=LONGEST_WAIT, load_default=0)


class _Sink:
    """A stream of the transport, with its room."""

    def __init__(self) -> None:
        self._stream: Any = None

    def goes_to(self, stream: Any) -> None:
        """Where pieces go."""
        self._stream = stream

    def send(self, piece: bytes) -> bool:
        return bool(self._stream.send(piece))

    def room(self) -> int:
        return BUFFER - int(self._stream.unsent)

    def close(self) -> None:
        self._stream.close()


def stream(call: Call) -> Answer:
    """Tell everything after a number, and then what happens."""
    streams: Streams | None = (call.service.parts or {}).get("streams")
    hold = call.environ.get("torc.hold")
    if streams is None or hold is None:
        raise Refused(503, "this server has no event streams; ask for the events as JSON instead")
    workflow = WorkflowId(call.id) if "id" in call.ids else None
    if workflow is not None:
        call.store.totals([workflow])
    query = call.query
    after = _resume(call.environ.get("HTTP_LAST_EVENT_ID"), query.get("after"))
    types = frozenset(filter(None, str(query.get("types", "")).split(",")))
    wish = Wish(workflow=workflow, level=Severity(query["level"]), types=types, readable=_readable(call))
    sink = _Sink()
    given = hold.stream(user=call.identity, on_gone=lambda gone: streams.leave(sink))
    if given is None:
        raise Refused(503, "too many event streams are open; close one, or try again later")
    sink.goes_to(given)
    try:
        streams.add(wish, sink, after)
    except BaseException:
        given.close()  # nobody would ever tell this reader anything
        raise
    return Answer(raw=b"", content_type="text/event-stream")


def _readable(call: Call) -> Callable[[WorkflowId], bool]:
    """Whether the caller may know of a workflow, at whatever moment an event of it comes."""
    who = call.principal
    if who.is_admin:
        return lambda workflow: True
    store = call.service.store

    def look() -> Collection[WorkflowId] | None:
        # NOTE: a fresh guard each time: one remembers for its whole life what its principal may do.
        return guarded(store, cast("Principal", who)).readable(who.name)

    return Readable(store, look, call.clock.monotonic)


def _resume(header: str | None, after: int | None) -> int | None:
    """Where a reader goes on: what its browser remembers is newer than what its address says."""
    if header is not None and header.isascii() and header.isdigit() and len(header) < 19:
        return int(header)
    return after


def events(call: Call) -> Any:
    """The next events of a workflow as JSON; with `wait_ms`, held until there is one."""
    workflow, after, limit = WorkflowId(call.id), call.query["after"], call.query["limit"]
    call.store.totals([workflow])
    found = events_after(call.store, workflow, after, limit)
    streams: Streams | None = (call.service.parts or {}).get("streams")
    hold = call.environ.get("torc.hold")
    seconds = call.query["wait_ms"] / 1000
    if found.items or not seconds or streams is None or hold is None:
        return piece(found.items, after)
    if streams.hold(workflow, after, limit, seconds, hold.later):
        return Answer(raw=b"")
    return piece(found.items, after)


ROUTES = (
    Route(
        method="GET", path="/workflows/{id}/events/stream", operation_id="stream_workflow_events", access="read",
        group="events", of=Workflow, handler=stream, query=StreamQuery, x=True,
        summary="The events of a workflow as they happen, with resume.",
    ),
    Route(
        method="GET", path="/x/events/stream", operation_id="stream_events", access="read", group="events",
        handler=stream, query=StreamQuery, x=True, summary="The events of all workflows that you may read.",
    ),
    Route(
        method="GET", path="/x/workflows/{id}/events", operation_id="read_events", of=Workflow, access="read", group="events",
        handler=events, query=EventsQuery, answer=Anything(), x=True, summary="The next events of a workflow as JSON.",
    ),
)  # fmt: skip
