"""Failure handlers (`wire.md` §3.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from torc_core.errors import Invalid
from torc_core.model import FailureHandler
from torc_core.spec.shape import list_of
from torc_core.spec.tables import RULE
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, there
from torc_http.routes import Route
from torc_http.wire.fields import Plain
from torc_http.wire.lists import Paging, asked, listing, page_of
from torc_http.wire.records import HandlerModel
from torc_http.wire.settings import read_as


def shown(call: Call, records: Sequence[FailureHandler]) -> Sequence[Plain]:
    """Handlers as bodies; the rules are JSON text in all generations."""
    return [
        {"id": one.id, "workflow_id": one.workflow_id, "name": one.name, "rules": _text(one.rules)}
        for one in records
    ]


def _text(rules: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps([dict(rule) for rule in rules], default=list).decode()


NOUN = Noun(
    kind=FailureHandler, schema=HandlerModel, path="/failure_handlers", group="failure_handlers", show=shown
)


def create(call: Call) -> object:
    """Add a handler; its rules are read here, so that a wrong one is told at once."""
    body = call.body
    handler = FailureHandler(
        workflow_id=body["workflow_id"], name=body["name"], rules=rules_of(body["rules"])
    )
    return NOUN.one(call, call.store.add([handler])[0])


def rules_of(text: str) -> Sequence[Mapping[str, Any]]:
    """Rules from JSON text.

    Raises
    ------
    Invalid
        If they are none.
    """
    try:
        rules = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"rules is not JSON: {error}", details={"field": "rules", "value": text}) from None
    found: Sequence[Mapping[str, Any]] = read_as(list_of(RULE, low=1), "rules", rules)
    for index, rule in enumerate(found):
        if not rule["exit_codes"] and not rule["match_all_exit_codes"]:
            raise Invalid(
                f"rules[{index}] matches nothing; give exit_codes or match_all_exit_codes: true",
                details={"field": f"rules[{index}]", "value": text},
            )
    return found


def list_(call: Call) -> object:
    """A page of the handlers of a workflow."""
    there(call, call.id)
    found = call.store.find(FailureHandler, asked(FailureHandler, HandlerModel, call.query, call.id, {}))
    return page_of(found, NOUN.shown(call, found.items), call.query)


ROUTES = (
    Route(
        method="POST", path="/failure_handlers", operation_id="create_failure_handler", access="edit",
        group="failure_handlers", handler=create, body=HandlerModel(), answer=HandlerModel(), statuses=ERRORS,
        summary="Add a failure handler.",
    ),
    Route(
        method="GET", path="/workflows/{id}/failure_handlers", operation_id="list_failure_handlers", access="read",
        group="failure_handlers", handler=list_, query=Paging, answer=listing(HandlerModel)(), statuses=ERRORS,
        summary="List the failure handlers of a workflow.",
    ),
    *NOUN.routes(get="get_failure_handler", remove="delete_failure_handler"),
)  # fmt: skip
