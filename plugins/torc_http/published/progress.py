"""How far a workflow is, and what its jobs wait for (`wire.md` §3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema

from torc_core.errors import Invalid
from torc_core.model import (
    Job,
    JobDependency,
    JobFile,
    JobStatus,
    JobUserData,
    Query,
    RunningJob,
    SchedulerId,
    SlurmCorrelation,
    Totals,
    Workflow,
    WorkflowId,
)
from torc_core.model.resources import GIB
from torc_core.store.standing import additions
from torc_http.call import Call
from torc_http.published.nouns import ERRORS, there
from torc_http.routes import Route
from torc_http.wire.durations import iso_duration
from torc_http.wire.fields import Choice, Flag, Id, Plain
from torc_http.wire.jobs import (
    CorrelationModel,
    JobDependencyModel,
    JobFileModel,
    JobIds,
    JobUserDataModel,
    RunningJobModel,
)
from torc_http.wire.lists import MOST, Paging, Sorting, limit_of, listing, page_of
from torc_http.wire.plans import writer
from torc_http.wire.workflows import (
    IsComplete,
    IsUninitialized,
    MissingUserData,
    ReadyNeedsAnswer,
    RequiredFiles,
    StatusAnswer,
    StatusBody,
)

GROUP = "workflows"


class OfScheduler(Schema):
    """Of which scheduler."""

    scheduler_config_id = Id()


class Viewed(Schema):
    """How much is told."""

    view = Choice("full")
    by_stage = Flag()


def status(call: Call) -> object:
    """How far a workflow is; `view=full`: also how long, and what it waits for; `by_stage`: by groups of jobs too."""
    by_stage = bool(call.query.get("by_stage"))
    if call.query.get("view") != "full" and not by_stage:
        totals = _totals(call)
        return status_body(totals.workflow, totals)
    look = call.store.standing(WorkflowId(call.id), by_stage=by_stage)
    return {**status_body(look.totals.workflow, look.totals), **additions(look, call.clock.now())}


def _totals(call: Call) -> Totals:
    return call.store.totals([WorkflowId(call.id)])[0]


def status_body(workflow: Workflow, totals: Totals) -> Mapping[str, Plain]:
    """What both generations of clients want to know, in one body."""
    took = totals.walltime_seconds
    walltime: dict[str, Plain] = {} if took is None else {"walltime_seconds": took}
    return {
        "workflow_id": workflow.id,
        "workflow_name": workflow.name,
        "workflow_user": workflow.user,
        "total_jobs": totals.total,
        "jobs_by_status": {one.label: totals.counts.get(one, 0) for one in JobStatus},
        "total_exec_time_minutes": totals.exec_minutes,
        **walltime,
        "active_compute_nodes": totals.active_nodes,
        "pending_scheduled_nodes": totals.pending_allocations,
        "active_scheduled_nodes": totals.active_allocations,
        "is_complete": totals.complete,
        **flags(workflow),
    }


def flags(workflow: Workflow) -> Mapping[str, Plain]:
    """The flags of a workflow."""
    return {
        "id": workflow.id,
        "run_id": workflow.run_id,
        "is_canceled": workflow.is_canceled,
        "is_archived": workflow.is_archived,
        "has_detected_need_to_run_completion_script": False,
    }


def update_status(call: Call) -> object:
    """Set the flags and the run of a workflow as older clients do; null keeps."""
    body, workflow = call.body, WorkflowId(call.id)
    with call.together():
        stored = call.store.get(Workflow, call.id)
        if body["run_id"] and body["run_id"] != stored.run_id:
            call.store.set_run(workflow, body["run_id"])
        if body["is_canceled"] != stored.is_canceled:
            if body["is_canceled"]:
                call.store.cancel(workflow)
            else:
                call.store.reset_workflow(workflow, force=True)
        if "is_archived" in body and body["is_archived"] != stored.is_archived:
            call.store.archive(workflow, body["is_archived"])
    return status(call)


def is_complete(call: Call) -> object:
    """Whether nothing is left to do."""
    totals = _totals(call)
    return {
        "is_complete": totals.complete,
        "is_canceled": totals.workflow.is_canceled,
        "needs_to_run_completion_script": False,
    }


def is_uninitialized(call: Call) -> object:
    """Whether every job is uninitialized or disabled."""
    counts = _totals(call).counts
    others = [one for one, count in counts.items() if count]
    return {"is_uninitialized": set(others) <= {JobStatus.UNINITIALIZED, JobStatus.DISABLED}}


def job_ids(call: Call) -> object:
    """The ids of all jobs."""
    there(call, call.id)
    ids: list[int] = []
    while True:
        above = ids[-1] if ids else 0
        page = call.store.find(Job, Query(workflow=WorkflowId(call.id), above=above, limit=MOST))
        ids += [one.id for one in page.items]
        if len(page.items) < MOST:
            return {"job_ids": ids, "count": len(ids)}


def required_files(call: Call) -> object:
    """The files that have to exist."""
    there(call, call.id)
    return {"files": sorted(one.id for one in call.store.required_files(WorkflowId(call.id)))}


def missing_user_data(call: Call) -> object:
    """The user data that have to have a value."""
    there(call, call.id)
    return {"user_data": sorted(one.id for one in call.store.missing_user_data(WorkflowId(call.id)))}


def ready_needs(call: Call) -> object:
    """Sums and maxima over the ready jobs."""
    there(call, call.id)
    scheduler: Any = call.query.get("scheduler_config_id")
    needs = call.store.ready_needs(WorkflowId(call.id), None if scheduler is None else SchedulerId(scheduler))
    return {
        "num_jobs": needs.num_jobs,
        "num_cpus": needs.num_cpus,
        "num_gpus": needs.num_gpus,
        "memory_gb": needs.memory_bytes / GIB,
        "max_num_nodes": needs.max_num_nodes,
        "max_runtime": iso_duration(needs.max_runtime_s),
    }


def _pairs(kind: type[Any], schema: type[Schema]) -> Any:
    def answer(call: Call) -> object:
        there(call, call.id)
        query = call.query
        name = query.get("sort_by")
        if name is not None and name not in _ORDERS[kind]:
            raise Invalid(
                f"parameter sort_by: this list cannot be sorted by '{name}'; choose from {', '.join(_ORDERS[kind])}",
                details={"field": "sort_by", "value": name},
            )
        wanted = Query(workflow=WorkflowId(call.id), offset=query["offset"], limit=limit_of(query))
        found = call.store.find(kind, wanted)
        write = writer(schema)
        return page_of(found, [write(one) for one in found.items], query)

    return answer


_ORDERS: Mapping[type[Any], tuple[str, ...]] = {
    JobDependency: ("job_id",),
    JobFile: ("file_id",),
    JobUserData: ("user_data_id",),
    RunningJob: ("job_id",),
    SlurmCorrelation: ("job_id",),
}
"""How the lists of derived pairs are ordered; they cannot be ordered otherwise."""


def _pair_route(
    path: str, operation: str, kind: type[Any], schema: type[Schema], model: str, summary: str
) -> Route:
    sorts = kind not in (RunningJob, SlurmCorrelation)
    return Route(
        method="GET", path=f"/workflows/{{id}}/{path}", operation_id=operation, access="read", group=GROUP,
        handler=_pairs(kind, schema), query=Sorting if sorts else Paging, answer=listing(schema, model)(),
        statuses=() if sorts else ERRORS, summary=summary,
    )  # fmt: skip


ROUTES = (
    Route(
        method="GET", path="/workflows/{id}/status", operation_id="get_workflow_status", access="read", group=GROUP,
        handler=status, query=Viewed, answer=StatusAnswer(), statuses=ERRORS, summary="Tell how far a workflow is.",
    ),
    Route(
        method="PUT", path="/workflows/{id}/status", operation_id="update_workflow_status", access="operate",
        group=GROUP, handler=update_status, body=StatusBody(), answer=StatusAnswer(), legacy=True,
        summary="Set the flags of a workflow as older clients do.",
    ),
    Route(
        method="GET", path="/workflows/{id}/is_complete", operation_id="is_workflow_complete", access="read",
        group=GROUP, handler=is_complete, answer=IsComplete(), summary="Tell whether nothing is left to do.",
    ),
    Route(
        method="GET", path="/workflows/{id}/is_uninitialized", operation_id="is_workflow_uninitialized", access="read",
        group=GROUP, handler=is_uninitialized, answer=IsUninitialized(), summary="Tell whether no job is initialised.",
    ),
    Route(
        method="GET", path="/workflows/{id}/job_ids", operation_id="list_job_ids", access="read", group=GROUP,
        handler=job_ids, answer=JobIds(), summary="List the ids of all jobs.",
    ),
    Route(
        method="GET", path="/workflows/{id}/required_existing_files", operation_id="list_required_existing_files",
        access="read", group=GROUP, handler=required_files, answer=RequiredFiles(),
        summary="List the files that have to exist.",
    ),
    Route(
        method="GET", path="/workflows/{id}/missing_user_data", operation_id="list_missing_user_data", access="read",
        group=GROUP, handler=missing_user_data, answer=MissingUserData(), summary="List user data without a value.",
    ),
    Route(
        method="GET", path="/workflows/{id}/ready_job_requirements", operation_id="get_ready_job_requirements",
        access="read", group=GROUP, handler=ready_needs, query=OfScheduler, answer=ReadyNeedsAnswer(),
        summary="Sum up what the ready jobs need.",
    ),
    _pair_route(
        "job_dependencies", "list_job_dependencies", JobDependency, JobDependencyModel, "ListJobDependenciesResponse",
        "List which job waits for which.",
    ),
    _pair_route(
        "job_file_relationships", "list_job_file_relationships", JobFile, JobFileModel,
        "ListJobFileRelationshipsResponse", "List files with the jobs that write and read them.",
    ),
    _pair_route(
        "job_user_data_relationships", "list_job_user_data_relationships", JobUserData, JobUserDataModel,
        "ListJobUserDataRelationshipsResponse", "List user data with the jobs that write and read them.",
    ),
    _pair_route(
        "running_jobs", "get_running_jobs", RunningJob, RunningJobModel, "RunningJobsResponse",
        "List the running jobs and where they run.",
    ),
    _pair_route(
        "slurm_job_correlations", "get_slurm_job_correlations", SlurmCorrelation, CorrelationModel,
        "SlurmJobCorrelationsResponse", "List jobs with the batch jobs in which they ran.",
    ),
)  # fmt: skip
