"""Random workflows, ended in random order, against an evaluator that knows nothing of groups and counters."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest

from torc_core.engine.release import recount
from torc_core.model import Ending, Initialize, Job, JobStatus, Plan, Query
from torc_core.testing.memory import MemoryStore
from torc_core.testing.memory.flow import Flow, claimable
from torc_core.testing.plans import barrier, chain, random_plan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene

CASES = int(os.environ.get("TORC_TEST_CASES", "300"))
MANY = int(os.environ.get("TORC_TEST_JOBS", "20000"))
WIDE = MANY // 20
"""Sizes at which a step too many for each job would be seen."""
OUTCOMES = [JobStatus.COMPLETED] * 5 + [JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.CANCELED]


def evaluate(plan: Plan, outcomes: Mapping[int, JobStatus]) -> dict[str, JobStatus]:
    """How every job of a plan ends, if the job at each position would end as `outcomes` says when it runs.

    A job runs unless it cancels on failure and one of its blockers ended badly. That is all there is to know.
    """
    ends: dict[int, JobStatus] = {}
    for position, job in enumerate(plan.jobs):
        blockers = {member for group, _ in job.groups for member in plan.groups[group]}
        bad = any(ends[blocker].bad for blocker in blockers)
        canceled = bad and job.cancel_on_blocking_job_failure
        ends[position] = JobStatus.CANCELED if canceled else outcomes[position]
    return {plan.jobs[position].name: status for position, status in ends.items()}


def outcomes_of(dice: Random, plan: Plan) -> dict[int, JobStatus]:
    return {position: dice.choice(OUTCOMES) for position in range(len(plan.jobs))}


def run(scene: Scene, plan: Plan, outcomes: Mapping[int, JobStatus], dice: Random) -> Flow:
    """End ready jobs in random order and random batches until none is left."""
    store = scene.store
    assert isinstance(store, MemoryStore)
    workflow = scene.created(plan).id
    store.initialize(workflow, Initialize())
    flow = store._flows[workflow]
    first = min(flow.jobs, default=0)
    while ready := [job for job in flow.jobs.values() if job.status is JobStatus.READY]:
        batch = dice.sample(ready, dice.randint(1, len(ready)))
        store.finish(workflow, [end(job, outcomes[job.id - first]) for job in batch])
        check_counters(flow)
    return flow


def end(job: Job, status: JobStatus) -> Ending:
    code = 0 if status is JobStatus.COMPLETED else 1
    return Ending(
        job=job.id, run_id=0, attempt_id=job.attempt_id, lease=None, status=status, return_code=code
    )


def check_counters(flow: Flow) -> None:
    """Counting everything anew changes nothing (`engine.md` §5.6)."""
    for group, members in flow.links.members.items():
        assert flow.links.counts[group] == recount(flow.jobs[job].status for job in members)
    for job in flow.jobs.values():
        assert job.unmet == sum(flow.links.counts[group][0] > 0 for group in flow.uses(job.id))
    ready: dict[object, int] = {}
    for job in flow.jobs.values():
        if claimable(job):
            ready[flow.shapes[job.id]] = ready.get(flow.shapes[job.id], 0) + 1
    assert {shape: line.count for shape, line in flow.lines.items() if line.count} == ready


@pytest.fixture
def scene(clock: SetClock) -> Scene:
    return Scene(MemoryStore(clock), clock)


@pytest.mark.parametrize("part", range(10))
def test_random_workflows_end_as_the_evaluator_says(scene: Scene, part: int) -> None:
    for seed in range(part, CASES, 10):
        dice = Random(seed)
        plan = random_plan(seed, 25)
        outcomes = outcomes_of(dice, plan)

        flow = run(scene, plan, outcomes, dice)

        assert {job.name: job.status for job in flow.jobs.values()} == evaluate(plan, outcomes), seed
        assert flow.complete


@pytest.mark.parametrize("part", range(5))
def test_a_job_that_is_ended_well_by_hand_after_the_cascade_restores_what_the_evaluator_says(
    scene: Scene, part: int
) -> None:
    for seed in range(part, CASES, 5):
        dice = Random(seed)
        plan = random_plan(seed, 15)
        outcomes = outcomes_of(dice, plan)
        flow = run(scene, plan, outcomes, dice)
        first = min(flow.jobs)
        cascaded = [job for job in flow.jobs.values() if (job.reason or "").startswith("blocker:")]
        if not cascaded:
            continue
        saved = dice.choice(cascaded)

        scene.store.finish(flow.workflow.id, [end(saved, JobStatus.COMPLETED)])
        check_counters(flow)
        while ready := [job for job in flow.jobs.values() if job.status is JobStatus.READY]:
            scene.store.finish(flow.workflow.id, [end(job, outcomes[job.id - first]) for job in ready])

        jobs = [
            replace(job, cancel_on_blocking_job_failure=False) if job.name == saved.name else job
            for job in plan.jobs
        ]
        wanted = evaluate(replace(plan, jobs=jobs), {**outcomes, saved.id - first: JobStatus.COMPLETED})
        assert {job.name: job.status for job in flow.jobs.values()} == wanted, seed


@pytest.mark.parametrize("part", range(5))
def test_after_random_operations_the_counters_are_those_of_a_recount(clock: SetClock, part: int) -> None:
    from torc_core.testing.stores.agreement import Actor

    for seed in range(part, CASES // 3, 5):
        store = MemoryStore(clock)
        actor, dice = Actor(Scene(store, clock)), Random(seed)
        actor.begin(seed)
        for _ in range(40):
            actor.step(dice)
            check_counters(store._flows[actor.workflow])


@pytest.fixture
def without_collector() -> Iterator[None]:
    """The garbage collector, which finds nothing here, would take two thirds of the time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
def test_a_chain_of_many_whose_head_fails_is_canceled_to_its_end(scene: Scene) -> None:
    workflow = scene.started(chain(MANY))
    head = scene.store.find(Job, Query(workflow=workflow, limit=1)).items[0]

    scene.store.finish(workflow, [end(head, JobStatus.FAILED)])

    assert scene.counts(workflow) == {"failed": 1, "canceled": MANY - 1}


def test_a_barrier_costs_its_members_and_its_uses(scene: Scene) -> None:
    workflow = scene.started(barrier(WIDE, WIDE))
    blockers: Sequence[Job] = scene.jobs(workflow)[:WIDE]

    scene.store.finish(workflow, [end(job, JobStatus.COMPLETED) for job in blockers])

    assert scene.counts(workflow) == {"completed": WIDE, "ready": WIDE}
