"""Runners that are lost, dead or back, and what becomes of their jobs (`engine.md` §15)."""

from __future__ import annotations

from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.liveness import NODE_LOST, after_loss, lost, may_still_run
from torc_core.engine.retry import Retry
from torc_core.engine.runs import LOST_CODE
from torc_core.model import (
    LIVE,
    Ending,
    Job,
    JobId,
    JobStatus,
    Node,
    NodeState,
    Result,
    Usage,
)
from torc_core.testing.memory import retrying
from torc_core.testing.memory.change import FREED, Change
from torc_core.testing.memory.flow import Flow


def heard(change: Change, node: Node) -> Node:
    """A node has given a sign of life; one that was lost is back, and goes on (`runner.md` §9.3)."""
    back = node.state is NodeState.LOST
    node = replace(node, last_beat=change.now)
    if node.state is not NodeState.ENDED:
        node = replace(node, state=NodeState.ACTIVE, is_active=True)
    change.flow.tables[Node][node.id] = node
    if back:
        change.tell(telling.node_started(node))
    return node


def bury(change: Change, node: Node, evidence: str, detail: str) -> None:
    """Take it that a node is dead; a second time is no harm (`engine.md` §15.3)."""
    lose(change, node, proven=True)
    change.gone(node.id, evidence=evidence, detail=detail)


def lose(change: Change, node: Node, *, proven: bool) -> None:
    """Settle what a lost node has (`engine.md` §15.4)."""
    flow = change.flow
    for id in sorted(flow.live.get(node.id, ())):
        _lose(change, flow.jobs[id], node, proven)


def leave(change: Change, node: Node, usage: Usage | None) -> None:
    """A runner goes: what it has not forked is ready again, what it was to stop is stopped (`engine.md` §15.1)."""
    flow = change.flow
    for id in sorted(flow.live.get(node.id, ())):
        job = flow.jobs[id]
        if job.status in LIVE and id not in flow.forked:
            change.again(job)
        else:
            _lose(change, job, node, proven=True)
    change.gone(node.id, usage)


def close_node(change: Change, node: Node, usage: Usage | None) -> Node:
    """A node of a published client has gone; what it has started stays as it is (`wire.md` §3.11)."""
    flow = change.flow
    for id in sorted(flow.live.get(node.id, ())):
        job = flow.jobs[id]
        if job.status is JobStatus.PENDING:
            change.again(job)
        elif job.status not in LIVE:
            change.set(job, **FREED)
    for job in flow.claimed_for(node.id):
        change.move(job, JobStatus.READY, ready_since=change.now)
    change.gone(node.id, usage)
    closed: Node = flow.tables[Node][node.id]
    return closed


def doubtful(flow: Flow) -> dict[JobId, Node]:
    """Jobs that were given up as lost but may still run, each with its node: run again only by force (§6.5)."""
    found = {}
    for job in flow.jobs.values():
        result: Result | None = None if job.result_id is None else flow.tables[Result].get(job.result_id)
        if result is None or not result.provisional or result.node_id is None:
            continue
        node: Node | None = flow.tables[Node].get(result.node_id)
        if node is not None and job.status is JobStatus.FAILED and may_still_run(node):
            found[job.id] = node
    return found


def _lose(change: Change, job: Job, node: Node, proven: bool) -> None:
    retry = after_loss(
        retrying.rules_of(change.flow, job), attempt_id=job.attempt_id, losses=job.losses,
        retry_on_node_loss=change.flow.workflow.retry_on_node_loss,
    )  # fmt: skip
    how = lost(job, node, proven=proven, retry=retry)
    if how is None:
        return
    if how.ends:
        retrying.give_up(change, job)
    elif how.result:
        _give_up(change, job, node, how.again)
    elif how.status is None:
        change.set(job, **FREED)
    else:
        change.again(job)


def _give_up(change: Change, job: Job, node: Node, retry: Retry | None) -> None:
    """Nobody saw the attempt end: a provisional result, and the next attempt if there is one."""
    run, attempt = job.run_id, job.attempt_id
    ending = Ending(
        job=job.id, run_id=run, attempt_id=attempt, lease=job.lease, status=JobStatus.FAILED,
        return_code=LOST_CODE, reason=NODE_LOST, node=node.id,
    )  # fmt: skip
    result = change.keep(job, ending, JobStatus.FAILED, run, attempt, provisional=True)
    if retry is not None:
        retrying.again(change, job, LOST_CODE, retry)
        return
    change.move(job, JobStatus.FAILED, reason=NODE_LOST, result_id=result, **FREED)
    change.tell(telling.job_ended(job.id, job.name, JobStatus.FAILED, LOST_CODE, NODE_LOST, run, attempt))
