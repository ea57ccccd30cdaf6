"""Jobs as records: created, listed, changed, removed, spawned (`wire.md` §3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torc_core.errors import Invalid
from torc_core.model import (
    Job,
    JobId,
    JobRelations,
    JobStatus,
    NewJob,
    Spawn,
    SpawnJob,
)
from torc_core.store.fields import FIELDS
from torc_http.call import Call
from torc_http.published.files import one_workflow
from torc_http.published.nouns import ERRORS, Noun, there
from torc_http.routes import Route
from torc_http.wire.fields import Flag, Id, Plain, Status, Text
from torc_http.wire.jobs import GIVEN, RELATIONS, CreatedJobs, JobModel, Jobs, SpawnAnswer, SpawnRequest
from torc_http.wire.lists import OfWorkflow, asked, envelope, inside, limit_of, listing
from torc_http.wire.plans import writer

GROUP = "jobs"
CREATION = (403, 404, 422, 500)
MOST_RELATIONS = 1_000_000
"""Ids of relations that one page carries."""

LISTS = ("depends_on", "input_files", "output_files", "input_user_data", "output_user_data")
FIXED = (
    "id",
    "workflow_id",
    "attempt_id",
    "node_id",
    "start_time",
    "origin",
    "reason",
    "run_id",
    "schedule_compute_nodes",
)
"""What no change of a job may touch."""


class Asked(OfWorkflow):
    """Which jobs."""

    status = Status()
    needs_file_id = Id()
    upstream_job_id = Id()
    active_compute_node_id = Id()
    include_relationships = Flag()
    origin_is_set = Flag()
    name = Text()
    command = Text()


def bodies(call: Call, jobs: Sequence[Job], *, relations: bool = True) -> list[Plain]:
    """Jobs as bodies, with their five lists."""
    write = writer(JobModel, without=RELATIONS)
    found = [write(job) for job in jobs]
    if relations and jobs:
        lists = {one.job_id: one for one in call.store.relations([job.id for job in jobs])}
        for body, job in zip(found, jobs, strict=True):
            if job.id in lists:
                body.update(related(lists[job.id]))
    return found


def related(one: JobRelations) -> dict[str, Plain]:
    """The five lists of a job."""
    return {
        "depends_on_job_ids": list(one.depends_on),
        "input_file_ids": list(one.input_files),
        "output_file_ids": list(one.output_files),
        "input_user_data_ids": list(one.input_user_data),
        "output_user_data_ids": list(one.output_user_data),
    }


NOUN = Noun(access_to_all="own", kind=Job, schema=JobModel, path="/jobs", group=GROUP, show=bodies)


def create(call: Call) -> object:
    """Add a job."""
    return _added(call, [call.body])[0]


def create_many(call: Call) -> object:
    """Add jobs of one workflow, all or none."""
    jobs = call.body["jobs"]
    one_workflow(jobs)
    if jobs:
        there(call, jobs[0]["workflow_id"])
    return {"jobs": _added(call, jobs)}


_SENT = dict(zip(RELATIONS, LISTS, strict=True))


def _added(call: Call, sent: Sequence[Mapping[str, Any]]) -> list[Plain]:
    new = [NewJob(**{name: body[name] for name in GIVEN if name in body}) for body in sent]
    write = writer(JobModel, without=RELATIONS)
    found = [write(job) for job in call.store.add_jobs(new)]
    for body, given in zip(found, sent, strict=True):
        for name, field in _SENT.items():
            body[name] = sorted(given.get(field, ()))
    return found


def list_(call: Call) -> object:
    """A page of the jobs of a workflow."""
    query = call.query
    there(call, query["workflow_id"])
    where = {name: query.get(name) for name in ("status", "needs_file_id", "upstream_job_id")}
    where["node_id"] = query.get("active_compute_node_id")
    if "origin_is_set" in query:
        where["origin"] = ("retry", "spawn") if query["origin_is_set"] else (None,)
    like = {name: inside(query[name]) for name in ("name", "command") if name in query}
    found = call.store.find(Job, asked(Job, JobModel, query, query["workflow_id"], where, like))
    items = list(found.items)
    if query.get("include_relationships"):
        return envelope(_whole(call, items), found.total, query["offset"], limit_of(query))
    return envelope(bodies(call, items, relations=False), found.total, query["offset"], limit_of(query))


def _whole(call: Call, jobs: Sequence[Job]) -> list[Plain]:
    """Jobs with their lists, as many as have no more than a million ids together, but at least one."""
    found: list[Plain] = []
    ids = 0
    for start in range(0, len(jobs), 1_000):
        for body in bodies(call, jobs[start : start + 1_000]):
            ids += sum(len(body.get(name, ())) for name in RELATIONS)
            if ids > MOST_RELATIONS and found:
                return found
            found.append(body)
    return found


def update(call: Call) -> object:
    """Change a job; null keeps, and what is equal is no change."""
    with call.together():
        stored = call.store.get(Job, call.id)
        lists = next(iter(call.store.relations([JobId(call.id)])), JobRelations(job_id=JobId(call.id)))
        changes = {
            name: value
            for name, value in call.body.items()
            if not _equal(name, value, _value(stored, lists, name))
        }
        _check(stored, changes)
        if changes.get("depends_on"):
            _check_circle(call, stored, changes["depends_on"])
        job = call.store.change(Job, call.id, changes) if changes else stored
        return bodies(call, [job])[0]


def _value(job: Job, lists: JobRelations, name: str) -> Any:
    return getattr(lists if name in LISTS else job, name)


def _equal(name: str, value: Any, stored: Any) -> bool:
    if name in LISTS:
        return sorted(value) == sorted(stored)
    if value in ("", {}) and stored is None:
        return True
    return bool(value == stored)


def _check(job: Job, changes: Mapping[str, Any]) -> None:
    """Refuse what may not change, or not any more.

    Raises
    ------
    Invalid
        Naming every such field.
    """
    late = job.status is not JobStatus.UNINITIALIZED
    refused = [
        name for name in changes if name in FIXED or name in LISTS[1:] or (late and name in FIELDS[Job].early)
    ]
    if refused:
        names = ", ".join(_ON_WIRE.get(name, name) for name in refused)
        why = f"job {job.id} is {job.status.label}" if late else f"of job {job.id} these never change"
        raise Invalid(f"{names} cannot be changed: {why}", details={"field": names, "value": None})


def _check_circle(call: Call, job: Job, blockers: Sequence[JobId]) -> None:
    """Refuse blockers that wait for the job themselves.

    Raises
    ------
    Invalid
        Naming the blocker that does.
    """
    seen: set[JobId] = set()
    for blocker in blockers:
        level = {blocker} - seen
        while level:
            if job.id in level:
                raise Invalid(
                    f"depends_on_job_ids: job {job.id} cannot wait for job {blocker}, which waits for it",
                    details={"field": "depends_on_job_ids", "value": blocker},
                )
            seen |= level
            level = {one for found in call.store.relations(sorted(level)) for one in found.depends_on} - seen


_ON_WIRE = {field.attribute or name: name for name, field in JobModel().fields.items()}


def spawn(call: Call) -> object:
    """Add jobs in the name of a running one."""
    body = call.body
    jobs = [SpawnJob(**entry) for entry in body["jobs"]]
    spawned = call.store.spawn(
        JobId(call.id), Spawn(jobs=jobs, lineage=body.get("lineage"), state=body.get("state"))
    )
    return {"iteration": spawned.iteration, "spawned_job_ids": list(spawned.jobs)}


ROUTES = (
    Route(
        method="POST", path="/bulk_jobs", operation_id="create_jobs", access="edit", group=GROUP, handler=create_many,
        body=Jobs(), answer=CreatedJobs(), size="bulk", statuses=CREATION, summary="Add many jobs in one transaction.",
    ),
    Route(
        method="POST", path="/jobs", operation_id="create_job", access="edit", group=GROUP, handler=create,
        body=JobModel(), answer=JobModel(), statuses=CREATION, summary="Add a job.",
    ),
    Route(
        method="GET", path="/jobs", operation_id="list_jobs", access="read", group=GROUP, handler=list_, query=Asked,
        answer=listing(JobModel)(), statuses=ERRORS, summary="List the jobs of a workflow.",
    ),
    Route(
        method="PUT", path="/jobs/{id}", operation_id="update_job", access="edit", group=GROUP, of=Job, handler=update,
        body=JobModel(), answer=JobModel(), statuses=ERRORS, summary="Change a job; null keeps.",
    ),
    Route(
        method="POST", path="/jobs/{id}/spawn_jobs", operation_id="spawn_jobs", access="edit", group=GROUP, of=Job,
        handler=spawn, body=SpawnRequest(), answer=SpawnAnswer(), statuses=CREATION, since="0.21.0",
        summary="Add jobs in the name of a running one.",
    ),
    *NOUN.routes(get="get_job", remove="delete_job", remove_all="delete_jobs"),
)  # fmt: skip
