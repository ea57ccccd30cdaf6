"""The few columns of workflows and jobs that verbs look at before they decide."""

from __future__ import annotations

from typing import NamedTuple

from torc_core.errors import NotFound
from torc_core.model import JobId, JobStatus, NodeId, WorkflowId
from torc_sql.rows import STATUSES
from torc_sql.transaction import Transaction


class WorkflowState(NamedTuple):
    """A row of `WORKFLOW_STATE`; flags are 0 and 1."""

    id: WorkflowId
    name: str
    run_id: int
    initialized_run: int
    is_canceled: int
    is_archived: int
    derived: int
    healthy_minutes: int
    has_job_triggers: int
    use_pending_failed: int
    retry_on_node_loss: int
    next_retry: int | None
    has_due: int
    has_operation: int
    api_access: str
    capability_generation: int
    first_start: int | None
    summed: int


class JobState(NamedTuple):
    """A row of `JOB_STATE`: what `torc_core.engine.completion` calls an attempt, and where it belongs."""

    id: JobId
    code: int
    run_id: int
    attempt_id: int
    node_id: NodeId | None
    lease: str | None
    stop: int
    reason: str | None
    claimed_at: int | None
    workflow_id: WorkflowId
    name: str
    class_id: int
    forked: int
    missed: int
    prefetched: int
    priority: int
    result_id: int | None
    not_before: int | None
    handler_id: int | None
    losses: int

    @property
    def status(self) -> JobStatus:
        """The status itself."""
        return STATUSES[self.code]


def workflow_state(tx: Transaction, wf: WorkflowId) -> WorkflowState:
    """A workflow that is there and not being deleted.

    Raises
    ------
    NotFound
        If there is none.
    """
    row = tx.row("WORKFLOW_STATE", wf_=wf)
    if row is None:
        raise NotFound(f"no workflow {wf}")
    return WorkflowState(*row)


def known_job(tx: Transaction, job: JobId) -> JobState:
    """A job that is known to be there."""
    return JobState(*tx.row("JOB_STATE", job_=job))


def job_state(tx: Transaction, job: JobId, wf: WorkflowId | None = None) -> JobState | None:
    """A job, of the workflow if one is given; None: there is no such job."""
    row = tx.row("JOB_STATE", job_=job)
    if row is None or (wf is not None and row[9] != wf):
        return None
    return JobState(*row)
