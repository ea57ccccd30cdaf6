"""Workflows: created, listed, shown, changed, deleted (`wire.md` §3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.errors import Forbidden
from torc_core.model import AccessGroup, GroupLink, Plan, PlannedWorkflow, Query, Workflow, WorkflowId
from torc_http.call import Call
from torc_http.routes import Route
from torc_http.wire.fields import Flag, Plain, Text
from torc_http.wire.lists import Sorting, asked, inside, listing, page_of
from torc_http.wire.plans import writer
from torc_http.wire.settings import check_settings
from torc_http.wire.workflows import SETTINGS, WorkflowBody, WorkflowModel

GROUP = "workflows"
ERRORS = (403, 404, 422, 500)
CHANGED = tuple(name for name in SETTINGS if name not in ("dynamic_jobs", "submission_directory"))


class Asked(Sorting):
    """Which workflows."""

    name = Text()
    user = Text()
    description = Text()
    is_archived = Flag()


def shown(call: Call, workflows: Sequence[Workflow]) -> list[Plain]:
    """Workflows as bodies, with the names of their groups."""
    write = writer(WorkflowBody, as_text=call.as_text)
    groups = _groups(call, [one.id for one in workflows])
    bodies = []
    for one in workflows:
        body = write(one)
        body["access_groups"] = groups.get(one.id, [])
        if call.as_text:
            body["status_id"] = one.id
        bodies.append(body)
    return bodies


def _groups(call: Call, workflows: Sequence[WorkflowId]) -> Mapping[WorkflowId, list[str]]:
    """The names of the groups of workflows; most servers have no groups at all, and are asked only that."""
    store = call.service.store
    names = {one.id: one.name for one in store.find(AccessGroup, Query()).items}
    found: dict[WorkflowId, list[str]] = {}
    if set(names.values()) - {"admin"}:
        for id in workflows:
            links = store.find(GroupLink, Query(workflow=id, sort="group_id")).items
            found[id] = [names[one.group_id] for one in links if one.group_id in names]
    return found


def create(call: Call) -> object:
    """Create a workflow without jobs; it belongs to the caller."""
    body = call.body
    check_settings(body)
    settings = {name: body[name] for name in SETTINGS if body.get(name) not in (None, {}, "")}
    user = body["user"] if call.service.gate.trusts_names else call.principal.name
    planned = PlannedWorkflow(**settings, user=user, access_groups=body.get("access_groups", ()))
    with call.together():
        workflow = call.store.create(Plan(workflow=planned), user)
        if body.get("slurm_config"):
            workflow = call.store.change(Workflow, workflow.id, {"slurm_config": body["slurm_config"]})
    return shown(call, [workflow])[0]


def list_(call: Call) -> object:
    """A page of the workflows that the caller may read."""
    query = call.query
    where = {name: query.get(name) for name in ("name", "user", "is_archived")}
    like = {"description": inside(query["description"])} if "description" in query else None
    found = call.store.find(Workflow, asked(Workflow, WorkflowBody, query, None, where, like))
    return page_of(found, shown(call, found.items), query)


def get(call: Call) -> object:
    """One workflow."""
    return shown(call, [call.store.get(Workflow, call.id)])[0]


def update(call: Call) -> object:
    """Change the settings of a workflow; null keeps, and what verbs change is left alone."""
    body = call.body
    check_settings(body)
    with call.together():
        stored = call.store.get(Workflow, call.id)
        fields: dict[str, Any] = {name: body[name] for name in (*CHANGED, "slurm_config") if name in body}
        if body["user"] and body["user"] != stored.user:
            if not call.principal.is_admin:
                raise Forbidden(
                    f"workflow {stored.id} belongs to '{stored.user}'; only admins may give it to '{body['user']}'"
                )
            fields["user"] = body["user"]
        # NOTE: an equal value is no change; the settings of execution may be sent back while jobs run.
        changes = {name: value for name, value in fields.items() if value != getattr(stored, name)}
        workflow = call.store.change(Workflow, call.id, changes) if changes else stored
    return shown(call, [workflow])[0]


def remove(call: Call) -> object:
    """Delete a workflow and all that belongs to it; it is answered as it was."""
    with call.together():
        body = get(call)
        call.store.delete(WorkflowId(call.id), force=True)
    return body


ROUTES = (
    Route(
        method="POST", path="/workflows", operation_id="create_workflow", access="user", group=GROUP, handler=create,
        body=WorkflowModel(), answer=WorkflowModel(), statuses=ERRORS, summary="Create a workflow.",
    ),
    Route(
        method="GET", path="/workflows", operation_id="list_workflows", access="user", group=GROUP, handler=list_,
        query=Asked, answer=listing(WorkflowModel)(), summary="List workflows.",
    ),
    Route(
        method="GET", path="/workflows/{id}", operation_id="get_workflow", access="read", group=GROUP, handler=get,
        answer=WorkflowModel(), summary="Show a workflow.",
    ),
    Route(
        method="PUT", path="/workflows/{id}", operation_id="update_workflow", access="operate", group=GROUP,
        handler=update, body=WorkflowModel(), answer=WorkflowModel(), statuses=ERRORS,
        summary="Change a workflow; null keeps.",
    ),
    Route(
        method="DELETE", path="/workflows/{id}", operation_id="delete_workflow", access="own", group=GROUP,
        handler=remove, answer=WorkflowModel(), summary="Delete a workflow and all that belongs to it.",
    ),
)  # fmt: skip
