"""Runners: they join, claim, start, finish, beat, turn and leave; what people say of them (`wire.md` X1 to X9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from torc_core.engine.claim import AHEAD_MOST
from torc_core.errors import Conflict, Fenced
from torc_core.model import Node, NodeId, Orders, Usage, Workflow
from torc_http.call import Answer, Call
from torc_http.published.workflows import shown
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Plain
from torc_http.wire.turns import (
    BeatBody,
    ClaimBody,
    DeadBody,
    DrainBody,
    FinishBody,
    GiveBackBody,
    Join,
    LeaveBody,
    RecoveredBody,
    StartedBody,
    TurnBody,
)
from torc_http.x import answering, asking, holding
from torc_http.x.answering import FLAG_SECONDS, RECOVERED, REFUSED

GROUP = "x"


def join(call: Call) -> object:
    """Register a runner; the same epoch again is answered the same."""
    new = asking.new_node(call.body)
    with call.together():
        node = call.store.join(new)
        workflow = call.store.get(Workflow, new.workflow_id)
    return {
        "node_id": node.id,
        "server_id": call.service.store.server_id,
        "run_id": workflow.run_id,
        **answering.lease(node, call.service.beat_seconds),
        "flag_seconds": FLAG_SECONDS,
        "on_lost": node.on_lost,
        "ahead_max": AHEAD_MOST,
        "workflow": shown(call, [workflow])[0],
        "orders": answering.told_orders(call.store, workflow.id, None, Orders(drain=node.draining)),
    }


def turn(call: Call) -> object:
    """Results, starts, give-back, beat and claim in one transaction."""
    return _turned(call, call.body, lambda told: told)


def claim(call: Call) -> object:
    """Take jobs that fit; with nothing to give and `wait_ms` it is held."""
    body = {"epoch": call.body["epoch"], "claim": call.body}
    return _turned(call, body, lambda told: told["claim"])


def started(call: Call) -> object:
    """Record starts before the processes are forked."""
    return _turned(call, call.body, lambda told: {"starts": told.get("starts", [])})


def finish(call: Call) -> object:
    """Record ends; a single one that was not taken is a conflict."""
    answer = _turned(call, call.body, _finished)
    results = call.body["results"]
    told = orjson.loads(answer.raw or b"{}")
    refused = [one for one in told["results"] if one["answer"] in REFUSED]
    if len(results) == 1 and refused:
        raise _refused(refused[0])
    return answer


def _finished(told: dict[str, Any]) -> dict[str, Any]:
    return {"results": told.get("results", []), **{k: told[k] for k in ("progress",) if k in told}}


def _refused(entry: dict[str, Any]) -> Conflict:
    job, attempt, answer = entry["job_id"], entry["attempt_id"], entry["answer"]
    why = (
        "another result stands for it"
        if answer == "different"
        else "this node does not hold it under that lease any more"
    )
    return Conflict(
        f"the result of job {job}, attempt {attempt} is not taken: {why}; drop it",
        details={"answer": answer, "job_id": job, "attempt_id": attempt},
    )


def beat(call: Call) -> object:
    """Say that the node is alive and what it has; the answer carries orders."""
    body = {"epoch": call.body["epoch"], "beat": call.body}
    return _turned(call, body, lambda told: told["beat"])


def give_back(call: Call) -> object:
    """Return what was never forked."""
    body = {"epoch": call.body["epoch"], "give_back": call.body["jobs"]}
    return _turned(call, body, lambda told: {"give_back": told.get("give_back", [])})


def _turned(call: Call, body: Any, part: Callable[[dict[str, Any]], Plain]) -> Answer:
    turn = asking.turn_of(call.store, NodeId(call.id), body)
    store, beat_seconds = call.service.store, call.service.beat_seconds

    def encode(orders: Orders) -> bytes:
        return orjson.dumps(part(answering.turned(store, turn, orders, beat_seconds)), default=dict)

    return holding.turn(call, turn, encode)


def leave(call: Call) -> object:
    """The runner goes: what it still holds unstarted is ready again. A second time is no harm."""
    with call.together():
        node = _own(call)
        usage = call.body.get("usage")
        call.store.leave(node.id, None if usage is None else Usage(**usage))
        return {"node_id": node.id, "state": call.store.get(Node, node.id).state.value}


def _own(call: Call) -> Node:
    """The node, when the caller is the runner that it stands for.

    Raises
    ------
    Fenced
        If it is another.
    """
    node = call.store.get(Node, call.id)
    if node.epoch != call.body["epoch"]:
        raise Fenced(f"node {node.id} belongs to another epoch than '{call.body['epoch']}'")
    return node


def recovered(call: Call) -> object:
    """Say how a recovery script ended."""
    held = asking.held_of(call.body)
    verdict = call.store.recovered(NodeId(call.id), call.body["epoch"], held, call.body["ok"])
    return {"job_id": held.job, "attempt_id": held.attempt_id, "answer": RECOVERED[verdict]}


def drain(call: Call) -> object:
    """Give a node no further jobs, or again."""
    node = call.store.drain(NodeId(call.id), call.body["drain"], call.body["reason"] or None)
    return {"node_id": node.id, "drain": node.draining}


def dead(call: Call) -> object:
    """Take it that a node is dead: its attempts end at once as lost."""
    body = call.body
    with call.together():
        progress = call.store.bury(NodeId(call.id), body["evidence"], body["detail"])
        call.audit("node_dead", f"node {call.id}", f"{body['evidence']}: {body['detail']}")
    return {"node_id": call.id, "run_id": progress.run_id, "moved": dict(progress.moved)}


def _route(
    name: str,
    handler: Any,
    body: Any,
    summary: str,
    *,
    access: str = "run",
    size: str = "plain",
    secret: bool = False,
) -> Route:
    return Route(
        method="POST", path=f"/x/nodes/{{id}}/{name}", operation_id=f"node_{name}", access=access, group=GROUP, of=Node,
        handler=handler, body=body, answer=Anything(), size=size, statuses=(403, 404, 409, 422), x=True, secret=secret,
        summary=summary,
    )  # fmt: skip


ROUTES = (
    Route(
        method="POST", path="/x/nodes", operation_id="node_join", access="run", group=GROUP, handler=join, body=Join(),
        answer=Anything(), statuses=(403, 404, 422), x=True, summary="Register a runner.",
    ),
    _route("claim", claim, ClaimBody(), "Take jobs that fit.", size="batch", secret=True),
    _route("started", started, StartedBody(), "Record starts.", size="batch"),
    _route("finish", finish, FinishBody(), "Record ends.", size="batch"),
    _route("beat", beat, BeatBody(), "A heartbeat, answered with orders.", size="batch"),
    _route(
        "turn", turn, TurnBody(), "Ends, starts, give-back, beat and claim in one transaction.", size="batch", secret=True
    ),
    _route("give_back", give_back, GiveBackBody(), "Return what was never forked.", size="batch"),
    _route("leave", leave, LeaveBody(), "The runner goes."),
    _route("recovered", recovered, RecoveredBody(), "Say how a recovery script ended."),
    _route("drain", drain, DrainBody(), "Give a node no further jobs, or again.", access="operate"),
    _route("dead", dead, DeadBody(), "Take it that a node is dead."),
)  # fmt: skip
