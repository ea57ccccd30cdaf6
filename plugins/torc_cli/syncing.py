"""`torc workflows sync-status`: what a batch system knows of the allocations of a workflow (`slurm.md` §9)."""

from __future__ import annotations

from torc_core.errors import Unavailable
from torc_core.given import Given
from torc_core.model import Json
from torc_terminal.options import Flag
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.selector import found
from torc_terminal.standing import amount

COLUMNS = (
    Column(title="Job ID", key="job_id", right=True),
    Column(title="Job", key="job_name"),
    Column(title="Slurm job", key="slurm_job_id", right=True),
    Column(title="Reason", key="reason"),
)


def sync_status(workflow: str | None = None, /, *, dry_run: Flag = False, session: Given) -> Report:
    """Find allocations that have ended without anybody's word, and free or fail the jobs that they held.

    A batch system that does not answer changes nothing, nor does a state that is not the end: suspended, requeued.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    dry_run
        Only say what would be changed.
    """
    wf = found(session, workflow)
    done = [batch.sync(wf.id, dry_run=dry_run) for batch in session.batches()]
    if (
        not done
        and (totals := session.store().totals([wf.id])[0]).pending_allocations + totals.active_allocations
    ):
        raise Unavailable(
            f"no batch system is on this host to ask about the allocations of workflow {wf.id}; "
            "run this where they were submitted"
        )
    for one in done:
        if one.unanswered is not None:
            raise Unavailable(f"the batch system does not answer, so nothing was changed: {one.unanswered}")
    lost: list[dict[str, Json]] = [
        {
            "job_id": job.job,
            "job_name": job.name,
            "reason": f"node_lost ({job.state})",
            "slurm_job_id": job.number,
        }
        for one in done
        for job in one.running_jobs
    ]
    ended = sum(len(one.ended) for one in done)
    cleaned = sum(len(one.cleaned) for one in done)
    released = sum(one.released for one in done)
    would = "would be " if dry_run else ""
    text = (
        f"workflow {wf.id}: {amount(ended, 'running allocation')} and {amount(cleaned, 'queued one')} "
        f"{'have' if ended + cleaned != 1 else 'has'} ended; {amount(len(lost), 'running job')} {would}lost, "
        f"{amount(released, 'claimed job')} {would}free again"
        if ended + cleaned
        else f"workflow {wf.id}: nothing has ended that is not known"
    )
    return Report(
        schema="torc.workflows.sync-status/1",
        data={
            "workflow_id": wf.id,
            "dry_run": dry_run,
            "slurm_jobs_failed": ended,
            "pending_allocations_cleaned": cleaned,
            "running_jobs_failed": len(lost),
            "pending_jobs_released": released,
            "failed_job_details": list(lost),
        },
        text=text,
        rows=lost,
        columns=COLUMNS if lost or session.format == "csv" else (),
        noun="jobs",
    )
