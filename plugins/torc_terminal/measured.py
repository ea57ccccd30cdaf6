"""Jobs with what they asked for and how their last attempt ended: what reports about resources are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torc_core.model import Job, JobId, Query, Requirement, Result, WorkflowId
from torc_core.record import record
from torc_terminal.walking import every

if TYPE_CHECKING:
    from torc_core.protocols import Store


@record(frozen=True, slots=True, kw_only=True)
class Measured:
    """A job, what it asked for, and its result; None: it has none."""

    job: Job
    needs: Requirement
    result: Result | None


def measured(store: Store, workflow: WorkflowId, run: int | None = None) -> Iterator[Measured]:
    """Every job of a workflow with its current result, or with the last one of a run."""
    needs = {one.id: one for one in store.find(Requirement, Query(workflow=workflow, limit=2**31)).items}
    results: dict[JobId, Result] = {}
    for result in every(store, Result, workflow):
        if result.current if run is None else result.run_id == run:
            results[result.job_id] = result
    for job in every(store, Job, workflow):
        yield Measured(job=job, needs=needs[job.requirement_id], result=results.get(job.id))
