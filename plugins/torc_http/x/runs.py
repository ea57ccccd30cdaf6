"""Passes over a workflow as users begin them, and what dead runners left (`wire.md` §7.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from marshmallow import Schema

from torc_core.model import (
    Event,
    File,
    Fingerprint,
    Initialize,
    Intent,
    Job,
    JobId,
    Node,
    NodeId,
    PlannedAction,
    PlannedScheduler,
    Query,
    Renewed,
    Replan,
    Result,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.spec.shape import list_of
from torc_core.spec.tables import ACTION, SCHEDULER
from torc_http.call import Call
from torc_http.published.nouns import there
from torc_http.published.runs import begun
from torc_http.routes import Route
from torc_http.wire.fields import (
    Anything,
    Choice,
    Flag,
    Id,
    Ids,
    Int,
    ListOf,
    Name,
    Object,
    Parts,
    Plain,
    Text,
)
from torc_http.wire.plans import writer
from torc_http.wire.results import ResultModel
from torc_http.wire.settings import read_as
from torc_http.wire.turns import Ended, Print
from torc_http.x import asking
from torc_http.x.actions import intents
from torc_http.x.answering import ENDED

GROUP = "x"
ERRORS = (403, 404, 409, 422)
MOST_LISTED = 1_000

How = type("InitializeQuery", (Schema,), {"__doc__": "Whether the caller waits.", "async": Flag()})


class InitializeBody(Schema):
    """How to begin."""

    model = "XInitializeRequest"

    force = Flag()
    files = Parts(Print)
    dry_run = Flag()


class ResumeBody(Schema):
    """On which host, and in which life of it, runners are known to be dead."""

    model = "XResumeRequest"

    hostname = Name(required=True)
    boot_id = Text(longest=255, required=True)
    node_ids = Ids()


class ReconcileBody(Schema):
    """Results that a runner left behind."""

    model = "XReconcileRequest"

    results = Parts(Ended, required=True, most=10_000)


class Bound(Schema):
    """Jobs that are bound to a scheduler."""

    strict = True

    scheduler = Name(required=True)
    job_ids = Ids(required=True)


class Wanted(Schema):
    """Allocations that are wanted."""

    strict = True

    scheduler = Name(required=True)
    count = Int(minimum=1, maximum=10_000, required=True)
    nodes = Int(minimum=1, maximum=10_000)


class NewAction(Schema):
    """An action, with its jobs by id."""

    strict = True

    trigger_type = Text(required=True)
    action_type = Choice("run_commands", "schedule_nodes", required=True)
    action_config = Object(attribute="config", required=True)
    job_ids = Ids()
    trigger_mode = Choice("all", "any")
    persistent = Flag()
    is_recovery = Flag()


class ReplanBody(Schema):
    """What a planner decided."""

    model = "XReplanRequest"

    schedulers = ListOf(Object())
    assign = Parts(Bound)
    actions = Parts(NewAction)
    retire_actions = Ids()
    allocations = Parts(Wanted)
    newest_allocation_id = Id()


def initialize(call: Call) -> object:
    """Reset all jobs and start a new run."""
    return _begun(call, "initialize")


def reinitialize(call: Call) -> object:
    """Reset what changed since it ran, then start a new run with it."""
    return _begun(call, "reinitialize")


def _begun(call: Call, name: str) -> object:
    workflow, body = WorkflowId(call.id), call.body
    prints = [asking.print_of(one) for one in body.get("files", ())]
    there(call, workflow)
    if call.query.get("async") and not body.get("dry_run"):
        return begun(call, name, _options(body.get("force", False), prints))
    how = Initialize(force=body.get("force", False), fingerprints=prints)
    verb = call.store.renew if name == "initialize" else call.store.reinitialize
    with call.together():
        done = verb(workflow, how, dry_run=body.get("dry_run", False))
        told = renewed(call, workflow, done)
    if name == "reinitialize":
        told["reinitialized_jobs"] = [asdict(one) for one in done.changed]
    return told


def _options(force: bool, prints: Sequence[Fingerprint]) -> dict[str, Plain]:
    return {"force": force, "fingerprints": [asdict(one) for one in prints]}


def renewed(call: Call, workflow: WorkflowId, done: Renewed) -> dict[str, Plain]:
    """What an initialisation met and did."""
    inputs, progress = done.inputs, done.progress
    moved = {} if progress is None else progress.moved
    run = call.store.get(Workflow, workflow).run_id if progress is None else progress.run_id
    return {
        "safe": inputs.safe,
        "missing_input_files": [_file(one) for one in inputs.missing_files],
        "missing_user_data": [_datum(one) for one in inputs.missing_user_data],
        "existing_output_files": [_file(one) for one in inputs.existing_outputs],
        "run_id": run,
        "ready": moved.get("ready", 0),
        "blocked": moved.get("blocked", 0),
    }


def _file(one: File) -> str:
    return one.path


def _datum(one: UserData) -> str:
    return one.name


def resume(call: Call) -> object:
    """Make ready again what runners left that are known to be dead: those of an earlier life of the host, and those named."""
    workflow, body = WorkflowId(call.id), call.body
    there(call, workflow)
    named = set(body.get("node_ids", ()))
    query = Query(workflow=workflow, where={"hostname": body["hostname"], "is_active": True})
    with call.together():
        dead = [
            one.id
            for one in call.store.find(Node, query).items
            if one.id in named or (one.boot_id and body["boot_id"] and one.boot_id != body["boot_id"])
        ]
        before = {one.id for one in _ready(call, workflow)}
        call.store.resume(workflow, dead)
        ready = sorted({one.id for one in _ready(call, workflow)} - before)
    return {"ready": ready, "dead_node_ids": dead}


def _ready(call: Call, workflow: WorkflowId) -> Sequence[Job]:
    from torc_core.model import JobStatus

    return call.store.find(Job, Query(workflow=workflow, where={"status": JobStatus.READY})).items


def lost(call: Call) -> object:
    """Results that came too late, attempts that were lost with their node, and processes that are yet to be stopped."""
    workflow = WorkflowId(call.id)
    there(call, workflow)

    def events(category: str) -> list[Plain]:
        query = Query(workflow=workflow, where={"category": category}, limit=MOST_LISTED)
        return [
            {**one.data, "timestamp": one.timestamp} for one in call.store.find(Event, query).items
        ]  # fmt: skip

    results = call.store.find(
        Result, Query(workflow=workflow, where={"provisional": True}, limit=MOST_LISTED)
    )
    again = [one for one in events("job_retried") if "lost" in str(one.get("message", ""))]
    nodes = call.store.find(Node, Query(workflow=workflow)).items
    homes = {one.id: one.hostname for one in nodes}
    held = (
        call.store.find(Job, Query(workflow=workflow, where={"node_id": tuple(homes)})).items if homes else ()
    )
    return {
        "stale_results": events("different_result"),
        "provisional_results": [writer(ResultModel)(one) for one in results.items],
        "rescued_attempts": again,
        "kills_outstanding": [
            {
                "job_id": one.id, "attempt_id": one.attempt_id, "compute_node_id": one.node_id,
                "hostname": homes[NodeId(one.node_id)], "stop": "terminate" if one.stop > 1 else "cancel",
            }
            for one in held
            if one.stop and one.node_id is not None
        ],
    }  # fmt: skip


def reconcile(call: Call) -> object:
    """Take results from the spool of a runner that cannot reach the server any more."""
    endings = [
        asking.ending_of(one, NodeId(one["compute_node_id"]) if one.get("compute_node_id") else None)
        for one in call.body["results"]
    ]
    verdicts = call.store.reconcile(WorkflowId(call.id), endings)
    pairs = zip(endings, verdicts, strict=True)
    return {
        "results": [
            {"job_id": one.job, "attempt_id": one.attempt_id, "answer": ENDED[verdict]} for one, verdict in pairs
        ]
    }  # fmt: skip


def replan(call: Call) -> object:
    """Write what a planner decided, in one transaction; the intents."""
    body = call.body
    schedulers = read_as(list_of(SCHEDULER), "schedulers", body.get("schedulers", []))
    actions = body.get("actions", ())
    for index, one in enumerate(actions):
        _check_action(index, one)
    plan = Replan(
        schedulers=[
            PlannedScheduler(name=one["name"], fields={k: v for k, v in one.items() if k != "name"})
            for one in schedulers
        ],
        assign={one["scheduler"]: [JobId(job) for job in one["job_ids"]] for one in body.get("assign", ())},
        actions=[
            PlannedAction(
                trigger_type=one["trigger_type"], action_type=one["action_type"], config=one["config"],
                jobs=tuple(sorted(one.get("job_ids", ()))), trigger_mode=one.get("trigger_mode", "all"),
                persistent=one.get("persistent", False), is_recovery=one.get("is_recovery", False),
            )
            for one in actions
        ],
        retire=body.get("retire_actions", ()),
        allocations=[
            Intent(scheduler=one["scheduler"], count=one["count"], nodes=one.get("nodes", 1))
            for one in body.get("allocations", ())
        ],
        newest=body.get("newest_allocation_id"),
    )  # fmt: skip
    return {"allocations": intents(call.store.replan(WorkflowId(call.id), plan))}


def _check_action(index: int, one: dict[str, Any]) -> None:
    """Refuse an action that no spec document could have."""
    written = {"trigger_type": one["trigger_type"], "action_type": one["action_type"], **one["config"]}
    read_as(ACTION, f"actions[{index}]", written)


ROUTES = (
    Route(
        method="POST", path="/x/workflows/{id}/initialize", operation_id="x_initialize", access="operate", group=GROUP,
        of=Workflow, handler=initialize, query=How, body=InitializeBody(), answer=Anything(), size="batch",
        statuses=(202, *ERRORS), x=True, slow=True, summary="Reset all jobs and start a new run.",
    ),
    Route(
        method="POST", path="/x/workflows/{id}/reinitialize", operation_id="x_reinitialize", access="operate",
        group=GROUP, of=Workflow, handler=reinitialize, query=How, body=InitializeBody(), answer=Anything(), size="batch",
        statuses=(202, *ERRORS), x=True, slow=True, summary="Start a new run with what changed.",
    ),
    Route(
        method="POST", path="/x/workflows/{id}/resume", operation_id="x_resume", access="run", group=GROUP, of=Workflow,
        handler=resume, body=ResumeBody(), answer=Anything(), statuses=ERRORS, x=True,
        summary="Make ready again what dead runners of a host left.",
    ),
    Route(
        method="GET", path="/x/workflows/{id}/lost", operation_id="x_lost", access="read", group=GROUP, of=Workflow,
        handler=lost, answer=Anything(), statuses=(403, 404), x=True,
        summary="Late results, lost attempts, and kills outstanding.",
    ),
    Route(
        method="POST", path="/x/workflows/{id}/reconcile", operation_id="x_reconcile", access="run", group=GROUP,
        of=Workflow, handler=reconcile, body=ReconcileBody(), answer=Anything(), size="batch", statuses=ERRORS, x=True,
        summary="Take results from the spool of a runner that is cut off.",
    ),
    Route(
        method="POST", path="/x/workflows/{id}/replan", operation_id="x_replan", access="operate", group=GROUP,
        of=Workflow, handler=replan, body=ReplanBody(), answer=Anything(), size="batch", statuses=ERRORS, x=True,
        slow=True, summary="Write what a planner decided.",
    ),
)  # fmt: skip
