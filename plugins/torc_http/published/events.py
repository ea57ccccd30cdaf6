"""Events (`wire.md` §3.17)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.engine.telling import category_of, ours
from torc_core.model import Event
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, there
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Int, Plain, Text
from torc_http.wire.lists import OfWorkflow, asked, page_of
from torc_http.wire.records import EventModel


class Asked(OfWorkflow):
    """Which events."""

    category = Text()
    after_timestamp = Int()


def shown(call: Call, records: Sequence[Event]) -> Sequence[Plain]:
    """Events as bodies; those of clients carry what was sent, ours also the category."""
    return [
        {
            "id": one.id, "workflow_id": one.workflow_id, "timestamp": one.timestamp, "severity": one.severity.value,
            "data": {"category": one.category, **one.data} if ours(one.category) else one.data,
        }
        for one in records
    ]  # fmt: skip


NOUN = Noun(
    access_to_all="own",
    kind=Event, schema=EventModel, path="/events", group="events", show=shown, wordy=True,
    kept=lambda one: ours(one.category),
)  # fmt: skip


def create(call: Call) -> object:
    """Write an event; the server sets its time."""
    data = call.body.get("data")
    event = Event(workflow_id=call.body["workflow_id"], category=category_of(data), data=data)
    return NOUN.one(call, call.store.add([event])[0])


def update(call: Call) -> object:
    """Give an event of a client other data: the body, whatever it is."""
    return NOUN.one(call, call.store.change(Event, call.id, {"data": call.body}))


def list_(call: Call) -> object:
    """A page of the events of a workflow."""
    from dataclasses import replace

    query = call.query
    there(call, query["workflow_id"])
    wanted = asked(Event, EventModel, query, query["workflow_id"], {"category": query.get("category")})
    if "after_timestamp" in query:
        wanted = replace(wanted, since=query["after_timestamp"] + 1)
    found = call.store.find(Event, wanted)
    return page_of(found, NOUN.shown(call, found.items), query)


ROUTES = (
    Route(
        method="POST", path="/events", operation_id="create_event", access="edit", group="events", handler=create,
        body=EventModel(), answer=EventModel(), statuses=ERRORS, summary="Write an event.",
    ),
    Route(
        method="GET", path="/events", operation_id="list_events", access="read", group="events", handler=list_,
        query=Asked, answer=NOUN.answer(), statuses=ERRORS, summary="List the events of a workflow.",
    ),
    Route(
        method="PUT", path="/events/{id}", operation_id="update_event", access="edit", group="events", of=Event,
        handler=update, body=Anything(), answer=EventModel(), statuses=ERRORS,
        summary="Give an event of a client other data.",
    ),
    *NOUN.routes(get="get_event", remove="delete_event", remove_all="delete_events"),
)  # fmt: skip
