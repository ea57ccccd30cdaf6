"""A stored workflow as plans and pictures see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from torc_core.engine.dag import Dag, Step, scheduling
from torc_core.model import (
    Action,
    File,
    Job,
    JobId,
    JobRelations,
    Query,
    Requirement,
    Result,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store

R = TypeVar("R")
PIECE = 5_000

MOST_PAIRS = 500_000
"""Pairs of jobs in one answer; where each job waits for many, fewer are asked about."""


def dag_of(store: Store, workflow: WorkflowId) -> Dag:
    """The jobs of a workflow; those that have ended took as long as they did, the others as long as they declare."""
    jobs = list(_every(store, Job, workflow))
    needs = {one.id: one for one in _every(store, Requirement, workflow)}
    took = {one.job_id: one.exec_minutes * 60 for one in _every(store, Result, workflow) if one.current}
    files, data = list(_every(store, File, workflow)), list(_every(store, UserData, workflow))
    position = {job.id: place for place, job in enumerate(jobs)}
    file_at = {one.id: place for place, one in enumerate(files)}
    data_at = {one.id: place for place, one in enumerate(data)}
    groups: dict[tuple[int, ...], int] = {}
    waits: list[Sequence[int]] = []
    steps: list[Step] = []
    for job, related in zip(jobs, _relations(store, jobs), strict=True):
        blockers = tuple(position[one] for one in related.depends_on)
        waits.append([groups.setdefault(blockers, len(groups))] if blockers else ())
        steps.append(_step(job, needs[job.requirement_id], related, took, file_at, data_at))
    return Dag(
        name=store.get(Workflow, workflow).name,
        workflow=workflow,
        steps=steps,
        waits=waits,
        groups=list(groups),
        files=[one.name for one in files],
        user_data=[one.name for one in data],
        schedulings=[
            scheduling(one.trigger_type, one.config, [position[job] for job in one.jobs if job in position])
            for one in _every(store, Action, workflow)
            if one.action_type == "schedule_nodes"
        ],
    )


def _step(
    job: Job,
    needs: Requirement,
    related: JobRelations,
    took: Mapping[JobId, float],
    files: Mapping[Any, int],
    data: Mapping[Any, int],
) -> Step:
    return Step(
        name=job.name,
        seconds=took[job.id] if job.status.ended and job.id in took else float(needs.runtime_s),
        cpus=needs.num_cpus,
        memory=needs.memory_bytes,
        gpus=needs.num_gpus,
        nodes=needs.num_nodes,
        priority=job.priority,
        status=job.status,
        reads=[files[one] for one in related.input_files],
        writes=[files[one] for one in related.output_files],
        takes=[data[one] for one in related.input_user_data],
        gives=[data[one] for one in related.output_user_data],
    )


def _relations(store: Store, jobs: Sequence[Job]) -> Iterator[JobRelations]:
    start, size = 0, 50
    while start < len(jobs):
        found = store.relations([job.id for job in jobs[start : start + size]])
        yield from found
        start += size
        most = max(len(one.depends_on) for one in found)
        size = min(PIECE, 10 * size, max(1, MOST_PAIRS // max(most, 1)))


def _every(store: Store, kind: type[R], workflow: WorkflowId) -> Iterator[R]:
    """All records of a kind by id, a page at a time."""
    above = 0
    while items := store.find(kind, Query(workflow=workflow, above=above, limit=PIECE)).items:
        yield from items
        above = items[-1].id  # type: ignore[attr-defined]  # every record has an id
