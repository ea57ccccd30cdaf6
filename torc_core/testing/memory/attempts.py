"""The life of an attempt: claimed, started, finished, given back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    taken,
    wanted,
)
from torc_core.engine.completion import (
    RECOVERING,
    Judgement,
    given_back,
    holds,
    judge,
    late,
    meant,
    started,
    started_by_hand,
)
from torc_core.engine.explain import Empty, drained, explain_empty, nothing_ready
from torc_core.engine.operations import UNDER_WAY
from torc_core.errors import NotFound
from torc_core.model import (
    Assignment,
    Ending,
    File,
    Held,
    InputKind,
    Job,
    JobId,
    JobStatus,
    Node,
    NodeId,
    Offer,
    Output,
    Resources,
    Shape,
    Verdict,
)
from torc_core.model.resources import MIB
from torc_core.testing.memory import operations, retrying
from torc_core.testing.memory.change import FREED, Change
from torc_core.testing.memory.flow import Flow, claimable
from torc_core.testing.memory.lifecycle import fingerprint


def used(flow: Flow, node: Node) -> Resources:
    """What the live attempts of a node take, by the records; what is held or started ahead takes nothing yet."""
    cpus = memory = gpus = 0
    for id in flow.live.get(node.id, ()):
        job = flow.jobs[id]
        if not job.prefetched:
            need = taken(flow.shapes[id], node.capacity)
            cpus, memory, gpus = cpus + need.cpus, memory + need.memory, gpus + need.gpus
    for job in () if node.beats else flow.claimed_for(node.id):
        need = taken(flow.shapes[job.id], node.capacity)
        cpus, memory, gpus = cpus + need.cpus, memory + need.memory, gpus + need.gpus
    return Resources(cpus=cpus, memory=memory, gpus=gpus)


def claim(change: Change, node: Node | None, offer: Offer) -> tuple[list[Assignment], Empty | None]:
    """Give ready jobs to a node, or to a client that is none (`engine.md` §7); or say why there are none."""
    flow = change.flow
    if node is not None and offer.claim_id in flow.claims:
        return _repeated(flow, node, offer), None
    if node is None and offer.claim_id in flow.claims_by_hand:
        jobs = [flow.jobs[id] for id in flow.claims_by_hand[offer.claim_id][2] if id in flow.jobs]
        held = [job for job in jobs if job.status.live and job.node_id is None]
        return [assignment(flow, job, started=job.status is JobStatus.RUNNING) for job in held], None
    workflow = flow.workflow
    if workflow.is_canceled or workflow.is_archived:
        state = "canceled" if workflow.is_canceled else "archived"
        return [], Empty(reason=f"workflow {workflow.id} is {state}; it hands out no jobs")
    if node is not None and node.draining:
        return [], Empty(reason=drained(node))
    if operations.active(flow) is not None:
        return [], Empty(reason=UNDER_WAY)
    place = _place(flow, node, offer)
    ready = _ready(flow, place, offer)
    chosen = Pick() if offer.limit < 1 else _pick(ready, place, offer, change.now)
    jobs_ = [_take(change, choice, node, offer, ahead_=False) for choice in chosen.choices]
    if node is not None and offer.ahead > 0 and offer.limit > 0 and chosen.waits_for is None:
        given = [
            _take(change, one, node, offer, ahead_=True) for one in _ahead(flow, node, place, ready, offer)
        ]
        for at, one in enumerate(given[: offer.start_ahead]):
            _run(change, flow.jobs[one.job.id], node.id)
            given[at] = assignment(flow, flow.jobs[one.job.id], started=True)
        jobs_ += given
    if jobs_:
        _remember(change, node, offer, [one.job.id for one in jobs_])
        return jobs_, None
    if node is not None and offer.limit > 0:
        _recall(change, node, place, offer)
    return [], _explain(flow, place, chosen, offer)


def _place(flow: Flow, node: Node | None, offer: Offer) -> Room:
    named = node
    if node is None and offer.node is not None:
        named = flow.tables[Node].get(offer.node)
        if named is None:
            raise NotFound(f"workflow {flow.workflow.id} has no node {offer.node}")
    return room(offer, named, Resources() if named is None else used(flow, named), by_hand=node is None)


def _pick(ready: Sequence[Ready], place: Room, offer: Offer, now: int) -> Pick:
    return by_count(ready, place, offer.limit) if offer.by_count else pick(ready, place, offer.limit, now=now)


def _ready(flow: Flow, place: Room, offer: Offer) -> list[Ready]:
    """The classes with ready jobs, each with as many heads as the claim may look at."""
    ready = []
    for line in flow.lines.values():
        if line.count:
            most = offer.limit if offer.by_count else wanted(line.shape, place, max(1, offer.limit))
            if line.shape in offer.busy:
                most += min(offer.ahead, AHEAD_MOST)
            ready.append(Ready(shape=line.shape, heads=flow.heads(line, most), count=line.count))
    return ready


def _ahead(flow: Flow, node: Node, place: Room, ready: Sequence[Ready], offer: Offer) -> list[Choice]:
    held: dict[Shape, int] = {}
    for id in flow.live.get(node.id, ()):
        if flow.jobs[id].prefetched:
            held[flow.shapes[id]] = held.get(flow.shapes[id], 0) + 1
    left = []
    for line in ready:
        heads = [head for head in line.heads if claimable(flow.jobs[head[0]])]
        left.append(Ready(shape=line.shape, heads=heads, count=line.count - len(line.heads) + len(heads)))
    alone = sum(other.is_active for other in flow.tables[Node].values()) == 1
    return ahead(left, place, offer.ahead, busy=offer.busy, held=held, alone=alone)


def _take(change: Change, choice: Choice, node: Node | None, offer: Offer, ahead_: bool) -> Assignment:
    flow = change.flow
    job = flow.jobs[choice.job]
    starts = offer.start and node is not None and not ahead_
    job = change.move(
        job, JobStatus.RUNNING if starts else JobStatus.PENDING, claimed_at=change.now, prefetched=ahead_,
        node_id=None if node is None else node.id, lease=None if node is None else offer.claim_id,
        start_time=change.now if starts else None,
    )  # fmt: skip
    change.tell_moved("job_claimed", [job.id])
    if starts:
        change.tell(telling.job_started(job.id, job.name, job.node_id, job.run_id, job.attempt_id))
    return assignment(flow, job, started=starts, node_index=choice.nodes[0])


def assignment(flow: Flow, job: Job, *, started: bool, node_index: int = 0) -> Assignment:
    """A job with everything that is needed to start it."""
    files = flow.outputs.get(job.id, {}).get(InputKind.FILE, ())
    table: dict[int, File] = flow.tables[File]
    outputs = [Output(file=table[id].id, name=table[id].name, path=table[id].path) for id in files]
    shape = flow.shapes[job.id]
    return Assignment(
        job=job, shape=shape, outputs=outputs, started=started, ahead=job.prefetched, node_index=node_index,
        stated=shape.memory > MIB, api_access=flow.workflow.api_access,
        generation=flow.workflow.capability_generation,
    )  # fmt: skip


def _repeated(flow: Flow, node: Node, offer: Offer) -> list[Assignment]:
    """The jobs of a claim that its node still holds; to ask for them is to list them."""
    held = [flow.jobs[id] for id in flow.live.get(node.id, ()) if flow.jobs[id].lease == offer.claim_id]
    held = [job for job in held if job.status.live]
    for job in held:
        flow.missed.pop(job.id, None)
    return [assignment(flow, job, started=job.status is JobStatus.RUNNING) for job in held]


def _remember(change: Change, node: Node | None, offer: Offer, jobs: Sequence[JobId]) -> None:
    """Keep the claim id for W, so that the same claim again gives the same jobs (`engine.md` §7.8)."""
    flow = change.flow
    if node is None:
        flow.claims_by_hand[offer.claim_id] = (change.now, offer.node, tuple(jobs))
        return
    flow.claims[offer.claim_id] = change.now
    oldest = change.now - flow.workflow.compute_node_wait_for_healthy_database_minutes * 60_000
    while (first := next(iter(flow.claims))) != offer.claim_id and flow.claims[first] < oldest:
        del flow.claims[first]


def _recall(change: Change, node: Node, place: Room, offer: Offer) -> None:
    """Ask others for what they hold in advance and this node could run now; the last they would start first."""
    flow = change.flow
    held = [
        job
        for other, jobs in flow.live.items()
        if other != node.id
        for job in (flow.jobs[id] for id in jobs)
        if job.prefetched and job.status is JobStatus.PENDING and job.id not in flow.recalled
    ]
    by_shape: dict[Shape, list[Job]] = {}
    for job in sorted(held, key=lambda job: (job.priority, -job.id)):
        by_shape.setdefault(flow.shapes[job.id], []).append(job)
    lines = [
        Ready(shape=shape, heads=[(job.id, job.priority, 0) for job in jobs], count=len(jobs))
        for shape, jobs in by_shape.items()
    ]
    choose = by_count if offer.by_count else pick
    if wanted_back := [choice.job for choice in choose(lines, place, offer.limit).choices]:
        flow.recalled.update(wanted_back)
        change.touched = True


def _explain(flow: Flow, place: Room, chosen: Pick, offer: Offer) -> Empty:
    shapes = [(line.shape, line.count) for line in flow.lines.values() if line.count]
    if not shapes:
        return Empty(reason=nothing_ready(flow.tally))
    empty = explain_empty(shapes, place, chosen.waits_for)
    live = flow.tally[JobStatus.PENDING] + flow.tally[JobStatus.RUNNING]
    labels = offer.by_count and any(shape.label == place.label for shape, _ in shapes)
    return Empty(reason=empty.reason, never=empty.never and not live and not labels)


def waits_above(flow: Flow, node: Node) -> int | None:
    """The highest priority of a ready job that this node could run if it were empty."""
    place = Room(
        free=[node.capacity] * node.num_nodes, capacity=node.capacity, label=node.label, scheduler=node.scheduler_id
    )  # fmt: skip
    heads = [
        flow.heads(line, 1) for line in flow.lines.values() if line.count and could_run(line.shape, place)
    ]
    return max((head[1] for found in heads for head in found), default=None)


def expire_by_hand(change: Change) -> None:
    """Make ready again what was claimed without a node and not started in time; a later start still succeeds."""
    flow = change.flow
    retrying.free_due(change)
    for claim_id, (at, _, jobs) in list(flow.claims_by_hand.items()):
        if at > change.now - change.rules.claim_ms:
            continue
        del flow.claims_by_hand[claim_id]
        for job in flow.not_started(at, jobs):
            change.move(job, JobStatus.READY, ready_since=change.now)


def start(change: Change, held: Held) -> Verdict:
    """Record a start (`engine.md` §8.1)."""
    flow = change.flow
    job = flow.jobs.get(held.job)
    if job is None:
        return Verdict.STALE
    verdict = started(job, held)
    if verdict is Verdict.DONE:
        _run(change, job, job.node_id)
    return verdict


def start_by_hand(change: Change, job: Job, run_id: int, node: NodeId | None) -> Verdict:
    """Record an unfenced start."""
    verdict = started_by_hand(job, run_id, change.flow.workflow.run_id)
    if verdict is Verdict.DONE:
        if node is not None and node not in change.flow.tables[Node]:
            raise NotFound(f"workflow {job.workflow_id} has no node {node}")
        if node is not None:
            # Clients that never beat are heard of when they start a job.
            table: dict[int, Node] = change.flow.tables[Node]
            table[node] = replace(table[node], last_beat=change.now)
        _run(change, job, node)
    return verdict


def _run(change: Change, job: Job, node: NodeId | None) -> None:
    flow = change.flow
    # What was held ahead takes a place if there is one; if not, it is started ahead and takes the next.
    waits = job.prefetched
    if waits and node is not None:
        row: Node = flow.tables[Node][node]
        left = room(Offer(claim_id="", free=()), row, used(flow, row)).left
        waits = left is not None and not left.covers(taken(flow.shapes[job.id], row.capacity))
    job = change.move(job, JobStatus.RUNNING, start_time=change.now, node_id=node, prefetched=waits)
    change.tell(telling.job_started(job.id, job.name, node, job.run_id, job.attempt_id))


def finish(change: Change, ending: Ending) -> Judgement:
    """Record an ending; what waited for it follows when the change settles (`engine.md` §8.2)."""
    flow = change.flow
    job = flow.jobs.get(ending.job)
    if job is None:
        return Judgement(
            verdict=Verdict.STALE, refusal=NotFound(f"no job {ending.job} in workflow {flow.workflow.id}")
        )
    run = flow.workflow.run_id
    stored = None if holds(job, ending, run) else flow.result(job.id, *meant(job, ending, run))
    judgement = judge(job, ending, run, stored)
    if judgement.verdict is Verdict.DIFFERENT:
        told = telling.different_result(
            job.id, judgement.run_id, judgement.attempt_id, ending.status, ending.return_code
        )
        change.tell(told)
    elif late(judgement, ending):
        change.tell(telling.stale_result(job.id, *meant(job, ending, run), ending.status, ending.return_code))
    elif judgement.replaces is not None:
        _replace(change, job, ending, judgement)
    elif judgement.verdict is Verdict.DONE:
        return _end(change, job, ending, judgement)
    elif judgement.verdict is Verdict.SAME and job.reason == RECOVERING and job.lease == ending.lease:
        retrying.repeat(change, job, ending)
    return judgement


def _replace(change: Change, job: Job, ending: Ending, judgement: Judgement) -> None:
    """The real result of an attempt that was given up as lost (`engine.md` §15.4)."""
    status, run, attempt = judgement.result or job.status, judgement.run_id, judgement.attempt_id
    change.keep(job, ending, status, run, attempt, replaces=judgement.replaces)
    if judgement.status is None:
        change.set(job, reason=ending.reason)
    else:
        change.move(job, status, reason=ending.reason)
    change.tell(telling.job_ended(job.id, job.name, status, ending.return_code, ending.reason, run, attempt))
    if ending.status is JobStatus.COMPLETED:
        fingerprint(change.flow, ending.outputs)


def _end(change: Change, job: Job, ending: Ending, judgement: Judgement) -> Judgement:
    flow = change.flow
    before, node, shape, had_place = job.status, job.node_id, flow.shapes[job.id], not job.prefetched
    fields = FREED if judgement.settled else {}
    if judgement.result is not None:
        result = change.keep(job, ending, judgement.result, judgement.run_id, judgement.attempt_id)
        if judgement.current:
            fields = {**fields, "result_id": result}
    retry = retrying.decided(change, job, ending, judgement)
    if retry.script is not None:
        retrying.recover(change, job, ending, retry.script, **fields)
        return judgement
    if retry.again:
        retrying.again(change, job, ending.return_code, retry)
        judgement = replace(judgement, verdict=Verdict.RETRY)
    elif judgement.status is None:
        change.set(job, **fields)
    else:
        judgement = judgement if retry.status is None else replace(judgement, status=retry.status)
        assert judgement.status is not None
        job = change.move(job, judgement.status, reason=ending.reason, **fields)
        change.tell(telling.job_ended(
            job.id, job.name, job.status, ending.return_code, ending.reason, judgement.run_id, judgement.attempt_id
        ))  # fmt: skip
        if judgement.override:
            change.tell(telling.override(job.id, before, job.status))
    if ending.leftovers:
        change.tell(telling.leftovers(job.id, judgement.attempt_id, ending.leftovers))
    if ending.status is JobStatus.COMPLETED:
        fingerprint(flow, ending.outputs)
    if node is not None and had_place and judgement.settled:
        fill_place(change, node, shape)
    return judgement


def fill_place(change: Change, node: NodeId, shape: Shape) -> None:
    """A place on a node is free: the job of this class that was started ahead for it has it from now on (§7.7)."""
    flow = change.flow
    waiting = [flow.jobs[id] for id in flow.live.get(node, ()) if flow.shapes[id] == shape]
    waiting = [job for job in waiting if job.prefetched and job.status is JobStatus.RUNNING]
    if waiting:
        change.set(min(waiting, key=lambda job: (job.start_time or 0, job.id)), prefetched=False)


def give_back(change: Change, held: Held) -> None:
    """Take back what a node will not run (`engine.md` §7.7, §7.10)."""
    flow = change.flow
    job = flow.jobs.get(held.job)
    judgement = None if job is None else given_back(job, held, held.job in flow.forked)
    if job is None or judgement is None:
        return
    node, shape, had_place = job.node_id, flow.shapes[job.id], not job.prefetched
    change.tell_moved("job_given_back", [job.id])
    if judgement.status is not None:
        change.again(job)
    else:
        change.set(job, **FREED)
    if node is not None and had_place:
        fill_place(change, node, shape)
