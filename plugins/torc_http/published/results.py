"""Results (`wire.md` §3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torc_core.errors import Invalid
from torc_core.model import Job, JobUsage, Result, ResultId
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, Noun, same_place, spread, there, together_with
from torc_http.routes import Route
from torc_http.wire.fields import Flag, Id, IdOrNone, Int, Status
from torc_http.wire.lists import OfWorkflow, asked, page_of
from torc_http.wire.results import ResultModel

NOUN = Noun(kind=Result, schema=ResultModel, path="/results", group="results", access="own", wordy=True)

KEYS = ("job_id", "attempt_id", "workflow_id", "id")


class Asked(OfWorkflow):
    """Which results; without `all_runs` only the current one of each job."""

    job_id = Id()
    run_id = Int(minimum=0)
    return_code = Int()
    status = Status()
    compute_node_id = IdOrNone()
    all_runs = Flag()


def create(call: Call) -> object:
    """Store a result by hand; the job stays as it is."""
    body = call.body
    job = call.store.get(Job, body["job_id"])
    if job.workflow_id != body["workflow_id"]:
        raise Invalid(
            f"job {job.id} is of workflow {job.workflow_id}, not {body['workflow_id']}",
            details={"field": "workflow_id", "value": body["workflow_id"]},
        )
    result = Result(
        id=ResultId(0),
        workflow_id=job.workflow_id,
        job_id=job.id,
        job_name=job.name,
        run_id=body["run_id"],
        attempt_id=body.get("attempt_id", job.attempt_id),
        node_id=body["node_id"] or None,
        status=body["status"],
        return_code=body["return_code"],
        reason=body.get("reason"),
        exec_minutes=body["exec_minutes"],
        completed_at=body["completed_at"],
        usage=JobUsage(**spread(body, "usage")),
    )
    return NOUN.one(call, call.store.add([result])[0])


def list_(call: Call) -> object:
    """A page of the results of a workflow."""
    query = call.query
    there(call, query["workflow_id"])
    where = {name: query.get(name) for name in ("job_id", "run_id", "return_code", "status")}
    where["node_id"] = query.get("compute_node_id")
    where["current"] = None if query.get("all_runs") else True
    found = call.store.find(Result, asked(Result, ResultModel, query, query["workflow_id"], where))
    return page_of(found, NOUN.shown(call, found.items), query)


def update(call: Call) -> object:
    """Change a result; null keeps, and what it is the result of stays."""
    body = call.body
    with call.together():
        stored = call.store.get(Result, call.id)
        same_place(call, stored, body, *KEYS)
        if body["run_id"]:
            same_place(call, stored, body, "run_id")
        changed = call.store.change(Result, call.id, _changes(stored, body))
    return NOUN.one(call, changed)


def _changes(stored: Result, body: Mapping[str, Any]) -> Mapping[str, Any]:
    names = ("status", "return_code", "reason", "exec_minutes", "completed_at")
    fields: dict[str, Any] = {name: body[name] for name in names if name in body}
    if body.get("node_id"):
        fields["node_id"] = body["node_id"]
    usage = spread(body, "usage")
    if usage:
        fields["usage"] = JobUsage(**together_with(stored.usage, usage))
    return fields


ROUTES = (
    Route(
        method="POST", path="/results", operation_id="create_result", access="run", group="results", handler=create,
        body=ResultModel(), answer=ResultModel(), statuses=ERRORS, summary="Store a result by hand.",
    ),
    Route(
        method="GET", path="/results", operation_id="list_results", access="read", group="results", handler=list_,
        query=Asked, answer=NOUN.answer(), statuses=ERRORS, summary="List the results of a workflow.",
    ),
    Route(
        method="PUT", path="/results/{id}", operation_id="update_result", access="own", group="results", of=Result,
        handler=update, body=ResultModel(), answer=ResultModel(), statuses=ERRORS,
        summary="Change a result; null keeps.",
    ),
    *NOUN.routes(get="get_result", remove="delete_result", remove_all="delete_results"),
)  # fmt: skip
