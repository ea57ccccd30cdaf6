"""Hosts on which runners are started over SSH (`wire.md` §3.16)."""

from __future__ import annotations

from torc_core.errors import NotFound
from torc_core.model import Query, RemoteWorker, WorkflowId
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, there
from torc_http.routes import Route
from torc_http.wire.fields import ListOf, Parts, Plain, Text
from torc_http.wire.records import RemoteWorkerModel


def _body(one: RemoteWorker) -> Plain:
    return {"worker": one.worker, "workflow_id": one.workflow_id}


def create(call: Call) -> object:
    """Add addresses; one that is there already is no harm."""
    there(call, call.id)
    with call.together():
        known = _all(call)
        new = [worker for worker in dict.fromkeys(call.body) if worker not in known]
        call.store.add([RemoteWorker(workflow_id=WorkflowId(call.id), worker=worker) for worker in new])
    return [{"worker": worker, "workflow_id": call.id} for worker in call.body]


def _all(call: Call) -> dict[str, RemoteWorker]:
    found = call.store.find(RemoteWorker, Query(workflow=WorkflowId(call.id), sort="worker"))
    return {one.worker: one for one in found.items}


def list_(call: Call) -> object:
    """All addresses, in their order."""
    there(call, call.id)
    return [_body(one) for one in _all(call).values()]


def remove(call: Call) -> object:
    """Remove an address."""
    there(call, call.id)
    with call.together():
        found = _all(call).get(call.ids["worker"])
        if found is None:
            raise NotFound(f"workflow {call.id} has no remote worker '{call.ids['worker']}'")
        call.store.remove(RemoteWorker, [found.id])
    return _body(found)


ROUTES = (
    Route(
        method="POST", path="/workflows/{id}/remote_workers", operation_id="create_remote_workers", access="operate",
        group="remote_workers", handler=create, body=ListOf(Text(), most=10_000), answer=Parts(RemoteWorkerModel),
        statuses=(403, 404, 422, 500), summary="Add addresses of remote workers.",
    ),
    Route(
        method="GET", path="/workflows/{id}/remote_workers", operation_id="list_remote_workers", access="read",
        group="remote_workers", handler=list_, answer=Parts(RemoteWorkerModel), statuses=ERRORS,
        summary="List the remote workers of a workflow.",
    ),
    Route(
        method="DELETE", path="/workflows/{id}/remote_workers/{worker}", operation_id="delete_remote_worker",
        access="operate", group="remote_workers", handler=remove, answer=RemoteWorkerModel(), statuses=ERRORS,
        summary="Remove a remote worker.",
    ),
)  # fmt: skip
