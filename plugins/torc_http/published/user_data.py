"""User data (`wire.md` §3.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema

from torc_core.model import JobId, UserData
from torc_http.call import Call
from torc_http.published.files import one_workflow
from torc_http.published.nouns import ERRORS, Noun, same_place, there
from torc_http.routes import Route
from torc_http.wire.fields import Flag, Id, Plain, Text
from torc_http.wire.lists import OfWorkflow, asked, inside, page_of
from torc_http.wire.records import CreatedUserData, UserDataList, UserDataModel

OWN = "__torc_lineage__"
"""How the names of user data begin that orchestrators write through `spawn_jobs`."""


class Links(Schema):
    """The jobs that a new record is tied to."""

    consumer_job_id = Id()
    producer_job_id = Id()


class Asked(OfWorkflow):
    """Which user data."""

    consumer_job_id = Id()
    producer_job_id = Id()
    name = Text()
    is_ephemeral = Flag()


def shown(call: Call, records: Sequence[UserData]) -> Sequence[Plain]:
    """User data as bodies; without a value `data` is null."""
    return [
        {
            "id": one.id, "workflow_id": one.workflow_id, "name": one.name, "data": one.data if one.has_data else None,
            "is_ephemeral": one.is_ephemeral,
        }
        for one in records
    ]  # fmt: skip


NOUN = Noun(
    kind=UserData, schema=UserDataModel, path="/user_data", group="user_data", show=shown, wordy=True,
    kept=lambda one: one.name.startswith(OWN),
)  # fmt: skip


def new(body: Mapping[str, Any]) -> UserData:
    """A record to be added; null is no value yet."""
    return UserData(
        workflow_id=body["workflow_id"], name=body["name"], data=body.get("data"), has_data="data" in body,
        is_ephemeral=body.get("is_ephemeral", False),
    )  # fmt: skip


def create(call: Call) -> object:
    """Add a record, and tie it to the jobs that are named."""
    ties = {name: JobId(call.query[f"{name}_job_id"]) for name in _TIES if f"{name}_job_id" in call.query}
    return NOUN.one(call, call.store.add_user_data(new(call.body), **ties))


_TIES = ("consumer", "producer")


def create_many(call: Call) -> object:
    """Add records of one workflow, all or none."""
    bodies = call.body["user_data"]
    one_workflow(bodies)
    if bodies:
        there(call, bodies[0]["workflow_id"])
    return {"user_data": NOUN.shown(call, call.store.add([new(body) for body in bodies]))}


def list_(call: Call) -> object:
    """A page of the user data of a workflow."""
    query = call.query
    where = {name: query.get(name) for name in ("consumer_job_id", "producer_job_id", "is_ephemeral")}
    like = {"name": inside(query["name"])} if "name" in query else None
    there(call, query["workflow_id"])
    found = call.store.find(
        UserData, asked(UserData, UserDataModel, query, query["workflow_id"], where, like)
    )
    return page_of(found, NOUN.shown(call, found.items), query)


def update(call: Call) -> object:
    """Change a record; null keeps, so a value cannot be taken away like this."""
    with call.together():
        stored = call.store.get(UserData, call.id)
        same_place(call, stored, call.body, "id", "workflow_id")
        fields = {
            name: value for name, value in call.body.items() if name in {"name", "data", "is_ephemeral"}
        }
        return NOUN.one(call, call.store.change(UserData, call.id, fields))


ROUTES = (
    Route(
        method="POST", path="/bulk_user_data", operation_id="create_user_data_list", access="edit", group="user_data",
        handler=create_many, body=UserDataList(), answer=CreatedUserData(), size="bulk", statuses=(403, 404, 422, 500),
        since="0.21.0", summary="Add many user data records in one transaction.",
    ),
    Route(
        method="POST", path="/user_data", operation_id="create_user_data", access="edit", group="user_data",
        handler=create, query=Links, body=UserDataModel(), answer=UserDataModel(), statuses=ERRORS,
        summary="Add a user data record.",
    ),
    Route(
        method="GET", path="/user_data", operation_id="list_user_data", access="read", group="user_data", handler=list_,
        query=Asked, answer=NOUN.answer(), statuses=ERRORS, summary="List the user data of a workflow.",
    ),
    Route(
        method="PUT", path="/user_data/{id}", operation_id="update_user_data", access="edit", group="user_data",
        of=UserData, handler=update, body=UserDataModel(), answer=UserDataModel(), statuses=ERRORS,
        summary="Change a user data record; null keeps.",
    ),
    *NOUN.routes(get="get_user_data", remove="delete_user_data", remove_all="delete_all_user_data"),
)  # fmt: skip
