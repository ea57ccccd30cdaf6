"""Runners: they join, they say what they have, they hear what to do, they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from torc_core.engine import telling
from torc_core.engine.claim import recalled
from torc_core.engine.explain import Empty
from torc_core.errors import Fenced
from torc_core.model import (
    LIVE,
    Assignment,
    Beat,
    Held,
    JobId,
    JobStatus,
    NewNode,
    Node,
    NodeId,
    Orders,
    Recovery,
    Turn,
    Usage,
    Verdict,
)
from torc_core.record import record
from torc_core.testing.memory import actions, attempts, retrying
from torc_core.testing.memory.change import FREED, Change
from torc_core.testing.memory.flow import Flow, Told

ABSENT = 2
"""Beats in a row that do not list a job which never ran: then its node does not have it (`engine.md` §15.2)."""


def join(change: Change, new: NewNode) -> Node:
    """Register a runner; the same epoch is the same node."""
    nodes: dict[int, Node] = change.flow.tables[Node]
    for node in nodes.values():
        if node.epoch == new.epoch:
            return node
    id = NodeId(change.number("node"))
    given = {field.name: getattr(new, field.name) for field in fields(new) if field.name != "submission_key"}
    nodes[id] = Node(id=id, start_time=change.now, last_beat=change.now, **given)
    change.tell(telling.node_started(nodes[id]))
    return nodes[id]


def seated(flow: Flow, turn: Turn) -> Node:
    """The node that takes this turn.

    Raises
    ------
    Fenced
        If it has left, is known to be dead, or another epoch has its place.
    """
    node: Node = flow.tables[Node][turn.node]
    if node.epoch != turn.epoch or not node.is_active:
        why = "has left or was declared dead" if node.epoch == turn.epoch else "belongs to another runner"
        raise Fenced(f"node {node.id} ({node.hostname}) {why}; stop all jobs of this runner")
    return node


@record(frozen=True, slots=True, kw_only=True)
class Said:
    """What the parts of a turn brought, before the orders are added."""

    endings: Sequence[Verdict]
    starts: Sequence[Verdict]
    unknown: Sequence[JobId]
    recover: Sequence[Recovery]


def act(change: Change, node: Node, turn: Turn) -> Said:
    """Everything but the claim: endings, starts, give-back, beat (`engine.md` §7.10)."""
    flow = change.flow
    flow.tables[Node][node.id] = replace(node, last_beat=change.now)
    endings = [attempts.finish(change, ending).verdict for ending in turn.endings]
    change.settle()
    starts = [attempts.start(change, held) for held in turn.starts]
    for held in turn.give_back:
        attempts.give_back(change, held)
    unknown = _beat(change, node, turn.beat, turn) if turn.beat is not None else []
    change.settle()
    return Said(endings=endings, starts=starts, unknown=unknown, recover=change.recoveries)


def _beat(change: Change, node: Node, beat: Beat, turn: Turn) -> list[JobId]:
    flow = change.flow
    mine = flow.live.get(node.id, {})
    unknown, listed = [], set()
    over = {ending.job for ending in turn.endings} | {held.job for held in turn.give_back}
    for held, runs in [*((held, False) for held in beat.held), *((held, True) for held in beat.running)]:
        job = flow.jobs.get(held.job)
        if job is None or job.id not in mine or (job.lease, job.attempt_id) != (held.lease, held.attempt_id):
            if held.job not in over:
                unknown.append(held.job)
            continue
        listed.add(job.id)
        flow.missed.pop(job.id, None)
        if runs:
            flow.forked.add(job.id)
    for id in [id for id in mine if id not in listed and id not in flow.forked]:
        flow.missed[id] = flow.missed.get(id, 0) + 1
        if flow.missed[id] >= ABSENT:
            job = flow.jobs[id]
            attempts.give_back(change, Held(job=id, attempt_id=job.attempt_id, lease=job.lease or ""))
    return unknown


def orders(
    flow: Flow, node: Node, said: Said, jobs: Sequence[Assignment], empty: Empty | None, now: int
) -> Orders:
    """The whole answer: what was said so far, and what the node has to know and do."""
    mine = [flow.jobs[id] for id in flow.live.get(node.id, ())]
    held = [job for job in mine if job.prefetched and job.status is JobStatus.PENDING]
    recall = [job.id for job in held if job.id in flow.recalled]
    if len(recall) < len(held):
        above = recalled([(job.id, job.priority) for job in held], attempts.waits_above(flow, node))
        recall += [job for job in above if job not in flow.recalled]
    return Orders(
        endings=said.endings,
        starts=said.starts,
        jobs=jobs,
        unknown=said.unknown,
        cancel=[job.id for job in mine if job.stop],
        recall=recall,
        recover=said.recover,
        due=actions.triggered(flow),
        retry_ms=retrying.next_retry(flow, now),
        reason=None if empty is None else empty.reason,
        never=empty is not None and empty.never,
        remaining=flow.open,
        complete=flow.complete,
        canceled=flow.workflow.is_canceled,
    )


def news(flow: Flow, node: Node, answer: Orders) -> bool:
    """Whether the answer says anything that the node was not told before, so that it must not be held back."""
    told = flow.told.get(node.id, Told())
    ended = (answer.complete, answer.canceled, answer.never)
    pressing = frozenset((*answer.cancel, *answer.recall, *answer.unknown))
    fresh = any(now and not before for now, before in zip(ended, told.ended, strict=True))
    return bool(answer.jobs) or fresh or not pressing <= told.orders or not set(answer.due) <= told.due


def remember(flow: Flow, node: NodeId, answer: Orders) -> Orders:
    """Note what a node is told now."""
    flow.told[node] = Told(
        ended=(answer.complete, answer.canceled, answer.never),
        orders=frozenset((*answer.cancel, *answer.recall, *answer.unknown)),
        due=frozenset(answer.due),
    )
    return answer


def leave(change: Change, node: Node, usage: Usage | None) -> None:
    """A runner goes: what it holds is ready again, what it was to stop is stopped (`engine.md` §15.1)."""
    flow = change.flow
    for id in list(flow.live.get(node.id, ())):
        job = flow.jobs[id]
        if job.status is JobStatus.PENDING:
            change.again(job)
        elif job.status not in LIVE:
            change.set(job, **FREED)
    change.gone(node.id, **({} if usage is None else {f.name: getattr(usage, f.name) for f in fields(usage)}))
