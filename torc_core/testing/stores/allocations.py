"""Allocations: intended once per request, known by their key, over when the batch system or their last node says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.engine.allocating import HELD_MS
from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import (
    Action,
    Allocation,
    AllocationId,
    AllocationStatus,
    Initialize,
    Intent,
    Node,
    NodeState,
    Plan,
    PlannedAction,
    PlannedScheduler,
    Query,
    Replan,
    SchedulerId,
    SlurmScheduler,
    WorkflowId,
)
from torc_core.testing.plans import fan
from torc_core.testing.stores.scene import Scene, SceneContract, beat, names


class AllocationContract(SceneContract):
    """What is known of allocations is right whatever is repeated, lost or late."""

    def test_the_same_request_gives_the_same_intents(self, scene: Scene) -> None:
        workflow, scheduler = _scheduled(scene)

        first = scene.store.intend(workflow, "r1", scheduler, 3, 2)
        again = scene.store.intend(workflow, "r1", scheduler, 3, 2)
        other = scene.store.intend(workflow, "r2", scheduler, 1, 1)

        assert list(again) == list(first)
        assert [(one.status, one.ordinal, one.nodes, one.walltime) for one in first] == [
            (AllocationStatus.INTENDED, 0, 2, "01:00:00"),
            (AllocationStatus.INTENDED, 1, 2, "01:00:00"),
            (AllocationStatus.INTENDED, 2, 2, "01:00:00"),
        ]
        assert len({one.submission_key for one in (*first, *other)}) == 4
        assert all(len(one.submission_key) == 12 for one in first)
        assert scene.store.totals([workflow])[0].pending_allocations == 4

    def test_intents_are_submitted_by_one_at_a_time(self, scene: Scene) -> None:
        workflow, scheduler = _scheduled(scene)
        made = scene.store.intend(workflow, "r1", scheduler, 2, 1)

        others = scene.store.take_intents(workflow, "b")
        own = scene.store.take_intents(workflow, "r1")
        scene.clock.move(HELD_MS / 1000)
        late = scene.store.take_intents(workflow, "b")
        robbed = scene.store.take_intents(workflow, "r1")

        assert (list(others), list(robbed)) == ([], [])
        assert [one.id for one in own] == [one.id for one in late] == [one.id for one in made]
        assert {one.submitted_by for one in late} == {"b"}

    def test_intents_of_who_is_dead_are_taken_at_once(self, scene: Scene) -> None:
        workflow, scheduler = _scheduled(scene)
        one, two = scene.store.intend(workflow, "r1", scheduler, 2, 1)
        scene.store.submitted(one.id, one.submission_key, "77")

        taken = scene.store.take_intents(workflow, "b", "r1")

        assert [each.id for each in taken] == [two.id]

    def test_intents_of_an_action_are_its_executors(self, scene: Scene) -> None:
        action = PlannedAction(
            trigger_type="on_workflow_start",
            action_type="schedule_nodes",
            config={"scheduler": "short", "scheduler_type": "slurm", "num_allocations": 2},
        )
        workflow = scene.started(replace(scheduled(), actions=[action]))
        (due,) = scene.store.due_actions(workflow)
        scene.store.claim_action(due.id, "a", None)

        meanwhile = scene.store.take_intents(workflow, "b")
        made = _allocations(scene, workflow)
        scene.store.end_action(due.id, "a", ok=False, message="lost")
        scene.clock.move(HELD_MS / 1000)
        after = scene.store.take_intents(workflow, "b")

        assert [one.submitted_by for one in made] == ["a", "a"]
        assert (len(meanwhile), len(after)) == (0, 2)

    @pytest.mark.parametrize(("count", "nodes"), [(-1, 1), (10_001, 1), (1, 0)])
    def test_intents_that_make_no_sense_are_refused(self, scene: Scene, count: int, nodes: int) -> None:
        workflow, scheduler = _scheduled(scene)

        with pytest.raises(Invalid):
            scene.store.intend(workflow, "r", scheduler, count, nodes)

        assert not _allocations(scene, workflow)

    def test_intents_need_a_scheduler_of_the_workflow(self, scene: Scene) -> None:
        workflow, _ = _scheduled(scene)
        _, foreign = _scheduled(scene)

        with pytest.raises(NotFound):
            scene.store.intend(workflow, "r", foreign, 1, 1)

    # What the batch system says.

    def test_a_submitted_allocation_is_known_by_its_number(self, scene: Scene) -> None:
        workflow, one = _intended(scene)

        first = scene.store.submitted(one.id, one.submission_key, "77")
        again = scene.store.submitted(one.id, one.submission_key, "77")

        assert (first.status, first.scheduler_id, first.submitted_at) == (
            AllocationStatus.PENDING, "77", scene.clock.now(),
        )  # fmt: skip
        assert again == first == scene.store.get(Allocation, one.id)
        told = scene.events(workflow, "scheduler_node_created")
        assert [(event.data["scheduler_id"], event.data["status"]) for event in told] == [("77", "pending")]

    def test_an_allocation_has_one_key_and_one_number(self, scene: Scene) -> None:
        _, one = _intended(scene)

        with pytest.raises(Conflict, match="was not submitted under"):
            scene.store.submitted(one.id, "other", "77")
        scene.store.submitted(one.id, one.submission_key, "77")
        with pytest.raises(Conflict, match="is job 77 of the batch system"):
            scene.store.submitted(one.id, one.submission_key, "78")

    def test_a_refused_allocation_says_why(self, scene: Scene) -> None:
        _, one = _intended(scene)

        first = scene.store.refused(one.id, "invalid account")
        again = scene.store.refused(one.id, "again")

        assert (first.status, first.reason) == (AllocationStatus.FAILED, "invalid account")
        assert again == first

    def test_what_was_taken_was_not_refused(self, scene: Scene) -> None:
        _, one = _intended(scene)
        scene.store.submitted(one.id, one.submission_key, "77")

        with pytest.raises(Conflict, match="was not refused"):
            scene.store.refused(one.id, "late")

    def test_an_allocation_that_was_called_off_is_known_when_it_was_submitted_after_all(
        self, scene: Scene
    ) -> None:
        _, one = _intended(scene)

        scene.store.withdrawn(one.id, "done")
        scene.store.withdrawn(one.id, "again")
        late = scene.store.submitted(one.id, one.submission_key, "77")

        assert (late.status, late.reason, late.scheduler_id) == (AllocationStatus.CANCELED, "done", "77")

    def test_calling_off_a_running_allocation_ends_its_jobs(self, scene: Scene) -> None:
        workflow, one = _intended(scene)
        node = scene.node(workflow, cpus=1, submission_key=one.submission_key)
        given = scene.claim(node)

        scene.store.withdrawn(one.id, "canceled")
        orders = scene.turn(node, offer=scene.offer(node, free=[]), beat=beat(runs=given))

        assert list(orders.cancel) == [given[0].job.id]
        assert orders.drain
        assert not orders.jobs

    @pytest.mark.parametrize("state", ["SUSPENDED", "REQUEUED", "COMPLETING", "RUNNING"])
    def test_some_states_are_not_the_end(self, scene: Scene, state: str) -> None:
        _, one = _intended(scene)

        with pytest.raises(Invalid, match="is not over"):
            scene.store.allocation_ended(one.id, state, "squeue")

    @pytest.mark.parametrize(
        ("state", "status"),
        [
            ("CANCELLED by 1000", AllocationStatus.CANCELED),
            ("COMPLETED", AllocationStatus.COMPLETE),
            ("NODE_FAIL", AllocationStatus.FAILED),
        ],
    )
    def test_an_allocation_that_never_ran_closes_as_the_batch_system_says(
        self, scene: Scene, state: str, status: AllocationStatus
    ) -> None:
        workflow, one = _intended(scene)

        closed = scene.store.allocation_ended(one.id, state, "sacct")

        assert (closed.status, closed.reason) == (status, state)
        assert scene.store.totals([workflow])[0].pending_allocations == 0

    # Runners in allocations.

    def test_a_runner_binds_its_allocation_before_its_number_is_known(self, scene: Scene) -> None:
        workflow, one = _intended(scene)

        node = scene.node(workflow, submission_key=one.submission_key, scheduler={"slurm_job_id": "77"})
        bound = scene.store.get(Allocation, one.id)
        late = scene.store.submitted(one.id, one.submission_key, "77")

        assert (node.allocation_id, node.scheduler_id) == (one.id, one.scheduler_config_id)
        assert (bound.status, bound.scheduler_id) == (AllocationStatus.ACTIVE, "77")
        assert late.status is AllocationStatus.ACTIVE
        assert scene.store.totals([workflow])[0].active_allocations == 1
        assert len(scene.events(workflow, "scheduler_node_created")) == 1

    def test_a_runner_without_a_key_is_bound_by_its_number(self, scene: Scene) -> None:
        workflow, one = _intended(scene)
        scene.store.submitted(one.id, one.submission_key, "77")

        node = scene.node(workflow, scheduler={"slurm_job_id": "77"})

        assert node.allocation_id == one.id

    def test_an_allocation_is_complete_when_the_last_of_its_nodes_leaves(self, scene: Scene) -> None:
        workflow, one = _intended(scene)
        first = scene.node(workflow, submission_key=one.submission_key)
        second = scene.node(workflow, submission_key=one.submission_key, hostname="n2")

        scene.store.leave(first.id, None)
        half = scene.store.get(Allocation, one.id).status
        scene.store.leave(second.id, None)

        assert half is AllocationStatus.ACTIVE
        assert scene.store.get(Allocation, one.id).status is AllocationStatus.COMPLETE

    def test_a_late_runner_opens_its_allocation_again(self, scene: Scene) -> None:
        workflow, one = _intended(scene)
        scene.store.leave(scene.node(workflow, submission_key=one.submission_key).id, None)

        scene.node(workflow, submission_key=one.submission_key, hostname="n2")

        assert scene.store.get(Allocation, one.id).status is AllocationStatus.ACTIVE

    def test_the_end_of_an_allocation_proves_its_nodes_dead(self, scene: Scene) -> None:
        workflow, one = _intended(scene)
        node = scene.node(workflow, cpus=1, submission_key=one.submission_key)
        other = scene.node(workflow, cpus=1, pid=101)
        scene.claim(node)
        scene.claim(other)

        closed = scene.store.allocation_ended(one.id, "TIMEOUT", "sacct")
        again = scene.store.allocation_ended(one.id, "TIMEOUT", "sacct")

        assert (closed.status, closed.reason, again) == (AllocationStatus.COMPLETE, "TIMEOUT", closed)
        assert scene.store.get(Node, node.id).state is NodeState.ENDED
        assert scene.counts(workflow) == {"failed": 1, "ready": 2, "running": 1}

    def test_an_active_allocation_refuses_a_new_run(self, scene: Scene) -> None:
        workflow, _ = _scheduled(scene)
        scene.store.add([Allocation(workflow_id=workflow, scheduler_id="7", status=AllocationStatus.ACTIVE)])

        with pytest.raises(Invalid, match="1 pending or active allocations"):
            scene.store.initialize(workflow, Initialize())

    # Planners.

    def test_a_plan_is_written_in_one_transaction(self, scene: Scene) -> None:
        workflow, old = _scheduled(scene)
        jobs = scene.jobs(workflow)
        plan = Replan(
            schedulers=[PlannedScheduler(name="long", fields={"account": "a", "walltime": "2-00:00:00"}),
                        PlannedScheduler(name="short", fields={"account": "b"})],
            assign={"long": [jobs[0].id], "short": [jobs[1].id]},
            actions=[PlannedAction(trigger_type="on_jobs_complete", action_type="run_commands",
                                   config={"commands": ["true"]}, jobs=[jobs[0].id])],
            allocations=[Intent(scheduler="long", count=2, nodes=3), Intent(scheduler="short", count=1)],
        )  # fmt: skip

        made = scene.store.replan(workflow, plan)

        schedulers = {
            one.name: one.id for one in scene.store.find(SlurmScheduler, Query(workflow=workflow)).items
        }
        assert schedulers["short"] == old
        assert [(one.scheduler_config_id, one.nodes, one.walltime) for one in made] == [
            (schedulers["long"], 3, "2-00:00:00"), (schedulers["long"], 3, "2-00:00:00"), (old, 1, "01:00:00"),
        ]  # fmt: skip
        assert [job.scheduler_id for job in scene.jobs(workflow)] == [schedulers["long"], old, None, None]
        (action,) = scene.store.find(Action, Query(workflow=workflow)).items
        assert list(action.jobs) == [jobs[0].id]
        assert names(scene.claim(scene.node(workflow, scheduler_id=old))) == ["job1", "job2", "job3"]

    def test_a_plan_that_is_refused_changes_nothing(self, scene: Scene) -> None:
        workflow, _ = _scheduled(scene)
        plan = Replan(
            schedulers=[PlannedScheduler(name="long", fields={"account": "a"})],
            allocations=[Intent(scheduler="none", count=1)],
        )

        with pytest.raises(NotFound, match="'none'"):
            scene.store.replan(workflow, plan)

        assert scene.store.find(SlurmScheduler, Query(workflow=workflow)).total == 1
        assert not _allocations(scene, workflow)

    def test_a_plan_that_was_made_before_a_newer_allocation_is_refused(self, scene: Scene) -> None:
        workflow, one = _intended(scene)
        more = [Intent(scheduler="short", count=1)]

        with pytest.raises(Conflict, match=f"has got allocation {one.id} since"):
            scene.store.replan(workflow, Replan(allocations=more, newest=AllocationId(0)))
        scene.store.replan(workflow, Replan(allocations=more, newest=one.id))

        assert len(_allocations(scene, workflow)) == 2

    def test_a_plan_takes_actions_it_replaces_as_done(self, scene: Scene) -> None:
        start = PlannedAction(
            trigger_type="on_workflow_start", action_type="run_commands", config={"commands": ["true"]}
        )
        workflow = scene.started(replace(scheduled(), actions=[start]))
        (due,) = scene.store.due_actions(workflow)

        scene.store.replan(workflow, Replan(retire=[due.id]))

        assert not scene.store.due_actions(workflow)

    def test_an_action_that_a_plan_replaces_before_it_fired_never_does(self, scene: Scene) -> None:
        ends = PlannedAction(
            trigger_type="on_jobs_complete", action_type="run_commands", config={"commands": ["true"]}, jobs=(0,)
        )  # fmt: skip
        workflow = scene.started(replace(scheduled(1), actions=[ends]))
        (action,) = scene.store.find(Action, Query(workflow=workflow)).items

        scene.store.replan(workflow, Replan(retire=[action.id]))
        scene.store.replan(workflow, Replan(retire=[action.id]))
        node = scene.node(workflow)
        scene.finish(node, scene.claim(node))

        assert scene.store.totals([workflow])[0].complete
        assert scene.store.get(Action, action.id).executed
        assert not scene.store.due_actions(workflow)


def scheduled(count: int = 4) -> Plan:
    """Independent jobs and a Slurm scheduler."""
    scheduler = PlannedScheduler(name="short", fields={"walltime": "01:00:00", "account": "a"})
    return replace(fan(count), schedulers=[scheduler])


def _scheduled(scene: Scene) -> tuple[WorkflowId, SchedulerId]:
    workflow = scene.started(scheduled())
    return workflow, scene.store.find(SlurmScheduler, Query(workflow=workflow)).items[0].id


def _intended(scene: Scene) -> tuple[WorkflowId, Allocation]:
    workflow, scheduler = _scheduled(scene)
    return workflow, scene.store.intend(workflow, "r", scheduler, 1, 1)[0]


def _allocations(scene: Scene, workflow: WorkflowId) -> list[Allocation]:
    return list(scene.store.find(Allocation, Query(workflow=workflow)).items)
