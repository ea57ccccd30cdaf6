"""Long operations (`wire.md` §3.2)."""

from __future__ import annotations

from torc_core.model import Operation, WorkflowId
from torc_http.call import Call
from torc_http.published.nouns import there
from torc_http.routes import Route
from torc_http.wire.plans import writer
from torc_http.wire.workflows import ActiveTask, TaskModel


def get(call: Call) -> object:
    """One operation."""
    return writer(TaskModel)(call.store.get(Operation, call.id))


def active(call: Call) -> object:
    """The queued or running operation of a workflow, or null."""
    there(call, call.id)
    found = call.store.active_operation(WorkflowId(call.id))
    return {"task": None if found is None else writer(TaskModel)(found)}


ROUTES = (
    Route(
        method="GET", path="/tasks/{id}", operation_id="get_task", access="read", group="tasks", of=Operation,
        handler=get, answer=TaskModel(), statuses=(404, 500), since="0.21.0", summary="Show a long operation.",
    ),
    Route(
        method="GET", path="/workflows/{id}/active_task", operation_id="get_active_task_for_workflow", access="read",
        group="workflows", handler=active, answer=ActiveTask(), statuses=(404, 500), since="0.21.0",
        summary="Show the operation that runs on a workflow.",
    ),
)  # fmt: skip
