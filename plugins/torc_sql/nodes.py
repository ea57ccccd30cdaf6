"""Runners: they join, they say what they have, they hear what to do, they leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from torc_core.engine import liveness, telling
from torc_core.engine.claim import recalled
from torc_core.engine.completion import rescued, same_attempt
from torc_core.engine.explain import Empty
from torc_core.engine.liveness import at_lease_end, succeeds
from torc_core.errors import Fenced, NotFound
from torc_core.model import (
    ActionId,
    AllocationId,
    Beat,
    Held,
    JobId,
    JobStatus,
    NewNode,
    Node,
    NodeId,
    NodeState,
    Orders,
    Turn,
)
from torc_sql import allocations, claims, completion, losing, retrying, rows
from torc_sql.change import Change
from torc_sql.state import JobState
from torc_sql.transaction import Transaction

ABSENT = 2
"""Beats in a row that do not list a job which never ran: then its node does not have it (`engine.md` §15.2)."""

BEAT_STEP = 1_000
"""Milliseconds: signs of life are not written more often, since every turn is one (leases last minutes)."""


def join(change: Change, new: NewNode) -> Node:
    """Register a runner; the same epoch is the same node, one from the same place is dead (`engine.md` §15.1)."""
    tx, wf = change.tx, change.wf
    row = tx.row("NODE_OF_EPOCH", epoch_=new.epoch, wf_=wf)
    if row is not None:
        losing.heard(change, rows.node(row))
        return rows.node(tx.row("NODE", node_=row[0]))
    allocation = allocations.bound(change, new.submission_key, new.scheduler)
    of = None if allocation is None else allocation.id
    for old in _predecessors(tx, new, of):
        losing.bury(change, old, "epoch", f"a runner came from the same place, {new.hostname}")
    handlers = [json.loads(rules) for (rules,) in tx.rows("ALL_RULES", wf_=wf)]
    node = Node(
        id=NodeId(tx.ids("node", 1)), workflow_id=wf, epoch=new.epoch, hostname=new.hostname, pid=new.pid,
        boot_id=new.boot_id, process_start=new.process_start, capacity=new.capacity, gpus=new.gpus,
        num_nodes=new.num_nodes, type=new.type, label=new.label, output_dir=new.output_dir,
        scheduler_id=new.scheduler_id or (None if allocation is None else allocation.scheduler_config_id),
        time_limit=new.time_limit, start_time=tx.now, last_beat=tx.now, scheduler=new.scheduler, allocation_id=of,
        restart_count=new.restart_count, lease_seconds=change.state.healthy_minutes * liveness.MINUTE,
        on_lost=at_lease_end(new.fences, change.state.retry_on_node_loss, handlers),
    )  # fmt: skip
    tx.many("INSERT_COMPUTE_NODE", [rows.node_row(node)])
    change.tell(telling.node_started(node))
    return rows.node(tx.row("NODE", node_=node.id))


def _predecessors(tx: Transaction, new: NewNode, allocation: AllocationId | None) -> Sequence[Node]:
    """Runners that are dead, since this one comes from the same place."""
    worker, number = liveness.remote_worker(new.scheduler), liveness.slurm_number(new.scheduler)
    found = tx.rows(
        "PREDECESSORS", wf_=new.workflow_id, hostname_=new.hostname, boot_id_=new.boot_id, allocation_=allocation,
        worker_=None if worker is None else f"%{json.dumps(worker)}%", number_=None if number is None else f"%{number}%",
    )  # fmt: skip
    return [old for row in found if succeeds(new, allocation, old := rows.node(row))]


def node_of(tx: Transaction, node: NodeId) -> Node:
    """A registered runner.

    Raises
    ------
    NotFound
        If there is none.
    """
    row = tx.row("NODE", node_=node)
    if row is None:
        raise NotFound(f"no node {node}")
    return rows.node(row)


def check_seat(node: Node, turn: Turn) -> None:
    """Refuse a turn of a node that has left, is known to be dead, or whose place another epoch has.

    Raises
    ------
    Fenced
        Its jobs have to be stopped.
    """
    if node.epoch != turn.epoch or node.state is NodeState.ENDED:
        why = "has left or was declared dead" if node.epoch == turn.epoch else "belongs to another runner"
        raise Fenced(f"node {node.id} ({node.hostname}) {why}; stop all jobs of this runner")


def act(change: Change, node: Node, turn: Turn, *, again: bool = False) -> Orders:
    """Everything but the claim: endings, starts, give-back, beat (`engine.md` §7.10).

    `again`: the turn waits, and is looked at once more, which is no sign of life.
    """
    if node.state is not NodeState.ACTIVE and not again:
        losing.heard(change, node)
    elif not (again or 0 <= change.tx.now - (node.last_beat or 0) < BEAT_STEP):
        change.tx.run("BEAT", node_=node.id, now_=change.tx.now)
    endings = [one if one.node == node.id else replace(one, node=node.id) for one in turn.endings]
    change.know([*{one.job for one in turn.endings} | {one.job for one in turn.starts}])
    judged = completion.finish(change, endings)
    change.settle()
    starts = [completion.start(change, held, node) for held in turn.starts]
    change.write_late()
    for held in turn.give_back:
        completion.give_back(change, held)
    unknown = _beat(change, node, turn.beat, turn) if turn.beat is not None else []
    change.settle()
    verdicts = [judgement.verdict for judgement in judged]
    return Orders(endings=verdicts, starts=starts, unknown=unknown, recover=change.recoveries)


def _beat(change: Change, node: Node, beat: Beat, turn: Turn) -> list[JobId]:
    tx = change.tx
    mine = {row[0]: JobState(*row) for row in tx.rows("MINE", node_=node.id)}
    over = {ending.job for ending in turn.endings} | {held.job for held in turn.give_back}
    unknown, listed, forked, present = [], set(), [], []
    for held, runs in [*((held, False) for held in beat.held), *((held, True) for held in beat.running)]:
        job = mine.get(held.job)
        if job is None or not same_attempt(job, held):
            if held.job not in over and not _rescued(change, held):
                unknown.append(held.job)
            continue
        listed.add(job.id)
        if runs and not job.forked:
            forked.append({"job_": job.id})
        if job.missed:
            present.append({"job_": job.id})
    tx.many("FORKED", forked)
    tx.many("LISTED", present)
    if beat.number and not tx.run("NEWER_BEAT", node_=node.id, number_=beat.number):
        # It was said before, or was under way for long: what it does not list may have come since.
        return unknown
    for job in [job for job in mine.values() if job.id not in listed and not job.forked]:
        tx.run("MISSED", job_=job.id)
        if job.missed + 1 >= ABSENT:
            completion.give_back(change, Held(job=job.id, attempt_id=job.attempt_id, lease=job.lease or ""))
    return unknown


def _rescued(change: Change, held: Held) -> bool:
    """Whether the node was lost meanwhile, and its result of this attempt will still be taken."""
    job = change.job(held.job)
    return job is not None and rescued(
        job, held, completion.standing(change.tx, job.id, job.run_id, job.attempt_id)
    )


def orders(change: Change, node: Node, said: Orders, empty: Empty | None) -> Orders:
    """The whole answer: what was said so far, and what the node has to know and do."""
    stopped, held, recall = [], [], []
    for job, status, priority, stop, prefetched, wanted in change.tx.rows("ORDERS", node_=node.id):
        if stop:
            stopped.append(job)
        if prefetched and status == JobStatus.PENDING:
            held.append((job, priority))
            if wanted or node.draining:
                recall.append(job)
    if len(recall) < len(held):
        above = recalled(held, claims.top_priority(change, node))
        recall += [job for job in above if job not in set(recall)]
    return replace(
        said,
        cancel=stopped,
        recall=recall,
        due=_due(change),
        retry_ms=retrying.next_retry(change),
        drain=node.draining,
        reason=None if empty is None else empty.reason,
        never=empty is not None and empty.never,
        remaining=change.remaining,
        complete=change.complete,
        canceled=change.canceled,
    )


def _due(change: Change) -> list[ActionId]:
    """Actions that have fired and wait; asked only where some may have."""
    if not (change.state.has_due or change.fired):
        return []
    return [id for (id,) in change.tx.rows("TRIGGERED", wf_=change.wf, run_=change.run_id)]
