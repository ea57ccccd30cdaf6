"""RO-Crate entities (`wire.md` §3.18)."""

from __future__ import annotations

from torc_core.errors import NotFound
from torc_core.model import RoCrateEntity
from torc_http.call import Call
from torc_http.published.nouns import Noun, remove_all, same_place, there
from torc_http.routes import Route
from torc_http.wire.fields import Id, Text
from torc_http.wire.lists import Message, Sorting, asked, listing, page_of
from torc_http.wire.records import DeletedEntities, EntityModel

ERRORS = (403, 404, 422, 500)
NOUN = Noun(kind=RoCrateEntity, schema=EntityModel, path="/ro_crate_entities", group="ro_crate_entities")


class Asked(Sorting):
    """Which entities."""

    file_id = Id()
    entity_id = Text()


def create(call: Call) -> object:
    """Add an entity."""
    fields = {name: value for name, value in call.body.items() if name != "id"}
    return NOUN.one(call, call.store.add([RoCrateEntity(**fields)])[0])


def update(call: Call) -> object:
    """Change an entity; null keeps."""
    with call.together():
        stored = call.store.get(RoCrateEntity, call.id)
        same_place(call, stored, call.body, "id", "workflow_id")
        fields = {name: value for name, value in call.body.items() if name not in {"id", "workflow_id"}}
        return NOUN.one(call, call.store.change(RoCrateEntity, call.id, fields))


def remove(call: Call) -> object:
    """Remove an entity."""
    with call.together():
        entity = call.store.get(RoCrateEntity, call.id)
        if not call.store.remove(RoCrateEntity, [call.id]):
            raise NotFound(f"no RO-Crate entity {call.id}")
    return {"message": f"removed RO-Crate entity {call.id} ({entity.entity_id})"}


def list_(call: Call) -> object:
    """A page of the entities of a workflow."""
    there(call, call.id)
    where = {name: call.query.get(name) for name in ("file_id", "entity_id")}
    found = call.store.find(RoCrateEntity, asked(RoCrateEntity, EntityModel, call.query, call.id, where))
    return page_of(found, NOUN.shown(call, found.items), call.query)


def remove_every(call: Call) -> object:
    """Remove all entities of a workflow."""
    with call.together():
        count = remove_all(call, RoCrateEntity, call.id, lambda one: False)
    return {"deleted_count": count, "message": f"removed {count} RO-Crate entities"}


ROUTES = (
    Route(
        method="POST", path="/ro_crate_entities", operation_id="create_ro_crate_entity", access="edit",
        group="ro_crate_entities", handler=create, body=EntityModel(), answer=EntityModel(), statuses=ERRORS,
        summary="Add an RO-Crate entity.",
    ),
    NOUN.routes(get="get_ro_crate_entity", remove="delete_ro_crate_entity")[0],
    Route(
        method="PUT", path="/ro_crate_entities/{id}", operation_id="update_ro_crate_entity", access="edit",
        group="ro_crate_entities", of=RoCrateEntity, handler=update, body=EntityModel(), answer=EntityModel(),
        statuses=ERRORS, summary="Change an RO-Crate entity; null keeps.",
    ),
    Route(
        method="DELETE", path="/ro_crate_entities/{id}", operation_id="delete_ro_crate_entity", access="edit",
        group="ro_crate_entities", of=RoCrateEntity, handler=remove, answer=Message(), statuses=(403, 404, 500),
        summary="Remove an RO-Crate entity.",
    ),
    Route(
        method="GET", path="/workflows/{id}/ro_crate_entities", operation_id="list_ro_crate_entities", access="read",
        group="ro_crate_entities", handler=list_, query=Asked, answer=listing(EntityModel)(), statuses=(403, 404, 500),
        summary="List the RO-Crate entities of a workflow.",
    ),
    Route(
        method="DELETE", path="/workflows/{id}/ro_crate_entities", operation_id="delete_ro_crate_entities",
        access="edit", group="ro_crate_entities", handler=remove_every, answer=DeletedEntities(),
        statuses=(403, 404, 500), summary="Remove all RO-Crate entities of a workflow.",
    ),
)  # fmt: skip
