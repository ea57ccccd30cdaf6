"""What is left of a workflow and what its jobs took, asked of any store, for a forecast (`observability.md` §3)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.engine.forecast import ENOUGH, Task, forecast, slots
from torc_core.engine.stages import stage_name
from torc_core.model import (
    LIVE,
    Eta,
    JobDependency,
    JobStatus,
    Node,
    NodeState,
    Query,
    Requirement,
    RequirementId,
    Sample,
    Shape,
    Totals,
)

if TYPE_CHECKING:
    from torc_core.protocols import Store

MOST = 1_000
"""Jobs that stand for all of a workflow: of smaller ones all of them."""

MOST_CLASSES = 12
"""Stages that are told apart, the largest of what is left; of the others all with one requirement are one class."""

OTHERS = ""

MOST_BLOCKERS = 50
WAITING = (JobStatus.BLOCKED, JobStatus.READY)

Key = tuple[str, RequirementId]


def foreseen(store: Store, totals: Totals, nodes: Sequence[Node]) -> Eta | None:
    """How long it will take; None: no runner works on it, nothing is left, or something fits nowhere.

    Allocations that are queued are not counted on: when they start, nobody knows.
    """
    there = [
        (one.capacity, one.num_nodes) for one in nodes if one.state is NodeState.ACTIVE and not one.draining
    ]
    if not there or totals.complete or not totals.initialized:
        return None
    workflow = totals.workflow.id
    samples = store.sampled(workflow, MOST)
    needs = {one.id: one for one in store.find(Requirement, Query(workflow=workflow, limit=2**31)).items}
    counts, took, blocked = _classes(samples, totals)
    after = {key: _after(store, one, counts) for key, one in blocked.items() if key[0] != OTHERS}
    tasks: dict[Hashable, Task] = {
        key: Task(
            waiting=sum(of[status] for status in WAITING),
            ready=of[JobStatus.READY],
            running=sum(of[status] for status in LIVE),
            slots=slots(_shape(needs[key[1]]), there),
            seconds=_known(key, took),
            declared=needs[key[1]].runtime_s,
            after=after.get(key, {}),
        )
        for key, of in counts.items()
        if any(of[status] for status in (*WAITING, *LIVE))
    }  # fmt: skip
    return forecast(tasks) if tasks else None


def _classes(
    samples: Sequence[Sample], totals: Totals
) -> tuple[Mapping[Key, Mapping[JobStatus, float]], Mapping[Key, Sequence[float]], Mapping[Key, Sample]]:
    """Jobs by class and status, what they took, and a blocked one of each class that has any."""
    seen = Counter(one.status for one in samples)
    weight = {status: totals.counts.get(status, 0) / number for status, number in seen.items()}
    left = Counter(
        (stage_name(one.name), one.requirement_id) for one in samples if one.status in (*WAITING, *LIVE)
    )
    told = {key for key, _ in left.most_common(MOST_CLASSES)}
    counts: dict[Key, dict[JobStatus, float]] = defaultdict(lambda: defaultdict(float))
    took: dict[Key, list[float]] = defaultdict(list)
    blocked: dict[Key, Sample] = {}
    for one in samples:
        key = stage_name(one.name), one.requirement_id
        if left[key] and key not in told:
            key = OTHERS, one.requirement_id
        counts[key][one.status] += weight[one.status]
        if one.status is JobStatus.COMPLETED and one.seconds is not None:
            took[key].append(one.seconds)
        elif one.status is JobStatus.BLOCKED:
            blocked.setdefault(key, one)
    return counts, took, blocked


def _known(key: Key, took: Mapping[Key, Sequence[float]]) -> Sequence[float]:
    """What jobs like these took: of their class, or of all with their requirement; empty: too few are known."""
    if len(own := took.get(key, ())) >= ENOUGH:
        return own
    others = [one for (_, need), known in took.items() if need == key[1] for one in known]
    return others if len(others) >= ENOUGH else ()


def _after(
    store: Store, job: Sample, counts: Mapping[Key, Mapping[JobStatus, float]]
) -> Mapping[Hashable, bool]:
    """The classes that a job waits for, and whether for all of them; judged by those of its blockers that are read first."""
    page = store.find(
        JobDependency, Query(workflow=job.workflow_id, where={"job_id": job.job_id}, limit=MOST_BLOCKERS)
    )
    stages = Counter(stage_name(one.depends_on_job_name) for one in page.items)
    found: dict[Hashable, bool] = {}
    for key, of in counts.items():
        number = stages.get(key[0], 0) * page.total / max(1, len(page.items))
        if number:
            found[key] = number > 1 and number >= sum(of.values()) / 2
    return found


def _shape(need: Requirement) -> Shape:
    return Shape(
        cpus=need.num_cpus,
        memory=need.memory_bytes,
        gpus=need.num_gpus,
        nodes=need.num_nodes,
        runtime=need.runtime_s,
    )
