"""A whole workflow in one call and one transaction, everything referred to by name (`wire.md` §7.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from marshmallow import Schema

from torc_core.errors import Invalid
from torc_core.model import (
    FailureHandler,
    File,
    Initialize,
    Job,
    Plan,
    Query,
    Requirement,
    SlurmScheduler,
    UserData,
    WorkflowId,
)
from torc_core.spec.complaint import Complaint
from torc_core.spec.document import Path
from torc_core.spec.literal import OBJECTS, planned
from torc_core.spec.parse import Options
from torc_http.call import Answer, Call
from torc_http.keeping import Sent, once
from torc_http.routes import Route
from torc_http.wire.fields import Anything, Flag, Int, ListOf, Matching, Object, Plain
from torc_http.wire.values import told

GROUP = "x"
MOST_ERRORS = 100
MOST_WARNINGS = 100
PLACES = ("submission_directory", "source_path", "source_digest")
"""Settings that say where a workflow comes from: what commands add to a document."""

NAMED: Mapping[str, tuple[type[Any], str]] = {
    "jobs": (Job, "jobs"), "files": (File, "files"), "user_data": (UserData, "user_data"),
    "resource_requirements": (Requirement, "requirements"), "failure_handlers": (FailureHandler, "handlers"),
    "slurm_schedulers": (SlurmScheduler, "schedulers"),
}  # fmt: skip
"""What an answer names, each as a record and as a list of the plan."""


class PlanQuery(Schema):
    """Whether the answer lists the ids."""

    ids = Flag()


class PlanBody(Schema):
    """A whole workflow; objects are as in a specification, without parameters and regexes."""

    model = "PlanRequest"

    plan_version = Int(minimum=1, maximum=1, required=True)
    create_id = Matching(r"[A-Za-z0-9_-]{1,64}", required=True)
    workflow = Object(required=True)
    resource_requirements = ListOf(Anything())
    files = ListOf(Anything())
    user_data = ListOf(Anything())
    failure_handlers = ListOf(Anything())
    slurm_schedulers = ListOf(Anything())
    jobs = ListOf(Anything())
    dependency_sets = ListOf(Anything())
    actions = ListOf(Anything())
    initialize = Flag()
    dry_run = Flag()


def create(call: Call) -> object:
    """Create all of a plan, or nothing; the same `create_id` again is answered the same."""
    body = call.body
    # PERF: a hundred thousand jobs are planned in seconds, in which others may write.
    plan, complaints = _planned(call)
    if body.get("dry_run"):
        return _create(call, plan, complaints)
    raw = told([body, call.query], default=str)
    target = "POST /x/plans create_id"

    def do() -> Sent:
        return Sent(status=200, raw=told(_create(call, plan, complaints)))

    sent = once(call.service.store, call.identity, target, body["create_id"], raw, do)
    return Answer(status=sent.status, raw=sent.raw)


def _create(call: Call, plan: Plan, complaints: Sequence[Complaint]) -> dict[str, Plain]:
    initialize = call.body.get("initialize", False)
    answer: dict[str, Plain] = {
        "workflow_id": None,
        "counts": {
            "jobs": len(plan.jobs), "files": len(plan.files), "user_data": len(plan.user_data),
            "resource_requirements": len(plan.requirements), "failure_handlers": len(plan.handlers),
            "slurm_schedulers": len(plan.schedulers), "actions": len(plan.actions),
        },
        "ready": sum(not one.num_blockers for one in plan.jobs) if initialize else 0,
        "blocked": sum(bool(one.num_blockers) for one in plan.jobs) if initialize else 0,
        "warnings": [_told(one) for one in complaints[:MOST_WARNINGS]],
    }  # fmt: skip
    if call.body.get("dry_run"):
        return answer
    with call.together():
        workflow = call.store.create(plan, plan.workflow.user or call.principal.name)
        answer["workflow_id"] = workflow.id
        if initialize:
            # NOTE: nobody can have looked at files whose ids are new.
            progress = call.service.store.initialize(workflow.id, Initialize(unchecked=True))
            answer |= {"ready": progress.moved.get("ready", 0), "blocked": progress.moved.get("blocked", 0)}
        if call.query.get("ids"):
            answer["ids"] = {
                key: _ids(call, workflow.id, kind, getattr(plan, name)) for key, (kind, name) in NAMED.items()
            }
    return answer


def _planned(call: Call) -> tuple[Plan, Sequence[Complaint]]:
    """The plan of a body, and warnings.

    Raises
    ------
    Invalid
        With the first hundred errors, each with its pointer.
    """
    body = call.body
    settings = dict(body["workflow"])
    user = settings.pop("user", None)
    places = {name: settings.pop(name) for name in PLACES if settings.get(name) is not None}
    for name, value in places.items():
        if not isinstance(value, str):
            raise Invalid(
                f"workflow.{name}: expected text", details={"field": f"workflow.{name}", "value": value}
            )
    found = planned(
        settings,
        {key: body[key] for key in OBJECTS if key in body},
        Options(no_resource_monitoring=True, **places),
    )
    if found.plan is None:
        errors = [_told(one) for one in found.errors[:MOST_ERRORS]]
        first = errors[0]
        more = f" (and {len(found.errors) - 1} more)" if len(found.errors) > 1 else ""
        message = f"the plan is not valid: {first['pointer'] or '/'}: {first['message']}{more}"
        raise Invalid(
            message, details={"errors": [{**one, "value": _value(body, one["pointer"])} for one in errors]}
        )
    trusted = isinstance(user, str) and user and call.service.gate.trusts_names
    workflow = replace(found.plan.workflow, user=user if trusted else call.principal.name)
    return replace(found.plan, workflow=workflow), found.warnings


def _told(complaint: Complaint) -> dict[str, Plain]:
    return {"pointer": pointer(complaint.path), "message": complaint.message, "code": complaint.code}


def pointer(path: Path) -> str:
    """Where something stands in the body of the call, as a JSON pointer (RFC 6901)."""
    whole: Path = path if not path or path[0] in OBJECTS else ("workflow", *path)
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in whole)


def _value(body: Mapping[str, Any], pointer: str) -> Plain:
    """A value by its pointer, when it is one that can be shown."""
    found: Any = body
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return found if isinstance(found, str | int | float | bool) else None


def _ids(call: Call, workflow: WorkflowId, kind: type[Any], planned: Sequence[Any]) -> dict[str, int]:
    # PERF: ids ascend in the order of a plan; a hundred thousand records are read in half a second in which nobody
    # else could write.
    first = call.service.store.find(kind, Query(workflow=workflow, limit=1)).items if planned else ()
    return {one.name: first[0].id + at for at, one in enumerate(planned)}


ROUTES = (
    Route(
        method="POST", path="/x/plans", operation_id="x_create_plan", access="user", group=GROUP, handler=create,
        query=PlanQuery, body=PlanBody(), answer=Anything(), size="bulk", statuses=(403, 413, 422), x=True,
        summary="Create a whole workflow in one transaction.",
    ),
)  # fmt: skip
