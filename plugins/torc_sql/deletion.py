"""Deleting a workflow: hidden at once, removed in batches, gone on with after a crash (`engine.md` §17)."""

from __future__ import annotations

from collections.abc import Callable

from torc_core.engine import telling
from torc_core.errors import Conflict
from torc_core.model import LIVE, WorkflowId
from torc_sql.dialect import Database, Write
from torc_sql.state import workflow_state
from torc_sql.transaction import Transaction

BATCH = 10_000
"""Rows that one transaction removes (`promises.md` Q14)."""

ORDER = (
    "ACTION_JOB", "SLURM_STATS", "RO_CRATE_ENTITY", "REMOTE_WORKER", "LOCAL_SCHEDULER", "TASK", "WORKFLOW_ACCESS_GROUP", "CLAIM", "DEP_USE", "DEP_MEMBER", "INPUT_USE", "INPUT_MEMBER", "JOB_OUTPUT_FILE",
    "JOB_OUTPUT_USER_DATA", "RESULT", "JOB", "INPUT_SET", "DEP_SET", "COMPUTE_NODE", "SCHEDULED_COMPUTE_NODE", "ACTION_RUN", "JOB_CLASS", "FILE",
    "USER_DATA", "WORKFLOW_ACTION", "RESOURCE_REQUIREMENTS", "FAILURE_HANDLER", "SLURM_SCHEDULER",
)  # fmt: skip
"""The tables of a workflow, each after those that refer to it."""


def hide(tx: Transaction, wf: WorkflowId, force: bool) -> None:
    """Make a workflow vanish from all views.

    Raises
    ------
    Conflict
        If jobs are pending or running and it is not forced.
    """
    state = workflow_state(tx, wf)
    live = sum(count for status, count in tx.rows("COUNTS", wf_=wf) if status in LIVE)
    if live and not force:
        raise Conflict(f"workflow {wf} has {live} pending or running jobs; cancel it first, or use --force")
    tx.run("HIDE", wf_=wf)
    tx.tell(wf, *telling.of_workflow("workflow_deleted", wf, state.name, state.run_id))
    tx.wake(wf)


def purge(write: Write, wf: WorkflowId, go_on: Callable[[], bool]) -> bool:
    """Remove what a hidden workflow consists of, as long as it may go on; whether all of it is gone.

    Other writers get their turns between the batches.
    """
    for statement in [f"PURGE_{table}" for table in ORDER] + ["DROP_EVENTS"]:
        removed = BATCH
        while removed >= BATCH:
            with write() as tx:
                removed = tx.run(statement, wf_=wf, limit_=BATCH)
            if removed >= BATCH and not go_on():
                return False
    with write() as tx:
        tx.run("DROP_COUNTS", wf_=wf)
        tx.run("DROP", wf_=wf)
    return True


def hidden(database: Database) -> list[WorkflowId]:
    """Deletions that are not over, and creations that nobody has seen yet."""
    with database.read() as tx:
        return [WorkflowId(wf) for (wf,) in tx.rows("HIDDEN")]
