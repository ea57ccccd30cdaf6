"""Allocations, which the wire calls scheduled compute nodes (`wire.md` §3.12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.errors import Invalid
from torc_core.model import Allocation, AllocationStatus
from torc_core.model.allocation import shown as as_known
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, same_place, there
from torc_http.routes import Route
from torc_http.wire.fields import WHOLE, Plain, Text
from torc_http.wire.lists import OfWorkflow, asked, page_of
from torc_http.wire.nodes import AllocationModel
from torc_http.wire.plans import writer

ORDER = ("pending", "active", "complete")
"""How an allocation goes; from each of the first two it may also be canceled."""

SPELLINGS: Mapping[str, Sequence[AllocationStatus]] = {
    "pending": (AllocationStatus.INTENDED, AllocationStatus.PENDING),
    "active": (AllocationStatus.ACTIVE,),
    "complete": (AllocationStatus.COMPLETE,),
    "canceled": (AllocationStatus.CANCELED, AllocationStatus.FAILED),
}
"""What published clients call the statuses."""


class Asked(OfWorkflow):
    """Which allocations; clients send all three as text."""

    scheduler_id = Text()
    scheduler_config_id = Text()
    status = Text()


def shown(call: Call, records: Sequence[Allocation]) -> Sequence[Plain]:
    """Allocations as bodies; a number of the batch system that is none is shown as 0."""
    write = writer(AllocationModel)
    bodies = []
    for one in records:
        body = write(one)
        number = one.scheduler_id or "0"
        body["scheduler_id"] = int(number) if WHOLE.fullmatch(number) else 0
        body["status"] = as_known(one.status)
        bodies.append(body)
    return bodies


NOUN = Noun(
    kind=Allocation, schema=AllocationModel, path="/scheduled_compute_nodes", group="scheduled_compute_nodes",
    access="run", show=shown,
)  # fmt: skip


def create(call: Call) -> object:
    """Record an allocation; the same number of the batch system again is the same one."""
    body = call.body
    allocation = Allocation(
        workflow_id=body["workflow_id"],
        scheduler_config_id=body["scheduler_config_id"] or None,
        scheduler_type=body["scheduler_type"],
        scheduler_id=str(body["scheduler_id"]),
        status=AllocationStatus(body["status"]),
        submission_key=call.clock.uuid(),
    )
    return NOUN.one(call, call.store.add([allocation])[0])


def list_(call: Call) -> object:
    """A page of the allocations of a workflow."""
    query = call.query
    there(call, query["workflow_id"])
    where: dict[str, Any] = {"scheduler_id": query.get("scheduler_id")}
    if "scheduler_config_id" in query:
        where["scheduler_config_id"] = _number(query["scheduler_config_id"])
    if "status" in query:
        where["status"] = tuple(one.value for one in _statuses(query["status"]))
    if where["scheduler_id"] is not None:
        where["scheduler_id"] = str(_number(where["scheduler_id"], "scheduler_id"))
    found = call.store.find(
        Allocation, asked(Allocation, AllocationModel, query, query["workflow_id"], where)
    )
    return page_of(found, NOUN.shown(call, found.items), query)


def _number(text: str, name: str = "scheduler_config_id") -> int:
    if not WHOLE.fullmatch(text) or not 0 <= int(text) < 2**63:
        raise Invalid(f"parameter {name}: '{text}' is not a number", details={"field": name, "value": text})
    return int(text)


def _statuses(text: str) -> Sequence[AllocationStatus]:
    if text not in SPELLINGS:
        raise Invalid(
            f"parameter status: '{text}' is not one of {', '.join(SPELLINGS)}",
            details={"field": "status", "value": text},
        )
    return SPELLINGS[text]


def update(call: Call) -> object:
    """Change an allocation; its status only goes forward."""
    body = call.body
    with call.together():
        stored = call.store.get(Allocation, call.id)
        same_place(call, stored, body, "id", "workflow_id", "scheduler_type")
        if body["scheduler_config_id"]:
            same_place(call, stored, body, "scheduler_config_id")
        fields: dict[str, Any] = {}
        before, after = as_known(stored.status), body["status"]
        if after != before:
            if after != "canceled" and (before not in ORDER or ORDER.index(after) < ORDER.index(before)):
                raise _backwards(stored, before, after)
            if before in ("complete", "canceled"):
                raise _backwards(stored, before, after)
            fields["status"] = AllocationStatus(after)
        if body["scheduler_id"] and str(body["scheduler_id"]) != stored.scheduler_id:
            fields["scheduler_id"] = str(body["scheduler_id"])
        if fields:
            stored = call.store.change(Allocation, call.id, fields)
    return NOUN.one(call, stored)


def _backwards(stored: Allocation, before: str, after: str) -> Invalid:
    return Invalid(
        f"scheduled compute node {stored.id} is {before}; it cannot become {after}",
        details={"field": "status", "value": after},
    )


ROUTES = (
    Route(
        method="POST", path="/scheduled_compute_nodes", operation_id="create_scheduled_compute_node", access="run",
        group="scheduled_compute_nodes", handler=create, body=AllocationModel(), answer=AllocationModel(),
        statuses=ERRORS, summary="Record an allocation.",
    ),
    Route(
        method="GET", path="/scheduled_compute_nodes", operation_id="list_scheduled_compute_nodes", access="read",
        group="scheduled_compute_nodes", handler=list_, query=Asked, answer=NOUN.answer(), statuses=ERRORS,
        summary="List the allocations of a workflow.",
    ),
    Route(
        method="PUT", path="/scheduled_compute_nodes/{id}", operation_id="update_scheduled_compute_node", access="run",
        group="scheduled_compute_nodes", of=Allocation, handler=update, body=AllocationModel(),
        answer=AllocationModel(), statuses=ERRORS, summary="Change an allocation; null keeps.",
    ),
    *NOUN.routes(
        get="get_scheduled_compute_node", remove="delete_scheduled_compute_node",
        remove_all="delete_scheduled_compute_nodes",
    ),
)  # fmt: skip
