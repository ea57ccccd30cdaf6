"""What an earlier life of this allocation left, before Slurm began it anew (`slurm.md` §5, 6)."""

from __future__ import annotations

from torc_core.engine.liveness import slurm_number
from torc_core.model import Node, Query, Workflow
from torc_core.protocols import Store
from torc_core.runner.log import log
from torc_slurm.running.allocation import Place

MOST = 10_000


def go_on(store: Store, workflow: Workflow, place: Place) -> int:
    """Make ready again what the earlier life ended when it was told to end; how many jobs.

    Only for workflows that want lost jobs run again (`retry_on_node_loss`): to the jobs it is all one whether their
    allocation was taken from them with or without a word. Slurm has ended all of it before it begins anew.
    """
    if not place.restarts or not workflow.retry_on_node_loss:
        return 0
    nodes = store.find(Node, Query(workflow=workflow.id, where={"type": "slurm"}, limit=MOST)).items
    earlier = [
        node.id
        for node in nodes
        if slurm_number(node.scheduler) == place.number and (node.restart_count or 0) < place.restarts
    ]
    if not earlier:
        return 0
    count = store.resume(workflow.id, earlier).moved.get("ready", 0)
    log.info("went_on workflow_id=%d slurm_job_id=%s jobs=%d", workflow.id, place.number, count)
    return count
