"""The life of attempts as published clients drive it: claimed, started, ended, retried (`wire.md` §3.3, §3.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema

from torc_core.engine.claim import room
from torc_core.engine.explain import explain_empty, nothing_ready
from torc_core.errors import BadValue, Conflict, Invalid, NotFound
from torc_core.model import (
    Ending,
    Job,
    JobId,
    JobStatus,
    JobUsage,
    NodeId,
    Offer,
    Query,
    Requirement,
    SchedulerId,
    Shape,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.model import Resources as Amount
from torc_core.model.resources import duration_seconds
from torc_http.call import Call
from torc_http.published.jobs import bodies
from torc_http.published.nouns import ERRORS, spread, there
from torc_http.routes import Route
from torc_http.wire.fields import LABELS, Flag, Int, Plain
from torc_http.wire.jobs import ClaimedByResources, ClaimedNext, Completed, Completions, JobModel, Resources
from torc_http.wire.results import ResultModel

GROUP = "jobs"
MOST_JOBS = 10_000
"""Jobs of one claim, and completions of one call."""

MOST_NODES = 10_000
EXPLAINED = 1_000
"""With more ready jobs than this an empty claim is not explained one by one."""

ENDS = (
    JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.TERMINATED, JobStatus.PENDING_FAILED,
)  # fmt: skip
TAKEN = (Verdict.DONE, Verdict.SAME, Verdict.RETRY)
REFUSALS = (Conflict, Invalid, NotFound)
"""What a store says of one entry; all else is about the store itself, and fails the whole call."""


class Strictly(Schema):
    """Whether jobs of other schedulers are left alone in any case."""

    strict_scheduler_match = Flag()


class Some(Schema):
    """How many jobs at most."""

    limit = Int(minimum=0, maximum=MOST_JOBS, load_default=10)


class Limited(Schema):
    """How many attempts a job has at most."""

    max_retries = Int(minimum=0, required=True)


def claim_fitting(call: Call) -> object:
    """Hand out ready jobs that fit what one node offers."""
    body = call.body
    limit = min(call.ids["limit"], MOST_JOBS)
    there(call, call.id)
    if limit <= 0:
        return {"jobs": [], "reason": f"the limit is {call.ids['limit']}; nothing was asked for"}
    one = Amount(cpus=body["num_cpus"], memory=body["memory_gb"], gpus=body["num_gpus"])
    scheduler = body.get("scheduler_config_id")
    offer = Offer(
        claim_id=call.clock.uuid(),
        free=[one] * min(body["num_nodes"], MOST_NODES),
        limit=limit,
        time_limit=_seconds(body),
        start=False,
        strict_scheduler_match=call.query.get("strict_scheduler_match", False),
        scheduler=None if scheduler is None else SchedulerId(scheduler),
        node=NodeId(body["id"]) if "id" in body else None,
    )
    return _claimed(call, offer)


def _seconds(body: Mapping[str, Any]) -> int | None:
    text = body.get("time_limit")
    if not text:
        return None
    try:
        return duration_seconds(text)
    except BadValue as error:
        raise Invalid(f"time_limit: {error}", details={"field": "time_limit", "value": text}) from None


def claim_next(call: Call) -> object:
    """Hand out ready jobs by priority and id alone."""
    there(call, call.id)
    offer = Offer(claim_id=call.clock.uuid(), free=[], limit=call.query["limit"], by_count=True, start=False)
    return _claimed(call, offer)


def _claimed(call: Call, offer: Offer) -> dict[str, Plain]:
    jobs = bodies(call, [one.job for one in call.store.claim(WorkflowId(call.id), offer)])
    return {"jobs": jobs} if jobs else {"jobs": [], "reason": _why_none(call, offer)}


def _why_none(call: Call, offer: Offer) -> str:
    """Why a claim got nothing, in words."""
    totals = call.store.totals([WorkflowId(call.id)])[0]
    workflow, ready = totals.workflow, totals.counts.get(JobStatus.READY, 0)
    if workflow.is_canceled or workflow.is_archived:
        return f"workflow {workflow.id} is {'canceled' if workflow.is_canceled else 'archived'}; it hands out no jobs"
    if offer.limit < 1:
        return "the limit is 0; nothing was asked for"
    if not ready:
        return nothing_ready(totals.counts)
    if ready > EXPLAINED or offer.by_count:
        return f"none of the {ready} ready jobs fits what was offered"
    return explain_empty(_shapes(call).items(), room(offer, None, Amount())).reason


def _shapes(call: Call) -> Counter[Shape]:
    """How many ready jobs there are of each shape."""
    workflow = WorkflowId(call.id)
    query = Query(workflow=workflow, where={"status": JobStatus.READY}, limit=EXPLAINED)
    jobs = call.store.find(Job, query).items
    ids = tuple({job.requirement_id for job in jobs})
    needs = {
        one.id: one for one in call.store.find(Requirement, Query(workflow=workflow, where={"id": ids})).items
    }
    return Counter(_shape(job, needs[job.requirement_id]) for job in jobs if job.requirement_id in needs)


def _shape(job: Job, need: Requirement) -> Shape:
    return Shape(
        cpus=need.num_cpus, memory=need.memory_bytes, gpus=need.num_gpus, nodes=need.num_nodes, runtime=need.runtime_s,
        scheduler=job.scheduler_id, label=job.label,
    )  # fmt: skip


def start(call: Call) -> object:
    """Record that a job runs on a node; a second time is no harm."""
    node = NodeId(call.ids["compute_node_id"])
    with call.together():
        job = call.store.get(Job, call.id)
        if job.status.live and job.node_id not in (None, node):
            raise Conflict(f"job {job.id} is {job.status.label} on node {job.node_id}, not on {node}")
        try:
            call.store.start(job.id, call.ids["run_id"], node)
        except Conflict as error:
            raise Invalid(str(error), details={**error.details, "value": job.status.label}) from error
        job = call.store.get(Job, call.id)
    return bodies(call, [job])[0]


def complete(call: Call) -> object:
    """Record the end of a job."""
    status = _status(call)
    job = call.store.get(Job, call.id)
    ending = _ending(job.id, job.workflow_id, status, call.ids["run_id"], call.body)
    call.store.finish(job.workflow_id, [ending])
    return bodies(call, [call.store.get(Job, call.id)])[0]


def _status(call: Call) -> JobStatus:
    text = call.ids["status"]
    if text not in LABELS:
        raise Invalid(
            f"status '{text}' in the path is no job status; choose from {', '.join(LABELS)}",
            details={"field": "status", "value": text},
        )
    return LABELS[text]


def _ending(
    job: JobId, workflow: WorkflowId, status: JobStatus, run_id: int, result: Mapping[str, Any]
) -> Ending:
    """What a result says of a job, when it speaks of that job.

    Raises
    ------
    Invalid
        Naming the field that says something else.
    """
    if status not in ENDS:
        raise Invalid(
            f"a job cannot be completed as {status.label}; choose from {', '.join(one.label for one in ENDS)}",
            details={"field": "status", "value": status.label},
        )
    told = {"job_id": job, "workflow_id": workflow, "status": status}
    for name, meant in told.items():
        if result[name] != meant:
            shown = status.label if name == "status" else meant
            value = result[name].label if name == "status" else result[name]
            raise Invalid(
                f"{name} of the result is {value}, but {shown} is meant",
                details={"field": name, "value": value},
            )
    if 0 not in (run_id, result["run_id"]) and result["run_id"] != run_id:
        raise Invalid(
            f"run_id of the result is {result['run_id']}, but {run_id} is meant",
            details={"field": "run_id", "value": result["run_id"]},
        )
    return Ending(
        job=job,
        run_id=run_id or result["run_id"],
        attempt_id=result.get("attempt_id", 0),
        lease=None,
        status=status,
        return_code=result["return_code"],
        reason=result.get("reason"),
        exec_minutes=result["exec_minutes"],
        completed_at=result["completed_at"],
        node=NodeId(result["node_id"]) if result["node_id"] else None,
        usage=JobUsage(**spread(result, "usage")),
    )


def complete_many(call: Call) -> object:
    """Record the ends of many jobs; a refused one spoils no other."""
    entries = call.body["completions"]
    if len(entries) > MOST_JOBS:
        raise Invalid(
            f"completions has {len(entries)} entries; at most {MOST_JOBS} are taken",
            details={"field": "completions", "value": len(entries)},
        )
    workflow = WorkflowId(call.id)
    there(call, workflow)
    errors: list[tuple[int, str]] = []
    endings: list[Ending] = []
    known = _known(call, workflow, [entry["job_id"] for entry in entries])
    for entry in entries:
        job = JobId(entry["job_id"])
        try:
            if job not in known:
                raise Invalid(f"workflow {workflow} has no job {job}")
            endings.append(_ending(job, workflow, entry["status"], entry["run_id"], entry["result"]))
        except Invalid as error:
            errors.append((job, str(error)))
    completed = _finished(call, workflow, endings, errors)
    return {
        "completed": completed,
        "errors": [{"job_id": job, "message": message} for job, message in errors],
    }


def _known(call: Call, workflow: WorkflowId, ids: Sequence[int]) -> set[int]:
    if not ids:
        return set()
    query = Query(workflow=workflow, where={"id": tuple(dict.fromkeys(ids))})
    return {one.id for one in call.store.find(Job, query).items}


def _finished(
    call: Call, workflow: WorkflowId, endings: Sequence[Ending], errors: list[tuple[int, str]]
) -> list[int]:
    """The jobs whose ends were taken; why others were not is asked one by one, since nothing changes by it."""
    if len(endings) == 1:
        verdicts: Sequence[Verdict] = [Verdict.STALE]
    else:
        verdicts = call.store.finish(workflow, endings) if endings else []
    completed: list[int] = []
    for ending, verdict in zip(endings, verdicts, strict=True):
        taken = verdict in TAKEN
        if not taken:
            try:
                call.store.finish(workflow, [ending])
                taken = True
            except REFUSALS as error:
                errors.append((ending.job, str(error)))
        if taken:
            completed.append(ending.job)
    return completed


def move(call: Call) -> object:
    """Set a status by hand."""
    job = call.store.move(JobId(call.id), _status(call), call.ids["run_id"])
    return bodies(call, [job])[0]


def retry(call: Call) -> object:
    """Make a job ready with its next attempt."""
    job = call.store.retry(JobId(call.id), call.ids["run_id"], max_retries=call.query["max_retries"])
    return bodies(call, [job])[0]


ROUTES = (
    Route(
        method="POST", path="/workflows/{id}/claim_jobs_based_on_resources/{limit}",
        operation_id="claim_jobs_based_on_resources", access="run", group="workflows", of=Workflow,
        handler=claim_fitting, query=Strictly, body=Resources(), answer=ClaimedByResources(),
        summary="Hand out ready jobs that fit what is offered.",
    ),
    Route(
        method="POST", path="/workflows/{id}/claim_next_jobs", operation_id="claim_next_jobs", access="run",
        group="workflows", of=Workflow, handler=claim_next, query=Some, answer=ClaimedNext(),
        summary="Hand out ready jobs by priority.",
    ),
    Route(
        method="PUT", path="/jobs/{id}/start_job/{run_id}/{compute_node_id}", operation_id="start_job", access="run",
        group=GROUP, of=Job, handler=start, answer=JobModel(), statuses=ERRORS, summary="Record that a job runs.",
    ),
    Route(
        method="POST", path="/jobs/{id}/complete_job/{status}/{run_id}", operation_id="complete_job", access="run",
        group=GROUP, of=Job, handler=complete, body=ResultModel(), answer=JobModel(), statuses=ERRORS,
        summary="Record the end of a job.",
    ),
    Route(
        method="POST", path="/workflows/{id}/batch_complete_jobs", operation_id="batch_complete_jobs", access="run",
        group="workflows", of=Workflow, handler=complete_many, body=Completions(), answer=Completed(), size="batch",
        statuses=ERRORS, since="0.21.0", summary="Record the ends of many jobs.",
    ),
    Route(
        method="PUT", path="/jobs/{id}/manage_status_change/{status}/{run_id}", operation_id="manage_status_change",
        access="run", group=GROUP, of=Job, handler=move, answer=JobModel(), statuses=ERRORS,
        summary="Set the status of a job by hand.",
    ),
    Route(
        method="POST", path="/jobs/{id}/retry/{run_id}", operation_id="retry_job", access="run", group=GROUP, of=Job,
        handler=retry, query=Limited, answer=JobModel(), statuses=(403, 404, 422, 500),
        summary="Make a job ready with its next attempt.",
    ),
)  # fmt: skip
