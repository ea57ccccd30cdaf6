"""Actions are claimed, carried out step by step, and reported (`wire.md` X8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema

from torc_core.model import Action, ActionId, ActionRun, Allocation, NodeId
from torc_http.call import Call
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Flag, Id, Instant, Int, Matching, Plain, Text
from torc_http.wire.plans import writer
from torc_http.wire.turns import KEY

GROUP = "x"


class ActionRunModel(Schema):
    """One firing of an action."""

    model = "ActionRunModel"

    id = Id(required=True)
    workflow_id = Id(required=True)
    action_id = Id(required=True)
    run_id = Int(required=True)
    node_id = Int(required=True)
    state = Text(required=True)
    claim_id = Text()
    claimed_by = Id()
    claimed_at = Instant()
    progress = Int(required=True)
    error = Text()


class ClaimAction(Schema):
    """Who takes it, and under which name."""

    claim_id = Matching(KEY, required=True)
    node_id = Id()


class Step(Schema):
    """Which command is about to be run, from 1."""

    claim_id = Matching(KEY, required=True)
    step = Int(minimum=1, required=True)


class Done(Schema):
    """How it went."""

    claim_id = Matching(KEY, required=True)
    ok = Flag(required=True)
    message = Text()


class Release(Schema):
    """Whose claim ends."""

    claim_id = Matching(KEY, required=True)


def run_of(run: ActionRun) -> Plain:
    """A firing as a body."""
    return writer(ActionRunModel)(run)


def intents(found: Sequence[Allocation]) -> list[Plain]:
    """Allocations that are wanted, each with the key under which it has to be submitted."""
    return [{"id": one.id, "submission_key": one.submission_key, "nodes": one.nodes} for one in found]


def claim(call: Call) -> object:
    """Take the firing of an action; for `schedule_nodes` the intents come with it."""
    node = call.body.get("node_id")
    taken = call.store.claim_action(
        ActionId(call.id), call.body["claim_id"], None if node is None else NodeId(node)
    )
    return {"run": run_of(taken.run), "allocations": intents(taken.allocations)}


def progress(call: Call) -> object:
    """Record that a command is about to be run."""
    return {
        "run": run_of(call.store.step_action(ActionId(call.id), call.body["claim_id"], call.body["step"]))
    }


def done(call: Call) -> object:
    """Record how it went."""
    body = call.body
    return {
        "run": run_of(
            call.store.end_action(ActionId(call.id), body["claim_id"], body["ok"], body.get("message"))
        )
    }


def release(call: Call) -> object:
    """Give it back undone."""
    return {"run": run_of(call.store.release_action(ActionId(call.id), call.body["claim_id"]))}


def rearm(call: Call) -> object:
    """Put a failed firing back to triggered."""
    return {"run": run_of(call.store.rearm_action(ActionId(call.id)))}


def _route(name: str, handler: Any, body: Any, summary: str, access: str = "run") -> Route:
    return Route(
        method="POST", path=f"/x/actions/{{id}}/{name}", operation_id=f"action_{name}", access=access, group=GROUP,
        of=Action, handler=handler, body=body, answer=Anything(), statuses=(403, 404, 409, 422), x=True, summary=summary,
    )  # fmt: skip


ROUTES = (
    _route("claim", claim, ClaimAction(), "Take the firing of an action."),
    _route("progress", progress, Step(), "Record that a command is about to be run."),
    _route("done", done, Done(), "Record how an action went."),
    _route("release", release, Release(), "Give an action back undone."),
    _route("rearm", rearm, None, "Put a failed firing back to triggered.", access="operate"),
)
