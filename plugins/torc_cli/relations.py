"""Which jobs, files and user data a job is related to, asked of the store in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torc_core.model import Job, JobDependency, JobFile, JobUserData, Query, WorkflowId
from torc_terminal.output.records import Item, job_item

if TYPE_CHECKING:
    from torc_core.protocols import Store

AT_ONCE = 5_000
"""Ids in one question."""

MOST_PAIRS = 500_000
"""Pairs in one answer; where there are more, fewer ids are asked for."""

ALL = 2**31
"""No limit."""


def blockers_of(store: Store, job: Job) -> Sequence[Job]:
    """The jobs that a job waits for, whatever their status, by id."""
    query = Query(workflow=job.workflow_id, where={"job_id": job.id}, limit=ALL)
    wanted = [int(pair.depends_on_job_id) for pair in store.find(JobDependency, query).items]
    found: list[Job] = []
    for part in _parts(wanted):
        found += store.find(Job, Query(workflow=job.workflow_id, where={"id": part}, limit=ALL)).items
    return found


RELATIONS: Sequence[tuple[str, type[Any], str, str]] = (
    ("depends_on_job_ids", JobDependency, "job_id", "depends_on_job_id"),
    ("input_file_ids", JobFile, "consumer_job_id", "file_id"),
    ("output_file_ids", JobFile, "producer_job_id", "file_id"),
    ("input_user_data_ids", JobUserData, "consumer_job_id", "user_data_id"),
    ("output_user_data_ids", JobUserData, "producer_job_id", "user_data_id"),
)
"""The five lists of ids of `JobModel`: name, kind of pair, the field of the job, the field that is listed."""


def with_relations(store: Store, workflow: WorkflowId, jobs: Sequence[Job]) -> list[Item]:
    """Jobs of one workflow as JSON, with the five lists of ids that `JobModel` has, each ascending."""
    lists: dict[int, dict[str, set[int]]] = {job.id: {name: set() for name, *_ in RELATIONS} for job in jobs}
    for name, kind, job_field, listed in RELATIONS:
        for pair in _pairs(store, kind, workflow, job_field, tuple(lists)):
            lists[getattr(pair, job_field)][name].add(getattr(pair, listed))
    return [job_item(job) | {name: sorted(found) for name, found in lists[job.id].items()} for job in jobs]


def _pairs(
    store: Store, kind: type[Any], workflow: WorkflowId, field: str, ids: tuple[int, ...]
) -> Iterator[Any]:
    """The pairs of these jobs, by parts where they are many: a barrier of n jobs by m others has n x m."""
    limit = MOST_PAIRS if len(ids) > 1 else ALL
    page = store.find(kind, Query(workflow=workflow, where={field: ids}, limit=limit))
    if page.has_more:
        half = len(ids) // 2
        yield from _pairs(store, kind, workflow, field, ids[:half])
        yield from _pairs(store, kind, workflow, field, ids[half:])
    else:
        yield from page.items


def _parts(ids: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(ids), AT_ONCE):
        yield tuple(ids[start : start + AT_ONCE])
