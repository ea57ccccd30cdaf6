"""Runners as published clients register them (`wire.md` §3.11)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.errors import BadValue, Invalid
from torc_core.model import Node, NodeId, Resources, Usage
from torc_core.model.resources import duration_seconds
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, same_place, spread, together_with
from torc_http.routes import Route
from torc_http.wire.durations import iso_duration
from torc_http.wire.fields import Flag, Id, Plain, Text
from torc_http.wire.nodes import ComputeNodeModel
from torc_http.wire.plans import writer


def shown(call: Call, records: Sequence[Node]) -> Sequence[Plain]:
    """Runners as bodies; the time limit as ISO 8601."""
    write = writer(ComputeNodeModel)
    bodies = [write(one) for one in records]
    for body in bodies:
        if "time_limit" in body:
            body["time_limit"] = iso_duration(body["time_limit"])
    return bodies


NOUN = Noun(
    kind=Node, schema=ComputeNodeModel, path="/compute_nodes", group="compute_nodes", access="run", show=shown,
    filters={
        "hostname": (Text(), "hostname"), "is_active": (Flag(), "is_active"),
        "scheduled_compute_node_id": (Id(), "allocation_id"),
    },
)  # fmt: skip

KEYS = ("id", "workflow_id")
PLAIN = (
    "hostname",
    "pid",
    "type",
    "label",
    "num_nodes",
    "scheduler",
    "scheduler_id",
    "start_time",
    "duration_seconds",
)


def create(call: Call) -> object:
    """Register a runner that never beats; the same place and start again is the same runner."""
    body = call.body
    place = f"{body['workflow_id']}/{body['hostname']}/{body['pid']}/{body['start_time']}"
    node = Node(
        id=NodeId(0),
        workflow_id=body["workflow_id"],
        epoch=f"wire-{hashlib.sha256(place.encode()).hexdigest()[:32]}",
        hostname=body["hostname"],
        pid=body["pid"],
        boot_id="",
        process_start=0,
        capacity=Resources(**spread(body, "capacity")),
        num_nodes=body["num_nodes"],
        type=body["type"],
        label=body.get("label") or None,
        scheduler_id=body.get("scheduler_id"),
        time_limit=_seconds(body),
        is_active=body.get("is_active", True),
        start_time=body["start_time"],
        beats=False,
        scheduler=body.get("scheduler"),
        duration_seconds=body.get("duration_seconds"),
        usage=Usage(**spread(body, "usage")),
    )
    return NOUN.one(call, call.store.add([node])[0])


def _seconds(body: Mapping[str, Any]) -> int | None:
    text = body.get("time_limit")
    if not text:
        return None
    try:
        return duration_seconds(text)
    except BadValue as error:
        raise Invalid(f"time_limit: {error}", details={"field": "time_limit", "value": text}) from None


def update(call: Call) -> object:
    """Change a runner; null keeps. One that becomes inactive is closed."""
    body = call.body
    with call.together():
        stored = call.store.get(Node, call.id)
        same_place(call, stored, body, *KEYS)
        fields: dict[str, Any] = {name: body[name] for name in PLAIN if name in body}
        if body.get("time_limit"):
            fields["time_limit"] = _seconds(body)
        for part in ("capacity", "usage"):
            given = spread(body, part)
            if given:
                before = getattr(stored, part)
                fields[part] = type(before)(**together_with(before, given))
        closes = stored.is_active and body.get("is_active") is False
        if body.get("is_active") and not stored.is_active:
            fields["is_active"] = True
        if stored.beats:
            # What a runner of ours says of itself over its own calls is not changed from here.
            fields.pop("start_time", None)
        node = call.store.change(
            Node, call.id, {name: value for name, value in fields.items() if value is not None}
        )
        if closes:
            node = call.store.close_node(NodeId(call.id))
    return NOUN.one(call, node)


ROUTES = (
    Route(
        method="POST", path="/compute_nodes", operation_id="create_compute_node", access="run", group="compute_nodes",
        handler=create, body=ComputeNodeModel(), answer=ComputeNodeModel(), statuses=ERRORS,
        summary="Register a runner.",
    ),
    Route(
        method="PUT", path="/compute_nodes/{id}", operation_id="update_compute_node", access="run",
        group="compute_nodes", of=Node, handler=update, body=ComputeNodeModel(), answer=ComputeNodeModel(),
        statuses=ERRORS, summary="Change a runner; null keeps.",
    ),
    *NOUN.routes(
        get="get_compute_node", remove="delete_compute_node", list="list_compute_nodes", remove_all="delete_compute_nodes"
    ),
)  # fmt: skip
