"""Allocations of a batch system, told by those who ask for them (`wire.md` X10)."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema

from torc_core.model import Allocation, AllocationId, SchedulerId, Workflow, WorkflowId
from torc_http.call import Call
from torc_http.published.allocations import NOUN
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Id, Int, Matching, Text
from torc_http.wire.nodes import AllocationModel
from torc_http.wire.turns import KEY
from torc_http.x.actions import intents

GROUP = "x"
MOST = 10_000


class Intents(Schema):
    """How many allocations are wanted, each of so many nodes."""

    request_id = Matching(KEY, required=True)
    scheduler_config_id = Id(required=True)
    count = Int(minimum=1, maximum=MOST, required=True)
    nodes = Int(minimum=1, maximum=MOST, required=True)


class Submitted(Schema):
    """How the batch system calls it."""

    submission_key = Text(empty=False, required=True)
    slurm_job_id = Text(empty=False, required=True)


class Refused(Schema):
    """What the batch system said."""

    message = Text(required=True)


class Withdrawn(Schema):
    """Why it was called off."""

    reason = Text(required=True)


class Over(Schema):
    """How it ended, and who says so."""

    state = Text(empty=False, required=True)
    evidence = Text(required=True)


def intend(call: Call) -> object:
    """Write intents; the same request again gives the same ones."""
    body = call.body
    found = call.store.intend(
        WorkflowId(call.id), body["request_id"], SchedulerId(body["scheduler_config_id"]), body["count"], body["nodes"]
    )  # fmt: skip
    return {"allocations": intents(found)}


def submitted(call: Call) -> object:
    """The batch system has taken it."""
    one = call.store.submitted(AllocationId(call.id), call.body["submission_key"], call.body["slurm_job_id"])
    return NOUN.one(call, one)


def refused(call: Call) -> object:
    """The batch system does not want it."""
    return NOUN.one(call, call.store.refused(AllocationId(call.id), call.body["message"]))


def withdrawn(call: Call) -> object:
    """It was called off before it ran."""
    return NOUN.one(call, call.store.withdrawn(AllocationId(call.id), call.body["reason"]))


def ended(call: Call) -> object:
    """It is over: proof of death for its nodes."""
    one = call.store.allocation_ended(AllocationId(call.id), call.body["state"], call.body["evidence"])
    return NOUN.one(call, one)


def _route(name: str, handler: Any, body: Any, summary: str) -> Route:
    return Route(
        method="POST", path=f"/x/allocations/{{id}}/{name}", operation_id=f"allocation_{name}", access="run",
        group=GROUP, of=Allocation, handler=handler, body=body, answer=AllocationModel(), statuses=(403, 404, 409, 422),
        x=True, summary=summary,
    )  # fmt: skip


ROUTES = (
    Route(
        method="POST", path="/x/workflows/{id}/allocations", operation_id="intend_allocations", access="run",
        group=GROUP, of=Workflow, handler=intend, body=Intents(), answer=Anything(), statuses=(403, 404, 422), x=True,
        summary="Write down that allocations are wanted.",
    ),
    _route("submitted", submitted, Submitted(), "The batch system has taken an allocation."),
    _route("refused", refused, Refused(), "The batch system does not want an allocation."),
    _route("withdrawn", withdrawn, Withdrawn(), "An allocation was called off."),
    _route("ended", ended, Over(), "An allocation is over."),
)  # fmt: skip
