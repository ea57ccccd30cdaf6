"""When faults have stopped it ends, and nothing that a trigger asked for was done twice (I3, I8)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from torc_core.engine.liveness import BEYOND_MS
from torc_core.model import Allocation, Job, JobStatus, Node, NodeState
from torc_core.testing.checker.evidence import Evidence
from torc_core.testing.checker.violation import Violation

SWEEP_MS = 10_000
"""How often a server looks for runners that are lost."""

BY_HAND_MS = 600_000
"""A claim by hand that is not started in this time goes back."""


def it_ends(evidence: Evidence, *, ends: bool) -> Iterator[Violation]:
    """I3: every job has ended, or waits for a reason; with `ends`, has ended."""
    nodes = {node.id: node for node in evidence.nodes}
    jobs = {job.id: job for job in evidence.jobs}
    canceled = {workflow.id for workflow in evidence.workflows if workflow.is_canceled}
    for job in evidence.jobs:
        node = None if job.node_id is None else nodes.get(job.node_id)
        held = job.status in (JobStatus.PENDING, JobStatus.RUNNING) or job.stop
        if held and (why := _forgotten(evidence, job, node)) is not None:
            yield Violation(rule="I3", what=f"job {job.id} is {job.status.label}, {why}")
        if job.status is JobStatus.BLOCKED:
            waits = [jobs[one] for one in evidence.blockers.get(job.id, ()) if one in jobs]
            if all(_over(one) for one in waits):
                yield Violation(rule="I3", what=f"job {job.id} is blocked, and all that it waits for is over")
        if ends and not _over(job) and job.workflow_id not in canceled:
            yield Violation(rule="I3", what=f"job {job.id} is {job.status.label} at the end")


def _over(job: Job) -> bool:
    return job.status.ended or job.status is JobStatus.DISABLED


def _forgotten(evidence: Evidence, job: Job, node: Node | None) -> str | None:
    if node is None:
        late = job.claimed_at is not None and evidence.now - job.claimed_at > BY_HAND_MS + SWEEP_MS
        return "and claimed by nobody" if job.status is JobStatus.PENDING and late else None
    if node.state is NodeState.ENDED:
        return f"and node {node.id} has ended" if node.beats else None
    silent = evidence.now - (node.last_beat or node.start_time)
    if (
        node.beats
        and node.state is not NodeState.LOST
        and silent > node.lease_seconds * 1_000 + BEYOND_MS + SWEEP_MS
    ):
        return f"and node {node.id} has been silent for {silent / 1000:.0f} s"
    if node.state is NodeState.LOST and job.status is JobStatus.RUNNING:
        return f"and node {node.id} is lost"
    return None


def actions_once(evidence: Evidence) -> Iterator[Violation]:
    """I8: each trigger is answered once, inside of torc and outside of it."""
    firings = Counter((one.action_id, one.run_id, one.node_id) for one in evidence.action_runs)
    for (action, run, node), count in firings.items():
        if count > 1:
            yield Violation(
                rule="I8", what=f"action {action} fired {count} times in run {run} for node {node}"
            )
    effects = Counter(mark.key for mark in evidence.marks if mark.what == "effect")
    for key, count in effects.items():
        if count > 1:
            yield Violation(rule="I8", what=f"{key!r} was done {count} times")
    yield from _allocations(evidence)


def _allocations(evidence: Evidence) -> Iterator[Violation]:
    keys = Counter(one.submission_key for one in evidence.allocations if one.submission_key)
    for key, count in keys.items():
        if count > 1:
            yield Violation(rule="I8", what=f"{count} allocations have the key {key!r}")
    numbers = Counter(one.scheduler_id for one in evidence.allocations if one.scheduler_id is not None)
    for number, count in numbers.items():
        if count > 1:
            yield Violation(rule="I8", what=f"{count} allocations are number {number} of the batch system")
    firings: dict[int, list[Allocation]] = defaultdict(list)
    for one in evidence.allocations:
        if one.action_run_id is not None:
            firings[one.action_run_id].append(one)
    for firing, found in firings.items():
        twice = [at for at, count in Counter(one.ordinal for one in found).items() if count > 1]
        if twice:
            yield Violation(rule="I8", what=f"firing {firing} has place {twice[0]} filled twice")
