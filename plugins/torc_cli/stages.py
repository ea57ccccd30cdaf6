"""Sums a workflow up by stages: jobs whose names differ only in their numbers (`torc status --by-stage`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from torc_core.model import Job, JobId, JobStatus, Json, Query, Result, WorkflowId

if TYPE_CHECKING:
    from torc_core.protocols import Store

R = TypeVar("R")

PAGE = 10_000

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(slots=True)
class Stage:
    """Jobs of one stage, counted.

    Parameters
    ----------
    name
        The common name, with `{}` for each number: a store keeps names after expansion only.
    seconds
        Execution times of those that completed.
    """

    name: str
    total: int = 0
    done: int = 0
    running: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def item(self) -> dict[str, Json]:
        """As JSON has it; `remaining_seconds` is execution time still to come, one job after the other."""
        middle = median(self.seconds) if self.seconds else None
        return {
            "stage": self.name,
            "total": self.total,
            "done": self.done,
            "running": self.running,
            "failed": self.failed,
            "median_seconds": middle,
            "remaining_seconds": None if middle is None else middle * (self.total - self.done),
        }


def stage_name(job: str) -> str:
    """The name of a job's stage."""
    return _NUMBER.sub("{}", job)


def stages(store: Store, workflow: WorkflowId) -> Sequence[Stage]:
    """The stages of a workflow, in the order of their first jobs."""
    found: dict[str, Stage] = {}
    stage_of: dict[JobId, Stage] = {}
    for job in every(store, Job, workflow):
        name = stage_name(job.name)
        stage = found.get(name) or found.setdefault(name, Stage(name))
        stage_of[job.id] = stage
        stage.total += 1
        stage.done += not job.status.open
        stage.running += job.status is JobStatus.RUNNING
        stage.failed += job.status in (JobStatus.FAILED, JobStatus.TERMINATED)
    for result in every(store, Result, workflow):
        if result.current and result.status is JobStatus.COMPLETED and result.job_id in stage_of:
            stage_of[result.job_id].seconds.append(result.exec_minutes * 60)
    return list(found.values())


def every(store: Store, kind: type[R], workflow: WorkflowId) -> Iterator[R]:
    """All records of a kind, a page at a time."""
    above = 0
    while True:
        items = store.find(kind, Query(workflow=workflow, above=above, limit=PAGE)).items
        yield from items
        if len(items) < PAGE:
            return
        above = items[-1].id  # type: ignore[attr-defined]  # every record has an id
