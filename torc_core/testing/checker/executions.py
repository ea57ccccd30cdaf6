"""Which process trees lived when: at most one of a job, within the capacity of its node, none for ever (I1, I4, I7)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from torc_core.model import Job, JobStatus, Node, NodeId, NodeState, Resources
from torc_core.record import record
from torc_core.testing.checker.evidence import Attempt, Evidence, Mark
from torc_core.testing.checker.violation import Violation


@record(frozen=True, slots=True, kw_only=True)
class Span:
    """The life of one attempt by the ledger; one that was killed wrote no end, and lived at least at its start."""

    first: Mark
    last: Mark

    def overlaps(self, other: Span) -> bool:
        """Whether both were alive at the same time; clocks of different hosts say nothing."""
        same = self.first.host == other.first.host
        return same and self.first.ns < other.last.ns and other.first.ns < self.last.ns


def spans(evidence: Evidence) -> dict[Attempt, list[Span]]:
    """The lives of every attempt; more than one is wrong."""
    found: dict[Attempt, list[Span]] = defaultdict(list)
    open_: dict[tuple[Attempt, str, int], Mark] = {}
    for mark in evidence.marks:
        who = (mark.of, mark.host, mark.pid)
        if mark.what == "start":
            open_[who] = mark
            found[mark.of].append(Span(first=mark, last=mark))
        elif mark.what == "end" and who in open_:
            first = open_.pop(who)
            found[mark.of] = [
                replace(span, last=mark) if span.first is first else span for span in found[mark.of]
            ]
    return found


def once(evidence: Evidence) -> Iterator[Violation]:
    """I1: never two process trees of a job at the same time, and no attempt started twice."""
    lives = spans(evidence)
    for (job, run, attempt), found in lives.items():
        if len(found) > 1:
            yield Violation(
                rule="I1", what=f"attempt {attempt} of job {job} in run {run} started {len(found)} times"
            )
    of_job: dict[int, list[Span]] = defaultdict(list)
    for attempt_, found in lives.items():
        of_job[attempt_[0]] += found
    for job, found in of_job.items():
        if job in evidence.forced:
            continue
        found.sort(key=lambda span: span.first.ns)
        for at, span in enumerate(found):
            if not span.first.alone:
                yield Violation(
                    rule="I1",
                    what=f"job {job}: attempt {span.first.attempt} of run {span.first.run} was not alone",
                )
            for other in found[at + 1 :]:
                if span.overlaps(other):
                    yield Violation(
                        rule="I1",
                        what=f"job {job}: attempts {span.first.of[1:]} and {other.first.of[1:]} were alive together",
                    )


def within_capacity(evidence: Evidence) -> Iterator[Violation]:
    """I4: what lives on a node fits it, by the records and by the ledger; no device serves two jobs."""
    nodes = {node.id: node for node in evidence.nodes}
    yield from _by_records(evidence, nodes)
    yield from _by_ledger(evidence, nodes)
    yield from _devices(evidence)


def _by_records(evidence: Evidence, nodes: Mapping[NodeId, Node]) -> Iterator[Violation]:
    taken: dict[NodeId, Resources] = defaultdict(Resources)
    for job in evidence.jobs:
        node = None if job.node_id is None else nodes.get(job.node_id)
        if node is None or job.prefetched or node.state is NodeState.ENDED:
            continue
        if job.status in (JobStatus.PENDING, JobStatus.RUNNING) or job.stop:
            taken[node.id] += _need(evidence, job, node)
    for id, sum_ in taken.items():
        if not _whole(nodes[id]).covers(sum_):
            yield Violation(
                rule="I4", what=f"node {id} has {_whole(nodes[id])} and live jobs of {sum_} on record"
            )


def _by_ledger(evidence: Evidence, nodes: Mapping[NodeId, Node]) -> Iterator[Violation]:
    homes: dict[Attempt, NodeId] = {
        (one.job_id, one.run_id, one.attempt_id): one.node_id
        for one in evidence.results
        if one.node_id is not None
    }
    jobs = {job.id: job for job in evidence.jobs}
    steps: dict[NodeId, list[tuple[int, int, Resources]]] = defaultdict(list)
    for attempt, found in spans(evidence).items():
        home, job = homes.get(attempt), jobs.get(attempt[0])  # type: ignore[call-overload]  # a job's number
        if home is None or job is None or home not in nodes:
            continue
        need = _need(evidence, job, nodes[home])
        for span in found:
            steps[home] += [(span.first.ns, 1, need), (span.last.ns, 0, need)]
    for id, changes in steps.items():
        used = Counter[str]()
        capacity = _whole(nodes[id])
        # NOTE: who ends at the instant at which another begins has made room for it.
        for ns, begins, need in sorted(changes, key=lambda step: step[:2]):
            sign = 1 if begins else -1
            for name, amount in (("cpus", need.cpus), ("memory", need.memory), ("gpus", need.gpus)):
                used[name] += sign * amount
            over = [name for name in used if used[name] > getattr(capacity, name)]
            if over:
                yield Violation(
                    rule="I4", what=f"node {id} had {', '.join(over)} given twice at {ns} ns by the ledger"
                )
                break


def _devices(evidence: Evidence) -> Iterator[Violation]:
    of_device: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for found in spans(evidence).values():
        for span in found:
            for device in span.first.gpus:
                of_device[span.first.host, device].append(span)
    for (host, device), found in of_device.items():
        found.sort(key=lambda span: span.first.ns)
        for at, span in enumerate(found):
            for other in found[at + 1 :]:
                if span.overlaps(other):
                    jobs = f"{span.first.job} and {other.first.job}"
                    yield Violation(rule="I4", what=f"device {device} of {host} was shared by jobs {jobs}")


def _need(evidence: Evidence, job: Job, node: Node) -> Resources:
    need = evidence.requirements.get(job.requirement_id)
    if need is None:
        return Resources()
    if need.num_nodes > 1:
        whole = node.capacity
        return Resources(
            cpus=whole.cpus * need.num_nodes,
            memory=whole.memory * need.num_nodes,
            gpus=whole.gpus * need.num_nodes,
        )
    return Resources(cpus=need.num_cpus, memory=need.memory_bytes, gpus=need.num_gpus)


def _whole(node: Node) -> Resources:
    one, count = node.capacity, node.num_nodes
    return Resources(cpus=one.cpus * count, memory=one.memory * count, gpus=one.gpus * count)


def leaks(evidence: Evidence) -> Iterator[Violation]:
    """I7: nothing lives that belongs to no live attempt."""
    jobs = {int(job.id): job for job in evidence.jobs}
    for one in evidence.survivors:
        _, (id, run, attempt) = one.of
        job = jobs.get(id)
        runs = job is not None and (job.status is JobStatus.RUNNING or job.stop > 0)
        if job is None or not runs or (job.run_id, job.attempt_id) != (run, attempt):
            yield Violation(
                rule="I7", what=f"process {one.pid} of job {id}, run {run}, attempt {attempt} still lives"
            )
