"""Resource requirements (`wire.md` §3.8)."""

from __future__ import annotations

from typing import Any

from torc_core.errors import NotFound
from torc_core.model import Job, Requirement
from torc_http.call import Call
from torc_http.published.nouns import Noun, same_place, there
from torc_http.routes import Route
from torc_http.wire.fields import Id, Int, Text
from torc_http.wire.lists import OfWorkflow, asked, page_of
from torc_http.wire.records import RequirementModel

NOUN = Noun(
    kind=Requirement, schema=RequirementModel, path="/resource_requirements", group="resource_requirements", wordy=True,
    kept=lambda one: one.name == "default",
)  # fmt: skip

DEFAULTS = {"num_cpus": 1, "num_gpus": 0, "num_nodes": 1, "memory": "1m", "runtime": "PT1M"}
ERRORS = (403, 404, 422, 500)


class Asked(OfWorkflow):
    """Which requirements; `runtime` in seconds."""

    job_id = Id()
    name = Text()
    memory = Text()
    num_cpus = Int()
    num_gpus = Int()
    num_nodes = Int()
    runtime = Int()


def create(call: Call) -> object:
    """Add a requirement."""
    fields: dict[str, Any] = {
        **DEFAULTS,
        **{name: value for name, value in call.body.items() if name != "id"},
    }
    return NOUN.one(call, call.store.add([Requirement(**fields)])[0])


def update(call: Call) -> object:
    """Change a requirement; running attempts keep what they started with."""
    with call.together():
        stored = call.store.get(Requirement, call.id)
        same_place(call, stored, call.body, "id", "workflow_id")
        fields = {name: value for name, value in call.body.items() if name not in {"id", "workflow_id"}}
        return NOUN.one(call, call.store.change(Requirement, call.id, fields))


def list_(call: Call) -> object:
    """A page of the requirements of a workflow."""
    query = call.query
    there(call, query["workflow_id"])
    where = {name: query.get(name) for name in ("name", "memory", "num_cpus", "num_gpus", "num_nodes")}
    where["runtime_s"] = query.get("runtime")
    if "job_id" in query:
        where["id"] = _of_job(call, query["job_id"])
    found = call.store.find(
        Requirement, asked(Requirement, RequirementModel, query, query["workflow_id"], where)
    )
    return page_of(found, NOUN.shown(call, found.items), query)


def _of_job(call: Call, id: int) -> int:
    try:
        return call.store.get(Job, id).requirement_id
    except NotFound:
        return 0


ROUTES = (
    Route(
        method="POST", path="/resource_requirements", operation_id="create_resource_requirements", access="edit",
        group="resource_requirements", handler=create, body=RequirementModel(), answer=RequirementModel(),
        statuses=ERRORS, summary="Add a resource requirement.",
    ),
    Route(
        method="GET", path="/resource_requirements", operation_id="list_resource_requirements", access="read",
        group="resource_requirements", handler=list_, query=Asked, answer=NOUN.answer(), statuses=(403, 404, 500),
        summary="List the resource requirements of a workflow.",
    ),
    Route(
        method="PUT", path="/resource_requirements/{id}", operation_id="update_resource_requirements", access="edit",
        group="resource_requirements", of=Requirement, handler=update, body=RequirementModel(),
        answer=RequirementModel(), statuses=ERRORS, summary="Change a resource requirement; null keeps.",
    ),
    *NOUN.routes(
        get="get_resource_requirements", remove="delete_resource_requirement", remove_all="delete_resource_requirements"
    ),
)  # fmt: skip
