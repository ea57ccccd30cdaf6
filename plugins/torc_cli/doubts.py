"""Jobs that were given up as lost and may still run somewhere: whoever forces them to run again is told (`engine.md` §6.5)."""

from __future__ import annotations

from collections.abc import Collection

from torc_core.engine.liveness import may_still_run
from torc_core.model import JobId, Node, Query, Result, WorkflowId
from torc_core.session import Session
from torc_terminal.output.cells import instant, local_time


def warn_of_doubts(session: Session, workflow: WorkflowId, jobs: Collection[JobId] | None = None) -> None:
    """Say which of these jobs, or of all, may still be running although they are about to run again."""
    store = session.store()
    query = Query(workflow=workflow, where={"provisional": True, "current": True})
    for result in store.find(Result, query).items:
        if result.node_id is None or (jobs is not None and result.job_id not in jobs):
            continue
        node = store.get(Node, result.node_id)
        if may_still_run(node):
            seen = (
                "" if node.last_beat is None else f" (last seen {local_time(instant(node.last_beat) or '')})"
            )
            session.warn(f"job {result.job_id} may still be running on {node.hostname}{seen}")
