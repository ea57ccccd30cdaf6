"""Actions of workflows (`wire.md` §3.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema

from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import Action, ActionId, NodeId, Query, WorkflowId
from torc_http.call import Call
from torc_http.published.nouns import there
from torc_http.routes import Route
from torc_http.wire.actions import ActionModel, ClaimAction, ClaimedAction
from torc_http.wire.fields import Choice, Flag, Id, Int, ListOf, Parts, Plain, Text
from torc_http.wire.plans import reader, writer


class Commands(Schema):
    """What `run_commands` does."""

    strict = True

    commands = ListOf(Text(empty=False), required=True)


class Schedule(Schema):
    """What `schedule_nodes` does."""

    strict = True

    scheduler_id = Id()
    scheduler_type = Choice("slurm", "local")
    num_allocations = Int(minimum=1, maximum=10_000)
    start_one_worker_per_node = Flag()
    max_parallel_jobs = Int(minimum=1)


class Due(Schema):
    """Which of the due actions."""

    trigger_type = ListOf(Text(longest=100))


CONFIGS: Mapping[str, type[Schema]] = {"run_commands": Commands, "schedule_nodes": Schedule}
JOB_TRIGGERS = ("on_jobs_ready", "on_jobs_complete")


def shown(actions: Sequence[Action]) -> list[Plain]:
    """Actions as bodies."""
    write = writer(ActionModel)
    return [{**write(one), "action_config": dict(one.config)} for one in actions]


def create(call: Call) -> object:
    """Add an action to the workflow of the path."""
    body = call.body
    there(call, call.id)
    config = body["config"]
    try:
        reader(CONFIGS[body["action_type"]])(config)
    except Invalid as error:
        field = f"action_config.{error.details.get('field', '')}".rstrip(".")
        message = f"action_config of {body['action_type']}: {error}"
        raise Invalid(message, details={**error.details, "field": field}) from None
    if body["action_type"] == "run_commands" and not config["commands"]:
        raise Invalid(
            "action_config.commands is empty; give at least one command",
            details={"field": "action_config.commands", "value": []},
        )
    jobs = body.get("jobs", ())
    mode = body.get("trigger_mode", "all")
    counted = body["trigger_type"] in JOB_TRIGGERS and mode == "all"
    action = Action(
        workflow_id=WorkflowId(call.id),
        trigger_type=body["trigger_type"],
        action_type=body["action_type"],
        config=config,
        jobs=jobs,
        trigger_mode=mode,
        persistent=body.get("persistent", False),
        is_recovery=body.get("is_recovery", False),
        required_triggers=max(1, len(jobs)) if counted else 1,
    )
    return shown(call.store.add([action]))[0]


def list_(call: Call) -> object:
    """All actions of a workflow."""
    there(call, call.id)
    return shown(call.store.find(Action, Query(workflow=WorkflowId(call.id))).items)


def due(call: Call) -> object:
    """The actions that have fired and are to be executed."""
    there(call, call.id)
    return shown(call.store.due_actions(WorkflowId(call.id), call.query.get("trigger_type", ())))


def claim(call: Call) -> object:
    """Take an action; whoever comes second is refused."""
    there(call, call.id)
    action = call.store.get(Action, call.ids["action_id"])
    if action.workflow_id != call.id:
        raise NotFound(f"workflow {call.id} has no action {action.id}")
    node: Any = call.body.get("compute_node_id")
    try:
        call.store.claim_action(ActionId(action.id), None, None if node is None else NodeId(node))
    except Conflict as error:
        raise Conflict(str(error), details={**error.details, "claimed": False}) from error
    return {"action_id": action.id, "success": True, "claimed": True}


ROUTES = (
    Route(
        method="POST", path="/workflows/{id}/actions", operation_id="create_workflow_action", access="edit",
        group="workflow_actions", handler=create, body=ActionModel(), answer=ActionModel(), summary="Add an action.",
    ),
    Route(
        method="GET", path="/workflows/{id}/actions", operation_id="get_workflow_actions", access="read",
        group="workflow_actions", handler=list_, answer=Parts(ActionModel), summary="List the actions of a workflow.",
    ),
    Route(
        method="GET", path="/workflows/{id}/actions/pending", operation_id="get_pending_actions", access="read",
        group="workflow_actions", handler=due, query=Due, answer=Parts(ActionModel),
        summary="List the actions that are to be executed.",
    ),
    Route(
        method="POST", path="/workflows/{id}/actions/{action_id}/claim", operation_id="claim_action", access="run",
        group="workflow_actions", handler=claim, body=ClaimAction(), answer=ClaimedAction(),
        summary="Take an action to execute it.",
    ),
)  # fmt: skip
