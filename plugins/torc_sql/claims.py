"""Handing out ready jobs (`engine.md` §7): load the heads of the classes, ask the rules, write what they chose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from torc_core.engine import telling
from torc_core.engine.claim import (
    AHEAD_MOST,
    Choice,
    Pick,
    Ready,
    Room,
    ahead,
    by_count,
    could_run,
    pick,
    room,
    wanted,
)
from torc_core.engine.explain import Empty, drained, explain_empty, nothing_ready
from torc_core.engine.operations import UNDER_WAY
from torc_core.errors import NotFound
from torc_core.model import Assignment, JobId, JobStatus, Node, Offer, Output, Resources, Shape
from torc_core.model.resources import MIB
from torc_sql import retrying, rows
from torc_sql.change import Change
from torc_sql.rows import Row
from torc_sql.shapes import shape_of, used
from torc_sql.state import JobState

Class = tuple[int, Shape, int]
"""A class with ready jobs: its id, its shape, how many."""


def claim(change: Change, node: Node | None, offer: Offer) -> tuple[list[Assignment], Empty | None]:
    """Give ready jobs to a node, or to a client that is none; or say why there are none."""
    named = _named(change, node, offer)
    told = change.tx.row("CLAIM", claim_=offer.claim_id)
    if told is not None and told[0] == (None if named is None else named.id):
        return _repeated(change, None if node is None else node.id, offer, json.loads(told[1])), None
    if change.canceled or change.state.is_archived:
        state = "canceled" if change.canceled else "archived"
        return [], Empty(reason=f"workflow {change.wf} is {state}; it hands out no jobs")
    if node is not None and node.draining:
        return [], Empty(reason=drained(node))
    if change.state.has_operation:
        return [], Empty(reason=UNDER_WAY)
    taken = Resources() if named is None else used(change.tx, named, change.shapes)
    place = room(offer, named, taken, by_hand=node is None)
    classes = _classes(change)
    ready = _ready(change, place, offer, classes)
    chosen = Pick() if offer.limit < 1 else _pick(ready, place, offer, change.tx.now)
    of = {head[0]: id for (id, _, _), line in zip(classes, ready, strict=True) for head in line.heads}
    starts = offer.start and node is not None
    jobs = _take(change, chosen.choices, of, node, offer, starts=starts, prefetched=False)
    if node is not None and offer.ahead > 0 and offer.limit > 0 and chosen.waits_for is None:
        gone = {choice.job for choice in chosen.choices}
        jobs += _hold(change, _ahead(change, node, place, ready, offer, gone), of, node, offer)
    if jobs:
        _remember(change, named, offer, [one.job.id for one in jobs])
        return jobs, None
    if node is not None and offer.limit > 0:
        _recall(change, node, place, offer)
    return [], _explain(change, classes, place, chosen, offer)


def _named(change: Change, node: Node | None, offer: Offer) -> Node | None:
    """The node that claims, or in whose name a published client claims."""
    if node is not None or offer.node is None:
        return node
    row = change.tx.row("NODE", node_=offer.node)
    named = None if row is None else rows.node(row)
    if named is None or named.workflow_id != change.wf:
        raise NotFound(f"workflow {change.wf} has no node {offer.node}")
    return named


def top_priority(change: Change, node: Node) -> int | None:
    """The highest priority of a ready job that this node could run if it were empty."""
    place = Room(
        free=[node.capacity] * node.num_nodes, capacity=node.capacity, label=node.label, scheduler=node.scheduler_id
    )  # fmt: skip
    heads = [
        change.tx.row("HEADS", wf_=change.wf, class_=id, limit_=1)
        for id, shape, _ in _classes(change)
        if could_run(shape, place)
    ]
    return max((head[1] for head in heads), default=None)


def expire_by_hand(change: Change) -> None:
    """Make ready again what was claimed without a node and not started in time; a later start still succeeds."""
    retrying.free_due(change)
    if not change.tally[JobStatus.PENDING]:
        return
    for row in change.tx.rows("BY_HAND", wf_=change.wf, before_=change.tx.now - change.tx.rules.claim_ms):
        change.move(JobState(*row), JobStatus.READY, "EXPIRE", now_=change.tx.now)


def assignment(change: Change, row: Row, node_index: int = 0) -> Assignment:
    """A job (a row of `JOB`) with everything that is needed to start it."""
    job = rows.job(row)
    shape = shape_of(change.tx, change.shapes, row[34])
    outputs = change.tx.rows("OUTPUTS", job_=job.id) if change.has_outputs else ()
    return Assignment(
        job=job, shape=shape, outputs=[Output(file=id, name=name, path=path) for id, name, path in outputs],
        started=job.status is JobStatus.RUNNING, ahead=job.prefetched, node_index=node_index,
        stated=shape.memory > MIB, api_access=change.state.api_access,
        generation=change.state.capability_generation,
    )  # fmt: skip


def _classes(change: Change) -> list[Class]:
    if not change.tally[JobStatus.READY]:
        return []
    # What this transaction released stands only in its books so far.
    change.tx.write_ready()
    return [
        (id, shape_of(change.tx, change.shapes, id), count)
        for id, count in change.tx.rows("READY_CLASSES", wf_=change.wf)
    ]


def _ready(change: Change, place: Room, offer: Offer, classes: Sequence[Class]) -> list[Ready]:
    """The classes, each with as many heads as the claim may look at."""
    ready = []
    for id, shape, count in classes:
        most = offer.limit if offer.by_count else wanted(shape, place, max(1, offer.limit))
        if shape in offer.busy:
            most += min(offer.ahead, AHEAD_MOST)
        heads = change.tx.rows("HEADS", wf_=change.wf, class_=id, limit_=most) if most else []
        ready.append(Ready(shape=shape, heads=[(job, priority, since or 0) for job, priority, since in heads],
                           count=count))  # fmt: skip
    return ready


def _pick(ready: Sequence[Ready], place: Room, offer: Offer, now: int) -> Pick:
    return by_count(ready, place, offer.limit) if offer.by_count else pick(ready, place, offer.limit, now=now)


def _ahead(
    change: Change, node: Node, place: Room, ready: Sequence[Ready], offer: Offer, gone: set[JobId]
) -> list[Choice]:
    held: dict[Shape, int] = {}
    for job_class, prefetched, count in change.tx.rows("LIVE_CLASSES", node_=node.id):
        if prefetched:
            held[shape_of(change.tx, change.shapes, job_class)] = count
    left = []
    for line in ready:
        heads = [head for head in line.heads if head[0] not in gone]
        left.append(Ready(shape=line.shape, heads=heads, count=line.count - len(line.heads) + len(heads)))
    (active,) = change.tx.row("ACTIVE_NODES", wf_=change.wf)
    return ahead(left, place, offer.ahead, busy=offer.busy, held=held, alone=active == 1)


def _hold(
    change: Change, choices: Sequence[Choice], of: Mapping[JobId, int], node: Node, offer: Offer
) -> list[Assignment]:
    """Give jobs in advance: the first are started ahead, or take a place if there is one after all; the rest waits."""
    begun, rest = choices[: offer.start_ahead], choices[offer.start_ahead :]
    placed = [choice for choice in begun if change.takes_place(node, of[choice.job])]
    waiting = [choice for choice in begun if choice not in placed] if placed else begun
    given = [
        *_take(change, placed, of, node, offer, starts=True, prefetched=False),
        *_take(change, waiting, of, node, offer, starts=True, prefetched=True),
        *_take(change, rest, of, node, offer, starts=False, prefetched=True),
    ]
    if not placed:
        return given
    by_job = {one.job.id: one for one in given}
    return [by_job[choice.job] for choice in choices]


def _take(
    change: Change,
    choices: Sequence[Choice],
    of: Mapping[JobId, int],
    node: Node | None,
    offer: Offer,
    *,
    starts: bool,
    prefetched: bool,
) -> list[Assignment]:
    if not choices:
        return []
    status = JobStatus.RUNNING if starts else JobStatus.PENDING
    tx = change.tx
    rows = {
        row[0]: row
        for row in tx.rows(
            "TAKE", jobs_=json.dumps([choice.job for choice in choices]), status_=int(status),
            node_=None if node is None else node.id, lease_=None if node is None else offer.claim_id, now_=tx.now,
            start_=tx.now if starts else None, prefetched_=prefetched,
        )
    }  # fmt: skip
    change.shifted(JobStatus.READY, status, len(choices))
    change.tell_moved("job_claimed", [choice.job for choice in choices])
    given = []
    for choice in choices:
        tx.ready(of[choice.job], -1)
        one = assignment(change, rows[choice.job], choice.nodes[0])
        if starts:
            job = one.job
            change.started()
            change.tell(telling.job_started(job.id, job.name, job.node_id, job.run_id, job.attempt_id))
        given.append(one)
    return given


def _repeated(change: Change, node: int | None, offer: Offer, jobs: Sequence[JobId]) -> list[Assignment]:
    """The jobs of a claim that its node still holds; to ask for them is to list them."""
    lease = None if node is None else offer.claim_id
    held = []
    for id in jobs:
        row = change.tx.row("JOB", job_=id)
        if (
            row is None
            or row[18] != node
            or row[19] != lease
            or row[6] not in (JobStatus.PENDING, JobStatus.RUNNING)
        ):
            continue
        change.tx.run("LISTED", job_=id)
        held.append(assignment(change, row))
    return held


def _remember(change: Change, node: Node | None, offer: Offer, jobs: Sequence[JobId]) -> None:
    """Keep the claim id for W, so that the same claim again gives the same jobs (`engine.md` §7.8)."""
    tx, id = change.tx, None if node is None else node.id
    tx.many("INSERT_CLAIM", [(offer.claim_id, change.wf, id, json.dumps(jobs), tx.now)])
    if id is not None:
        tx.run("FORGET_CLAIMS", node_=id, before_=tx.now - change.state.healthy_minutes * 60_000)


def _recall(change: Change, node: Node, place: Room, offer: Offer) -> None:
    """Ask others for what they hold in advance and this node could run now; the last they would start first."""
    if not change.tally[JobStatus.PENDING]:
        return
    by_shape: dict[Shape, list[tuple[JobId, int, int]]] = {}
    for job, priority, job_class in change.tx.rows("HELD_AHEAD", wf_=change.wf, node_=node.id):
        by_shape.setdefault(shape_of(change.tx, change.shapes, job_class), []).append((job, priority, 0))
    lines = [Ready(shape=shape, heads=heads, count=len(heads)) for shape, heads in by_shape.items()]
    choose = by_count if offer.by_count else pick
    recalled = [choice.job for choice in choose(lines, place, offer.limit).choices]
    if recalled:
        change.tx.many("RECALL", [{"job_": job} for job in recalled])
        change.tx.wake(change.wf)


def _explain(change: Change, classes: Sequence[Class], place: Room, chosen: Pick, offer: Offer) -> Empty:
    if not classes:
        return Empty(reason=nothing_ready(change.tally))
    empty = explain_empty([(shape, count) for _, shape, count in classes], place, chosen.waits_for)
    live = change.tally[JobStatus.PENDING] + change.tally[JobStatus.RUNNING]
    labels = offer.by_count and any(shape.label == place.label for _, shape, _ in classes)
    return Empty(reason=empty.reason, never=empty.never and not live and not labels)
