"""Workflows leave a server and come into it; groups are linked with a level; the database is copied (`wire.md` §7.6)."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema

from torc_core.model import AccessGroup, GroupId, GroupLink, Query, Workflow, WorkflowId
from torc_http.call import Answer, Call
from torc_http.errors import Refused
from torc_http.published.nouns import there
from torc_http.published.workflows import shown
from torc_http.routes import Route
from torc_http.wire.access import GroupLinkModel
from torc_http.wire.fields import Anything, Choice, Flag, Name, Object
from torc_http.wire.plans import writer
from torc_http.wire.settings import check_document

GROUP = "x"


class ExportQuery(Schema):
    """What goes along."""

    results = Flag()
    events = Flag()
    compact = Flag()


class ImportBody(Schema):
    """A document, and what becomes of it."""

    model = "XImportRequest"

    document = Object(required=True)
    name = Name()
    keep_status = Flag()
    skip_results = Flag()
    skip_events = Flag()


class Level(Schema):
    """How far the members of the group may go."""

    model = "XGroupLinkRequest"

    level = Choice("full", "read", required=True)


def export(call: Call) -> object:
    """All of a workflow as a document."""
    workflow = WorkflowId(call.id)
    there(call, workflow)
    document = call.store.export_workflow(
        workflow, results=call.query.get("results", True), events=call.query.get("events", False),
        compact=call.query.get("compact", False),
    )  # fmt: skip
    return Answer(body=document)


def imports(call: Call) -> object:
    """A workflow from such a document; ids are new, and it belongs to the caller."""
    body = call.body
    document: dict[str, Any] = dict(body["document"])
    if body.get("skip_results"):
        document.pop("results", None)
    if body.get("skip_events"):
        document.pop("events", None)
    check_document(document)
    user = call.principal.name
    with call.together():
        workflow = call.store.import_workflow(document, user, keep_status=body.get("keep_status", False))
        if "name" in body:
            workflow = call.store.change(Workflow, workflow.id, {"name": body["name"]})
    return shown(call, [workflow])[0]


def link(call: Call) -> object:
    """Let the members of a group use a workflow, fully or for reading only; the same group again changes the level."""
    workflow, group, level = WorkflowId(call.id), GroupId(call.ids["group_id"]), call.body["level"]
    with call.together():
        there(call, workflow)
        call.service.store.get(AccessGroup, group)
        links = call.store.find(GroupLink, Query(workflow=workflow, where={"group_id": group})).items
        if links:
            found = call.store.change(GroupLink, links[0].id, {"level": level})
        else:
            (found,) = call.store.add([GroupLink(workflow_id=workflow, group_id=group, level=level)])
    return {**writer(GroupLinkModel)(found), "level": found.level}


def backup(call: Call) -> object:
    """Copy the database into the folder that the configuration names, while it is used."""
    backups = (call.service.parts or {}).get("backups")
    if backups is None:
        raise Refused(503, "this server makes no backups of its database; it has no file of its own")
    path = backups.make()
    call.audit("admin_action", str(path), "backup")
    return {"path": str(path), "size_bytes": path.stat().st_size}


ROUTES = (
    Route(
        method="GET", path="/x/workflows/{id}/export", operation_id="x_export", access="read", group=GROUP, of=Workflow,
        handler=export, query=ExportQuery, answer=Anything(), statuses=(403, 404), x=True,
        slow=True, summary="All of a workflow as a document.",
    ),
    Route(
        method="POST", path="/x/imports", operation_id="x_import", access="user", group=GROUP, handler=imports,
        body=ImportBody(), answer=Anything(), size="bulk", statuses=(403, 422), x=True,
        summary="A workflow from a document.",
    ),
    Route(
        method="POST", path="/x/workflows/{id}/access_groups/{group_id}", operation_id="x_link_group", access="own",
        group=GROUP, of=Workflow, handler=link, body=Level(), answer=Anything(), statuses=(403, 404, 422), x=True,
        summary="Let a group use a workflow, fully or for reading only.",
    ),
    Route(
        method="POST", path="/x/admin/backup", operation_id="x_backup", access="admin", group=GROUP, handler=backup,
        answer=Anything(), statuses=(403, 503), x=True, slow=True, summary="Copy the database while it is used.",
    ),
)  # fmt: skip
