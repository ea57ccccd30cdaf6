"""Tokens, capabilities, and what was written down about them (`security.md` §4, §11)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, cast

from marshmallow import Schema

from torc_core.errors import Forbidden, NotFound
from torc_core.model import AuditEntry, Query, Token, Workflow, WorkflowId
from torc_core.store.principal import Right
from torc_http.auth.capability import CLASSES, LONGEST_DAYS, WorkflowCapability, written
from torc_http.auth.tokens import DAYS, new_token
from torc_http.call import Call
from torc_http.errors import Refused
from torc_http.routes import BASE, Route
from torc_http.wire.fields import Anything, Choice, Flag, Ids, Int, Name

if TYPE_CHECKING:
    from torc_core.store.guarded import Guarded
    from torc_http.auth.gate import Gate

DAY_S = 86_400
GROUP = "auth"

AccessClass = Literal["read", "edit", "run", "operate", "own"]


class NewTokenBody(Schema):
    """What a token shall be good for: some workflows, or all that its user may use."""

    workflows = Ids()
    all_workflows = Flag()
    access_class = Choice(*CLASSES)
    user = Name()
    expires_s = Int(minimum=1, maximum=3650 * DAY_S)


class CapabilityBody(Schema):
    """What a derived token shall be good for; `revoke` ends all that the workflow has."""

    access_class = Choice(*CLASSES)
    expires_s = Int(minimum=1, maximum=LONGEST_DAYS * DAY_S)
    revoke = Flag()


class AuditQuery(Schema):
    """Where to begin."""

    after = Int(minimum=0, load_default=0)
    limit = Int(minimum=1, maximum=10_000, load_default=1_000)


def create_token(call: Call) -> object:
    """Make a token; its text is told once."""
    body, me = call.body, call.principal
    user = body.get("user") or me.name
    _person(call)
    if user != me.name and not me.is_admin:
        raise Forbidden("only admins of the server make tokens in the name of others")
    workflows = None if body.get("all_workflows") else body.get("workflows") or ()
    access_class, lasts = body.get("access_class") or "edit", body.get("expires_s") or DAYS * DAY_S
    for workflow in workflows or ():
        if me.is_admin:
            call.store.get(Workflow, workflow)
        else:
            cast("Guarded", call.store).admit(Right(access_class), Workflow, (workflow,))
    new = new_token(
        user,
        call.clock.now(),
        workflows=workflows,
        access_class=access_class,
        lasts_ms=lasts * 1000,
    )
    with call.together():
        kept = call.service.store.add([new.kept])[0]
        call.audit("token_new", f"token {kept.key}", detail=_about(kept))
    return {**_shown(kept), "token": new.text, "path": f"/t/{new.text}{BASE}"}


def list_tokens(call: Call) -> object:
    """The tokens of the caller; an admin sees all."""
    found = call.store.find(Token, Query()).items
    return {"items": [_shown(one) for one in found]}


def revoke_token(call: Call) -> object:
    """End a token."""
    _person(call)
    found = call.store.get(Token, call.id)
    if found.user != call.principal.name and not call.principal.is_admin:
        raise NotFound(f"no token {call.id}")
    if found.revoked_at is None:
        with call.together():
            found = call.service.store.change(Token, call.id, {"revoked_at": call.clock.now()})
            call.audit("token_revoked", f"token {found.key}", detail=_about(found))
    return _shown(found)


def create_capability(call: Call) -> object:
    """Make a derived token for a workflow, or end all it has."""
    _person(call)
    gate = cast("Gate", call.service.gate)
    workflow = call.store.get(Workflow, call.id)
    if call.body.get("revoke"):
        with call.together():
            raised = call.store.get(Workflow, call.id).capability_generation + 1
            call.service.store.change(Workflow, call.id, {"capability_generation": raised})
            call.audit("capability_revoked", f"workflow {call.id}", detail=f"generation {raised}")
        return {"workflow_id": call.id, "generation": raised}
    access_class = call.body.get("access_class") or "edit"
    expires = call.clock.now() // 1000 + (call.body.get("expires_s") or DAY_S)
    text = written(
        gate.keys.current.key,
        WorkflowCapability(
            workflow=call.id,
            access_class=cast("AccessClass", access_class),
            expires=expires,
            generation=workflow.capability_generation,
        ),
    )
    call.audit("token_new", f"workflow {call.id}", detail=f"derived, class {access_class}")
    return {
        "workflow_id": call.id, "access_class": access_class, "expires_at": expires * 1000,
        "generation": workflow.capability_generation, "token": text, "path": f"/t/{text}{BASE}",
    }  # fmt: skip


def audit(call: Call) -> object:
    """What was written down, the oldest first."""
    query = Query(above=call.query["after"], limit=call.query["limit"])
    found = call.store.find(AuditEntry, query)
    return {"items": [asdict(one) for one in found.items], "has_more": found.has_more}


def _person(call: Call) -> None:
    """Refuse what was made for a purpose: a token makes no tokens that outlive it."""
    if call.principal.kind not in {"owner", "user"}:
        raise Refused(403, "a token makes and ends no tokens; do this with your own name or key")


def _shown(one: Token) -> dict[str, Any]:
    return {
        "id": one.id, "key": one.key, "user": one.user, "access_class": one.access_class,
        "workflows": None if one.workflows is None else [WorkflowId(each) for each in one.workflows],
        "created_at": one.created_at, "expires_at": one.expires_at, "revoked_at": one.revoked_at,
    }  # fmt: skip


def _about(one: Token) -> str:
    where = "all workflows" if one.workflows is None else f"workflows {', '.join(map(str, one.workflows))}"
    return f"{one.access_class} for {where} of {one.user}"


ROUTES = (
    Route(
        method="POST", path="/x/tokens", operation_id="create_token", access="user", group=GROUP, handler=create_token,
        body=NewTokenBody(), answer=Anything(), x=True, secret=True, summary="Make a token; its text is told once.",
    ),
    Route(
        method="GET", path="/x/tokens", operation_id="list_tokens", access="user", group=GROUP, handler=list_tokens,
        answer=Anything(), x=True, summary="List tokens, without their secrets.",
    ),
    Route(
        method="DELETE", path="/x/tokens/{id}", operation_id="revoke_token", access="user", group=GROUP,
        handler=revoke_token, answer=Anything(), x=True, summary="End a token.",
    ),
    Route(
        method="POST", path="/x/workflows/{id}/capabilities", operation_id="create_capability", access="own",
        group=GROUP, of=Workflow, handler=create_capability, body=CapabilityBody(), answer=Anything(), x=True, secret=True,
        summary="Make a derived token for a workflow, or end all it has.",
    ),
    Route(
        method="GET", path="/x/audit", operation_id="read_audit", access="admin", group=GROUP, handler=audit,
        query=AuditQuery, answer=Anything(), x=True, summary="Security matters that were written down.",
    ),
)  # fmt: skip
