"""Runners that are lost, dead or back, and what becomes of their jobs (`engine.md` §15)."""

from __future__ import annotations

from torc_core.engine import telling
from torc_core.engine.liveness import NODE_LOST, after_loss, lost
from torc_core.engine.retry import Retry
from torc_core.engine.runs import LOST_CODE
from torc_core.model import LIVE, Ending, JobId, JobStatus, Node, NodeState, Usage
from torc_sql import retrying, rows
from torc_sql.change import Change
from torc_sql.state import JobState


def heard(change: Change, node: Node) -> None:
    """A node has given a sign of life; one that was lost is back, and goes on (`runner.md` §9.3)."""
    tx = change.tx
    tx.run("BEAT", node_=node.id, now_=tx.now)
    if node.state in (NodeState.UNREACHABLE, NodeState.LOST):
        tx.run("WRITE_STATE", node_=node.id, state_=NodeState.ACTIVE.value, active_=1)
    if node.state is NodeState.LOST:
        change.tell(telling.node_started(node))


def bury(change: Change, node: Node, evidence: str, detail: str) -> None:
    """Take it that a node is dead; a second time is no harm (`engine.md` §15.3)."""
    lose(change, node, proven=True)
    change.tx.run("FORGET_NODE_CLAIMS", node_=node.id)
    change.gone(node.id, evidence=evidence, detail=detail)


def lose(change: Change, node: Node, *, proven: bool) -> None:
    """Settle what a lost node has (`engine.md` §15.4)."""
    for row in change.tx.rows("MINE", node_=node.id):
        _lose(change, JobState(*row), node, proven)


def leave(change: Change, node: Node, usage: Usage | None) -> None:
    """A runner goes: what it has not forked is ready again, what it was to stop is stopped (`engine.md` §15.1)."""
    for row in change.tx.rows("MINE", node_=node.id):
        job = JobState(*row)
        if job.status in LIVE and not job.forked:
            change.again(job)
        else:
            _lose(change, job, node, proven=True)
    change.tx.run("FORGET_NODE_CLAIMS", node_=node.id)
    change.gone(node.id, usage)


def close_node(change: Change, node: Node, usage: Usage | None) -> None:
    """A node of a published client has gone; what it has started stays as it is (`wire.md` §3.11)."""
    for row in change.tx.rows("MINE", node_=node.id):
        job = JobState(*row)
        if job.status is JobStatus.PENDING:
            change.again(job)
        elif job.status not in LIVE:
            change.free(job)
    for row in change.tx.rows("CLAIMED_FOR", node_=node.id):
        change.move(JobState(*row), JobStatus.READY, "EXPIRE", now_=change.tx.now)
    change.tx.run("FORGET_NODE_CLAIMS", node_=node.id)
    change.gone(node.id, usage)


def doubtful(change: Change) -> dict[JobId, Node]:
    """Jobs that were given up as lost but may still run, each with its node: run again only by force (§6.5)."""
    if change.tx.row("ANY_DOUBT", wf_=change.wf) is None:
        return {}
    return {row[0]: rows.node(row[1:]) for row in change.tx.rows("DOUBTFUL", wf_=change.wf)}


def _lose(change: Change, job: JobState, node: Node, proven: bool) -> None:
    retry = after_loss(
        retrying.rules_of(change, job), attempt_id=job.attempt_id, losses=job.losses,
        retry_on_node_loss=change.state.retry_on_node_loss,
    )  # fmt: skip
    how = lost(job, node, proven=proven, retry=retry)
    if how is None:
        return
    if how.ends:
        retrying.give_up(change, job)
    elif how.result:
        _give_up(change, job, node, how.again)
    elif how.status is None:
        change.free(job)
    else:
        change.again(job)


def _give_up(change: Change, job: JobState, node: Node, retry: Retry | None) -> None:
    """Nobody saw the attempt end: a provisional result, and the next attempt if there is one."""
    run, attempt = job.run_id, job.attempt_id
    ending = Ending(
        job=job.id, run_id=run, attempt_id=attempt, lease=job.lease or "", status=JobStatus.FAILED,
        return_code=LOST_CODE, reason=NODE_LOST, node=node.id,
    )  # fmt: skip
    change.unsum()
    result = change.result(job, ending, JobStatus.FAILED, run, attempt, provisional=True)
    if retry is not None:
        retrying.again(change, job, LOST_CODE, retry)
        return
    change.move(job, JobStatus.FAILED, "END", reason_=NODE_LOST, result_=result)
    change.tell(telling.job_ended(job.id, job.name, JobStatus.FAILED, LOST_CODE, NODE_LOST, run, attempt))
