"""What the end of a job means to those who wait for it (`engine.md` §4, §5)."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from torc_core.model import Event, Job, JobStatus, Plan, Query, Workflow, WorkflowId
from torc_core.testing.plans import barrier, chain, diamond, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, ended

DEEP = int(os.environ.get("TORC_TEST_DEPTH", "3000"))
"""Jobs in the longest chain that fails at its head: more than anything may be nested."""
BAD = [JobStatus.FAILED, JobStatus.CANCELED, JobStatus.TERMINATED]


class ReleaseContract(SceneContract):
    """Releasing, cancelling, restoring."""

    def test_a_diamond_is_released_step_by_step(self, scene: Scene) -> None:
        workflow = scene.started(diamond())

        seen = []
        for name in "abcd":
            seen.append(
                "".join(name for name, status in scene.statuses(workflow).items() if status == "ready")
            )
            scene.end(workflow, name)

        assert seen == ["a", "bc", "c", "d"]
        assert scene.counts(workflow) == {"completed": 4}

    @pytest.mark.parametrize("status", BAD)
    def test_a_bad_end_cancels_all_that_wait(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(diamond())

        scene.end(workflow, "a", status)

        a, *waiters = scene.jobs(workflow)
        assert [job.status.label for job in waiters] == ["canceled"] * 3
        assert [job.reason for job in waiters] == [
            f"blocker:{a.id}",
            f"blocker:{a.id}",
            f"blocker:{waiters[0].id}",
        ]
        assert scene.store.totals([workflow])[0].complete

    def test_those_who_are_canceled_together_are_told_in_the_order_of_their_ids(self, scene: Scene) -> None:
        plan = jobs([], [], [0, 1], [0])
        *others, third, fourth = plan.jobs
        uses = [replace(third, groups=fourth.groups), replace(fourth, groups=third.groups)]
        workflow = scene.started(replace(plan, groups=plan.groups[::-1], jobs=[*others, *uses]))

        scene.end(workflow, "job0", JobStatus.FAILED)

        told = [one.data["job_name"] for one in scene.events(workflow, "job_canceled")]
        assert told == ["job2", "job3"]

    def test_terminated_with_code_0_is_a_bad_end(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))

        scene.end(workflow, "job0", JobStatus.TERMINATED, return_code=0)

        assert scene.statuses(workflow)["job1"] == "canceled"

    def test_a_waiter_is_canceled_while_other_blockers_run(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [0, 1]))

        scene.end(workflow, "job0", JobStatus.FAILED)

        assert scene.statuses(workflow) == {"job0": "failed", "job1": "ready", "job2": "canceled"}

    @pytest.mark.parametrize("bad_first", [True, False])
    def test_a_waiter_that_does_not_cancel_waits_for_all_ends_whatever_they_are(
        self, scene: Scene, bad_first: bool
    ) -> None:
        workflow = scene.started(_patient(jobs([], [], [0, 1])))
        first, second = (JobStatus.FAILED, JobStatus.COMPLETED)[:: 1 if bad_first else -1]

        scene.end(workflow, "job0", first)
        between = scene.statuses(workflow)["job2"]
        scene.end(workflow, "job1", second)

        assert (between, scene.statuses(workflow)["job2"]) == ("blocked", "ready")

    @pytest.mark.parametrize("depth", [130, DEEP])
    def test_a_cascade_has_no_limit_of_depth(self, scene: Scene, depth: int) -> None:
        workflow = scene.started(chain(depth))

        scene.end(workflow, "job0", JobStatus.FAILED)

        assert scene.counts(workflow) == {"failed": 1, "canceled": depth - 1}

    def test_a_chain_is_released_to_its_end(self, scene: Scene) -> None:
        workflow = scene.started(chain(130))
        node = scene.node(workflow)

        orders = scene.turn(node, offer=scene.offer(node))
        while orders.jobs:
            orders = scene.turn(node, endings=[ended(one) for one in orders.jobs], offer=scene.offer(node))

        assert orders.complete
        assert scene.counts(workflow) == {"completed": 130}

    def test_a_barrier_opens_with_its_last_blocker(self, scene: Scene) -> None:
        workflow = scene.started(barrier(5, 7))

        for position in range(4):
            scene.end(workflow, f"job{position}")
        before = scene.counts(workflow)
        scene.end(workflow, "job4")

        assert before == {"blocked": 7, "ready": 1, "completed": 4}
        assert scene.counts(workflow) == {"ready": 7, "completed": 5}

    def test_a_batch_of_ends_counts_each_set_once(self, scene: Scene) -> None:
        workflow = scene.started(barrier(6, 3))
        node = scene.node(workflow, cpus=8)

        orders = scene.turn(node, endings=[ended(one) for one in scene.claim(node)], offer=scene.offer(node))

        assert len(orders.jobs) == 3

    def test_in_one_batch_cancelling_comes_before_releasing(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [0], [1, 2]))
        node = scene.node(workflow)
        good, bad = scene.claim(node)

        scene.turn(node, endings=[ended(good), ended(bad, JobStatus.FAILED)])

        assert scene.statuses(workflow) == {
            "job0": "completed",
            "job1": "failed",
            "job2": "ready",
            "job3": "canceled",
        }

    def test_a_disabled_blocker_counts_as_completed(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))

        scene.store.change(Job, scene.job(workflow, "job0").id, {"status": JobStatus.DISABLED})

        assert scene.statuses(workflow) == {"job0": "disabled", "job1": "ready"}

    def test_pending_failed_freezes_those_that_wait(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))

        scene.end(workflow, "job0", JobStatus.PENDING_FAILED)

        assert scene.counts(workflow) == {"blocked": 2, "pending_failed": 1}
        assert not scene.store.totals([workflow])[0].complete

    def test_a_job_canceled_by_cascade_may_still_be_completed_by_hand_and_restores_its_waiters(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(chain(4))
        scene.end(workflow, "job0", JobStatus.FAILED)

        scene.end(workflow, "job1")

        assert scene.statuses(workflow) == {
            "job0": "failed",
            "job1": "completed",
            "job2": "ready",
            "job3": "blocked",
        }
        assert scene.job(workflow, "job2").reason is None

    def test_nothing_is_restored_below_another_bad_blocker(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [0], [], [1], [2, 3]))
        scene.end(workflow, "job0", JobStatus.FAILED)
        scene.end(workflow, "job2", JobStatus.FAILED)

        scene.end(workflow, "job1")

        assert scene.statuses(workflow) == {
            "job0": "failed", "job1": "completed", "job2": "failed", "job3": "ready", "job4": "canceled"
        }  # fmt: skip

    def test_the_end_of_the_last_job_is_told_once(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))

        scene.end(workflow, "job0", JobStatus.FAILED)

        told = scene.events(workflow, "workflow_completed")
        assert [one.data["workflow_id"] for one in told] == [workflow]

    def test_many_equal_moves_are_one_event(self, scene: Scene) -> None:
        workflow = scene.started(chain(1_502))

        scene.end(workflow, "job0", JobStatus.FAILED)

        first, *_, last = scene.jobs(workflow)
        told = scene.events(workflow, "job_canceled")
        assert [one.data for one in told] == [
            {"count": 1_501, "first_job_id": first.id + 1, "last_job_id": last.id}
        ]
        assert len(scene.events(workflow, "job_failed")) == 1

    def test_events_come_in_the_order_of_commits(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        for _ in range(2):
            scene.finish(node, scene.claim(node))

        told = scene.store.find(Event, Query(workflow=workflow)).items

        assert [event.category for event in told] == [
            "workflow_created", "workflow_started", "compute_node_started", "job_started", "job_completed",
            "job_started", "job_completed", "workflow_completed",
        ]  # fmt: skip
        assert [event.id for event in told] == sorted({event.id for event in told})

    def test_job_events_carry_the_published_fields(self, scene: Scene) -> None:
        workflow = scene.started(chain(1))
        node = scene.node(workflow)
        given = scene.claim(node)[0]

        scene.turn(node, endings=[ended(given, JobStatus.FAILED, reason="exit_code")])

        started, failed = (scene.events(workflow, name)[0] for name in ("job_started", "job_failed"))
        job = {"job_id": given.job.id, "job_name": "job0", "run_id": 1, "attempt_id": 1}
        assert dict(started.data) == {**job, "compute_node_id": node.id}
        assert dict(failed.data) == {**job, "status": "failed", "return_code": 1, "reason": "exit_code"}
        assert (started.severity, failed.severity, failed.timestamp) == ("info", "error", scene.clock.now())

    def test_a_workflow_is_complete_when_no_job_is_open(self, scene: Scene) -> None:
        workflow: WorkflowId = scene.started(jobs([], []))
        scene.end(workflow, "job0", JobStatus.FAILED)
        before = scene.store.totals([workflow])[0].complete

        scene.store.change(Job, scene.job(workflow, "job1").id, {"status": JobStatus.DISABLED})

        totals = scene.store.totals([workflow])[0]
        assert (before, totals.complete, totals.good) == (False, True, False)
        assert not scene.store.get(Workflow, workflow).is_canceled


def _patient(plan: Plan) -> Plan:
    return replace(plan, jobs=[replace(job, cancel_on_blocking_job_failure=False) for job in plan.jobs])
