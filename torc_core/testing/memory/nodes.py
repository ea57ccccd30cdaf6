"""Runners: they join, they say what they have, they hear what to do, they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from torc_core.engine import liveness, telling
from torc_core.engine.claim import recalled
from torc_core.engine.completion import rescued, same_attempt
from torc_core.engine.explain import Empty
from torc_core.engine.liveness import at_lease_end, succeeds
from torc_core.errors import Fenced
from torc_core.model import (
    Assignment,
    Beat,
    FailureHandler,
    Held,
    Job,
    JobId,
    JobStatus,
    NewNode,
    Node,
    NodeId,
    NodeState,
    Orders,
    Recovery,
    Turn,
    Verdict,
)
from torc_core.record import record
from torc_core.testing.memory import actions, allocations, attempts, losing, retrying
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow, Told

ABSENT = 2
"""Beats in a row that do not list a job which never ran: then its node does not have it (`engine.md` §15.2)."""


_FOR_JOINING = ("submission_key", "fences", "scheduler_id")
"""Fields of a runner that joins which its record does not have, or has otherwise."""


def join(change: Change, new: NewNode) -> Node:
    """Register a runner; the same epoch is the same node, one from the same place is dead (`engine.md` §15.1)."""
    flow = change.flow
    nodes: dict[int, Node] = flow.tables[Node]
    for node in nodes.values():
        if node.epoch == new.epoch:
            return losing.heard(change, node)
    allocation = allocations.bound(change, new.submission_key, new.scheduler)
    of = None if allocation is None else allocation.id
    for old in [node for node in nodes.values() if succeeds(new, of, node)]:
        losing.bury(change, old, "epoch", f"a runner came from the same place, {new.hostname}")
    handlers = [handler.rules for handler in flow.tables[FailureHandler].values()]
    given = {field.name: getattr(new, field.name) for field in fields(new) if field.name not in _FOR_JOINING}
    id = NodeId(change.number("node"))
    nodes[id] = Node(
        id=id, start_time=change.now, last_beat=change.now, allocation_id=of,
        scheduler_id=new.scheduler_id or (None if allocation is None else allocation.scheduler_config_id),
        lease_seconds=flow.workflow.compute_node_wait_for_healthy_database_minutes * liveness.MINUTE,
        on_lost=at_lease_end(new.fences, flow.workflow.retry_on_node_loss, handlers), **given,
    )  # fmt: skip
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
    if node.epoch != turn.epoch or node.state is NodeState.ENDED:
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


def act(change: Change, node: Node, turn: Turn, *, again: bool = False) -> Said:
    """Everything but the claim: endings, starts, give-back, beat (`engine.md` §7.10).

    `again`: the turn waits, and is looked at once more, which is no sign of life.
    """
    if not again:
        losing.heard(change, node)
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
        if job is None or job.id not in mine or not same_attempt(job, held):
            if held.job not in over and not (job is not None and _rescued(flow, job, held)):
                unknown.append(held.job)
            continue
        listed.add(job.id)
        flow.missed.pop(job.id, None)
        if runs:
            flow.forked.add(job.id)
    if 0 < beat.number <= flow.beat_numbers.get(node.id, 0):
        # It was said before, or was under way for long: what it does not list may have come since.
        return unknown
    if beat.number:
        flow.beat_numbers[node.id] = beat.number
    for id in [id for id in mine if id not in listed and id not in flow.forked]:
        flow.missed[id] = flow.missed.get(id, 0) + 1
        if flow.missed[id] >= ABSENT:
            job = flow.jobs[id]
            attempts.give_back(change, Held(job=id, attempt_id=job.attempt_id, lease=job.lease or ""))
    return unknown


def _rescued(flow: Flow, job: Job, held: Held) -> bool:
    """Whether the node was lost meanwhile, and its result of this attempt will still be taken."""
    return rescued(job, held, flow.result(job.id, job.run_id, job.attempt_id))


def orders(
    flow: Flow, node: Node, said: Said, jobs: Sequence[Assignment], empty: Empty | None, now: int
) -> Orders:
    """The whole answer: what was said so far, and what the node has to know and do."""
    mine = [flow.jobs[id] for id in flow.live.get(node.id, ())]
    held = [job for job in mine if job.prefetched and job.status is JobStatus.PENDING]
    recall = [job.id for job in held if node.draining or job.id in flow.recalled]
    if len(recall) < len(held):
        above = recalled([(job.id, job.priority) for job in held], attempts.waits_above(flow, node))
        recall += [job for job in above if job not in recall]
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
        drain=node.draining,
        reason=None if empty is None else empty.reason,
        never=empty is not None and empty.never,
        remaining=flow.open,
        complete=flow.complete,
        canceled=flow.workflow.is_canceled,
    )


def news(flow: Flow, node: Node, answer: Orders) -> bool:
    """Whether the answer says anything that the node was not told before, so that it must not be held back."""
    told = flow.told.get(node.id, Told())
    ended = (answer.complete, answer.canceled, answer.never, answer.drain)
    pressing = frozenset((*answer.cancel, *answer.recall, *answer.unknown))
    fresh = any(now and not before for now, before in zip(ended, told.ended, strict=True))
    return bool(answer.jobs) or fresh or not pressing <= told.orders or not set(answer.due) <= told.due


def remember(flow: Flow, node: NodeId, answer: Orders) -> Orders:
    """Note what a node is told now."""
    flow.told[node] = Told(
        ended=(answer.complete, answer.canceled, answer.never, answer.drain),
        orders=frozenset((*answer.cancel, *answer.recall, *answer.unknown)),
        due=frozenset(answer.due),
    )
    return answer
