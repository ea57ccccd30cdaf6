"""Files (`wire.md` §3.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torc_core.errors import Invalid
from torc_core.model import File
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, same_place, there
from torc_http.routes import Route
from torc_http.wire.fields import Flag, Id, Text
from torc_http.wire.records import CreatedFiles, FileModel, Files

NOUN = Noun(
    kind=File, schema=FileModel, path="/files", group="files",
    filters={
        "produced_by_job_id": (Id(), "produced_by_job_id"), "name": (Text(), "name"), "path": (Text(), "path"),
        "is_output": (Flag(), "is_output"),
    },
)  # fmt: skip


def create(call: Call) -> object:
    """Add a file; nobody opens it."""
    return NOUN.one(call, call.store.add([File(**_new(call.body))])[0])


def create_many(call: Call) -> object:
    """Add files of one workflow, all or none."""
    bodies = call.body["files"]
    one_workflow(bodies)
    if bodies:
        there(call, bodies[0]["workflow_id"])
    return {"files": NOUN.shown(call, call.store.add([File(**_new(body)) for body in bodies]))}


def update(call: Call) -> object:
    """Change fields of a file; null keeps."""
    with call.together():
        stored = call.store.get(File, call.id)
        same_place(call, stored, call.body, "id", "workflow_id")
        fields = {name: value for name, value in call.body.items() if name not in {"id", "workflow_id"}}
        return NOUN.one(call, call.store.change(File, call.id, fields))


def _new(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "id"}


def one_workflow(bodies: list[dict[str, int]]) -> None:
    """Refuse a list that names more than one workflow.

    Raises
    ------
    Invalid
        Naming both.
    """
    for index, body in enumerate(bodies):
        if body["workflow_id"] != bodies[0]["workflow_id"]:
            raise Invalid(
                f"[{index}].workflow_id: one call is for one workflow, but this names {bodies[0]['workflow_id']} "
                f"and {body['workflow_id']}",
                details={"field": f"[{index}].workflow_id", "value": body["workflow_id"]},
            )


ROUTES = (
    Route(
        method="POST", path="/bulk_files", operation_id="create_files", access="edit", group="files", handler=create_many,
        body=Files(), answer=CreatedFiles(), size="bulk", statuses=(403, 404, 422, 500), since="0.21.0",
        summary="Add many files in one transaction.",
    ),
    Route(
        method="POST", path="/files", operation_id="create_file", access="edit", group="files", handler=create,
        body=FileModel(), answer=FileModel(), statuses=ERRORS, summary="Add a file.",
    ),
    Route(
        method="PUT", path="/files/{id}", operation_id="update_file", access="edit", group="files", of=File,
        handler=update, body=FileModel(), answer=FileModel(), statuses=ERRORS, summary="Change a file; null keeps.",
    ),
    *NOUN.routes(get="get_file", remove="delete_file", list="list_files", remove_all="delete_files"),
)  # fmt: skip
