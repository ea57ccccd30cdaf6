"""Claiming: order, fit, labels, schedulers, limits, repetition (`engine.md` §7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.model import (
    Initialize,
    JobStatus,
    Node,
    NodeId,
    Offer,
    Plan,
    PlannedScheduler,
    Query,
    Resources,
    SchedulerId,
    SlurmScheduler,
    WorkflowId,
)
from torc_core.model.resources import GIB
from torc_core.testing.plans import chain, diamond, fan, need, shaped
from torc_core.testing.stores.scene import Scene, SceneContract, ended, names


class ClaimContract(SceneContract):
    """Which jobs a node is given."""

    def test_a_claimed_job_is_never_claimed_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(6))
        node, other = scene.node(workflow), scene.node(workflow)

        given = names(scene.claim(node)) + names(scene.claim(other)) + names(scene.claim(node))

        assert sorted(given) == [f"job{position}" for position in range(6)]

    def test_what_a_claim_gives_is_running_on_record(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)

        offer = scene.offer(node)
        given = scene.turn(node, offer=offer).jobs[0]

        job = scene.job(workflow, "job0")
        assert given.job == job
        assert (given.started, given.ahead, job.status) == (True, False, JobStatus.RUNNING)
        assert (job.node_id, job.lease, job.run_id, job.attempt_id) == (node.id, offer.claim_id, 1, 1)
        assert job.claimed_at == job.start_time == scene.clock.now()

    def test_without_start_a_claimed_job_is_pending(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        given = scene.claim(scene.node(workflow), start=False)[0]

        assert (given.started, given.job.status, given.job.start_time) == (False, JobStatus.PENDING, None)

    def test_a_claim_takes_the_order_of_priority_gpus_runtime_memory_cpus_and_id(self, scene: Scene) -> None:
        needs = [
            need("a"), need("b", cpus=2), need("c", memory=2 * GIB), need("d", runtime=120), need("e", gpus=1),
            need("f"), need("g"),
        ]  # fmt: skip
        workflow = scene.started(shaped(*needs, priorities=[0, 0, 0, 0, 0, 1, 0]))

        given = scene.claim(scene.node(workflow, cpus=64, memory=64 * GIB, gpus=4))

        assert names(given) == ["job5", "job4", "job3", "job2", "job1", "job0", "job6"]

    def test_a_claim_never_exceeds_the_offer(self, scene: Scene) -> None:
        workflow = scene.started(shaped(*(need(f"n{at}", cpus=2, memory=GIB) for at in range(9))))
        node = scene.node(workflow, cpus=64, memory=64 * GIB)

        by_cpus = scene.claim(node, free=[Resources(cpus=5, memory=64 * GIB)])
        by_memory = scene.claim(node, free=[Resources(cpus=64, memory=3 * GIB)])

        assert (len(by_cpus), len(by_memory)) == (2, 3)

    def test_a_claim_never_exceeds_the_capacity_left_by_the_records(self, scene: Scene) -> None:
        workflow = scene.started(fan(9))
        node = scene.node(workflow, cpus=4)

        first, second = scene.claim(node, limit=3), scene.claim(node)

        assert (len(first), len(second)) == (3, 1)

    def test_a_job_that_does_not_fit_lets_smaller_ones_pass(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("big", cpus=8, runtime=600), need("small")))

        assert names(scene.claim(scene.node(workflow, cpus=4))) == ["job1"]

    def test_a_job_needs_enough_of_everything_on_one_node(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("both", cpus=3, memory=6 * GIB)))
        node = scene.node(workflow, cpus=8, num_nodes=2)
        wide, tall = Resources(cpus=8, memory=GIB), Resources(cpus=1, memory=8 * GIB)

        assert not scene.claim(node, free=[wide, tall])
        assert scene.claim(node, free=[wide, Resources(cpus=3, memory=6 * GIB)])[0].node_index == 1

    def test_a_job_of_several_nodes_takes_whole_idle_ones(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("pair", nodes=2), need("single"), priorities=[1, 0]))
        node = scene.node(workflow, cpus=4, num_nodes=2)
        busy = Resources(cpus=3, memory=8 * GIB)

        beside = scene.claim(node, free=[busy, node.capacity])
        assert names(beside) == ["job1"]
        scene.finish(node, beside)

        assert names(scene.claim(node)) == ["job0"]
        assert not scene.claim(node)

    def test_a_job_that_needs_longer_than_the_time_left_is_not_given(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("long", runtime=600), need("short", runtime=60)))

        assert names(scene.claim(scene.node(workflow), time_limit=599)) == ["job1"]

    @pytest.mark.parametrize("label", [None, "a", "b"])
    def test_only_equal_labels_meet(self, scene: Scene, label: str | None) -> None:
        labels = [None, "a", "b", "A"]
        workflow = scene.started(shaped(*(need(f"n{at}") for at in range(4)), labels=labels))

        given = scene.claim(scene.node(workflow, label=label))

        assert [one.job.label for one in given] == [label]

    def test_a_job_with_a_scheduler_prefers_its_nodes(self, scene: Scene) -> None:
        workflow, schedulers = _with_schedulers(scene)

        given = scene.claim(scene.node(workflow, scheduler_id=schedulers[1]))

        assert names(given) == ["job1", "job2"]

    def test_schedulers_are_ignored_when_nothing_else_is_there(self, scene: Scene) -> None:
        workflow, schedulers = _with_schedulers(scene)
        node = scene.node(workflow, scheduler_id=schedulers[1])
        scene.claim(node)

        assert names(scene.claim(node, strict_scheduler_match=True)) == []
        assert names(scene.claim(node)) == ["job0"]

    def test_a_limit_is_kept_and_0_gives_nothing(self, scene: Scene) -> None:
        workflow = scene.started(fan(9))
        node = scene.node(workflow, cpus=64)

        assert [len(scene.claim(node, limit=limit)) for limit in (0, 2, 64)] == [0, 2, 7]

    def test_by_count_only_priority_and_id_matter(self, scene: Scene) -> None:
        needs = [need("a"), need("b", cpus=99), need("c", gpus=9), need("d")]
        workflow = scene.started(shaped(*needs, priorities=[0, 0, 0, 1]))

        given = scene.claim(scene.node(workflow, cpus=1), by_count=True, limit=3, free=[Resources()])

        assert names(given) == ["job3", "job0", "job1"]

    def test_the_same_claim_again_gives_the_jobs_that_are_still_held(self, scene: Scene) -> None:
        workflow = scene.started(fan(9))
        node = scene.node(workflow, cpus=3)
        offer = scene.offer(node)
        first = scene.turn(node, offer=offer).jobs
        scene.finish(node, first[:1])

        again = scene.turn(node, offer=offer)

        assert sorted(names(again.jobs)) == names(first[1:])
        assert all(one.started for one in again.jobs)

    def test_after_a_claim_that_gave_nothing_the_next_may_give_something(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        node = scene.node(workflow)
        nothing = scene.claim(node)

        scene.store.initialize(workflow, Initialize(force=True))

        assert not nothing
        assert names(scene.claim(node)) == ["job0"]

    def test_an_assignment_carries_what_a_runner_needs(self, scene: Scene) -> None:
        workflow = scene.started(diamond())

        given = scene.claim(scene.node(workflow))[0]

        assert (given.shape.cpus, given.shape.memory, given.shape.runtime, given.stated) == (
            1,
            1024**2,
            60,
            False,
        )
        assert [(one.name, one.path) for one in given.outputs] == [("a", "a.txt")]

    def test_memory_above_the_default_was_stated(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("stated", memory=GIB)))

        assert scene.claim(scene.node(workflow))[0].stated

    def test_an_empty_claim_says_why_with_figures(self, scene: Scene) -> None:
        needs = [need(f"m{at}", memory=9 * GIB) for at in range(12)] + [
            need(f"t{at}", runtime=3000) for at in range(2)
        ]
        workflow = scene.started(shaped(*needs))
        node = scene.node(workflow, memory=4 * GIB)

        orders = scene.turn(node, offer=scene.offer(node, time_limit=1500))

        assert (
            orders.reason
            == "14 ready jobs: 2 need longer than the 25 min left, 12 need more memory than the 4.0 GiB free"
        )
        assert orders.never

    def test_what_fits_an_empty_node_may_fit_later(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("a", cpus=3), need("b", cpus=2)))
        node = scene.node(workflow, cpus=4)
        scene.claim(node)

        orders = scene.turn(node, offer=scene.offer(node, free=[Resources(cpus=1, memory=8 * GIB)]))

        assert (orders.reason, orders.never) == ("1 ready job: 1 needs more CPUs than the 1 free", False)

    def test_nothing_is_impossible_while_something_runs(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("big", cpus=99), need("small")))
        node = scene.node(workflow)
        scene.claim(node)

        assert not scene.turn(node, offer=scene.offer(node)).never

    def test_a_job_that_waits_too_long_for_room_keeps_others_off_the_node(self, scene: Scene) -> None:
        small = [need(f"s{at}") for at in range(4)]
        workflow = scene.started(shaped(need("whole", cpus=4, runtime=600), *small))
        node = scene.node(workflow, cpus=4)
        one_free = [Resources(cpus=1, memory=8 * GIB)]
        blocker = scene.claim(node, free=one_free)
        scene.move(599)
        before = scene.claim(node, free=one_free)
        scene.move(1)

        after = scene.turn(node, offer=scene.offer(node, free=one_free))
        scene.finish(node, [*blocker, *before])

        assert (names(blocker), names(before), names(after.jobs)) == (["job1"], ["job2"], [])
        assert f"behind job {scene.job(workflow, 'job0').id}" in str(after.reason)
        assert names(scene.claim(node)) == ["job0"]

    def test_a_client_that_is_no_node_claims_pending_jobs(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        node = scene.node(workflow)
        offer = scene.offer(node, limit=2)

        given = scene.store.claim(workflow, offer)
        again = scene.store.claim(workflow, offer)

        assert names(given) == names(again) == ["job0", "job1"]
        assert [(one.job.status, one.job.node_id, one.job.lease) for one in given] == [
            (JobStatus.PENDING, None, None)
        ] * 2

    def test_a_claim_by_hand_that_is_not_started_in_time_is_given_up(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        mine = scene.store.claim(workflow, scene.offer(node))[0].job

        scene.move(600)
        nothing = scene.turn(node, offer=scene.offer(node, limit=0))

        assert not nothing.jobs
        assert scene.job(workflow, "job0").status is JobStatus.READY
        assert scene.store.start(mine.id, 0, node.id) == "done"
        assert scene.job(workflow, "job0").status is JobStatus.RUNNING

    def test_what_is_claimed_in_the_name_of_a_published_node_counts_for_it_before_it_starts(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(5))
        node = _published(scene, workflow)

        def claimed(id: str) -> list[str]:
            return names(scene.store.claim(workflow, replace(scene.offer(node, claim_id=id), node=node.id)))

        first = claimed("a")
        again, none = claimed("a"), claimed("b")
        scene.end(workflow, "job0")
        third = claimed("c")

        assert (first, again, none, third) == (["job0", "job1"], ["job0", "job1"], [], ["job2"])

    def test_what_a_published_node_claimed_and_never_started_is_ready_when_it_closes(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(3))
        node = _published(scene, workflow)
        given = scene.store.claim(workflow, replace(scene.offer(node), node=node.id))
        scene.store.start(given[0].job.id, 0, node.id)
        scene.store.claim(workflow, Offer(claim_id="other", free=[], limit=1, by_count=True))

        scene.store.close_node(node.id)

        assert scene.statuses(workflow) == {"job0": "running", "job1": "ready", "job2": "pending"}

    def test_released_jobs_are_claimed_in_the_turn_that_released_them(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))
        node = scene.node(workflow)
        first = scene.claim(node)[0]

        orders = scene.turn(node, endings=[ended(first)], offer=scene.offer(node))

        assert (list(orders.endings), names(orders.jobs), orders.remaining) == (["done"], ["job1"], 2)


def _published(scene: Scene, workflow: WorkflowId) -> Node:
    """A runner with two CPUs that registered the published way."""
    (node,) = scene.store.add(
        [
            Node(
                id=NodeId(0), workflow_id=workflow, epoch="", hostname="n1", pid=7, boot_id="", process_start=0,
                capacity=Resources(cpus=2, memory=8 * GIB),
            )
        ]
    )  # fmt: skip
    return node


def _with_schedulers(scene: Scene) -> tuple[WorkflowId, list[SchedulerId]]:
    plan = shaped(need("a"), need("b"), need("c"))
    jobs = [replace(plan.jobs[0], scheduler=0), replace(plan.jobs[1], scheduler=1), plan.jobs[2]]
    schedulers = [PlannedScheduler(name=name, fields={"account": "a"}) for name in ("first", "second")]
    workflow = scene.started(
        Plan(workflow=plan.workflow, jobs=jobs, requirements=plan.requirements, schedulers=schedulers)
    )
    return workflow, [one.id for one in scene.store.find(SlurmScheduler, Query(workflow=workflow)).items]
