"""`torc explain`, `torc jobs explain`: why something does not run, and what helps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from torc_core.errors import UsageError
from torc_core.given import Given
from torc_core.model import JobId
from torc_core.session import Session
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import plain
from torc_terminal.selector import found, ids

if TYPE_CHECKING:
    from torc_core.engine.reasons import Explanation
    from torc_core.model import Job, Totals
    from torc_core.store.explaining import Group

MARKS = {True: "✓", False: "✗"}


def explain(
    workflow: str | None = None,
    /,
    *,
    job: Annotated[str | None, Parameter(name=["--job", "-j"])] = None,
    session: Given,
) -> Report:
    """Say why a workflow, or a job of it, does not run.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    job
        Id of a job: explain this one instead.
    """
    if job is not None:
        if workflow is not None:
            raise UsageError("give a workflow or --job, not both; a job knows its workflow")
        return explain_job(job, session=session)
    from torc_core.store.explaining import explained_workflow, workflow_json

    chosen = found(session, workflow).id
    totals, groups = explained_workflow(session.store(), chosen, session.clock.now(), session.batches())
    return Report(
        schema="torc.explain-workflow/1",
        data=workflow_json(totals, groups),
        text=_of_workflow(totals, groups),
    )


def explain_job(job: str, /, *, session: Given) -> Report:
    """Say why a job does not run.

    Parameters
    ----------
    job
        Id of the job.
    """
    numbers = ids([job])
    if len(numbers) != 1:
        raise UsageError(f"'{job}' names {len(numbers)} jobs; this command takes one")
    return _report(session, JobId(numbers[0]))


def _report(session: Session, id: JobId) -> Report:
    from torc_core.store.explaining import explained_job, job_json

    job, told = explained_job(session.store(), id, session.clock.now(), session.batches())
    return Report(schema="torc.explain/1", data=job_json(job, told), text=_of_job(job, told))


def _of_job(job: Job, told: Explanation) -> str:
    lines = [f"Job {job.id}  {plain(job.name)}   {job.status.label}", plain(told.text)]
    lines += [f"  {MARKS[one.ok]} {one.code}: {plain(one.text)}" for one in told.checks]
    lines += [f"→ {plain(one)}" for one in told.remedies]
    return "\n".join(lines)


def _of_workflow(totals: Totals, groups: Sequence[Group]) -> str:
    workflow = totals.workflow
    lines = [f"Workflow {workflow.id}  {plain(workflow.name)}"]
    for one in groups:
        examples = ", ".join(f"{plain(name)} ({id})" for id, name in one.examples)
        lines.append(f"{one.count} {'job' if one.count == 1 else 'jobs'}: {one.code} ({examples})")
        lines.append(f"  {plain(one.text)}")
        lines += [f"  → {plain(remedy)}" for remedy in one.remedies]
    if len(lines) == 1:
        lines.append("nothing is left to run")
    return "\n".join(lines)
