"""Actions: when they fire, who executes them, what a new run does to them (`engine.md` §10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import (
    Action,
    ActionId,
    ActionRun,
    ActionState,
    Allocation,
    AllocationStatus,
    Initialize,
    Job,
    JobStatus,
    Plan,
    PlannedAction,
    PlannedScheduler,
    Query,
    Reset,
    WorkflowId,
)
from torc_core.testing.plans import chain, fan, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, ended

RUN = {"commands": ["echo 1", "echo 2"]}


class ActionContract(SceneContract):
    """Things to do at moments of a workflow."""

    def test_a_workflow_that_starts_fires_once(self, scene: Scene) -> None:
        workflow = scene.created(acting(fan(1), action("on_workflow_start"))).id
        before = due(scene, workflow)

        scene.store.initialize(workflow, Initialize())

        (one,) = due(scene, workflow)
        assert (before, one.trigger_type, one.trigger_count, one.executed) == (
            [],
            "on_workflow_start",
            1,
            False,
        )
        assert [event.data["action_id"] for event in scene.events(workflow, "action_triggered")] == [one.id]

    def test_jobs_that_become_ready_are_counted_once(self, scene: Scene) -> None:
        plan = acting(jobs([], [], [0, 1], [2]), action("on_jobs_ready", jobs=(0, 2)))
        workflow = scene.started(plan)
        counts = [counted(scene, workflow)]

        scene.end(workflow, "job0")
        counts.append(counted(scene, workflow))
        scene.end(workflow, "job1")
        counts.append(counted(scene, workflow))
        scene.end(workflow, "job2")

        assert [*counts, counted(scene, workflow)] == [(1, False), (1, False), (2, True), (2, True)]
        assert len(scene.events(workflow, "action_triggered")) == 1

    def test_a_job_that_is_canceled_before_it_was_ready_stalls_no_other(self, scene: Scene) -> None:
        workflow = scene.started(acting(jobs([], [], [0]), action("on_jobs_ready", jobs=(1, 2))))

        scene.end(workflow, "job0", JobStatus.FAILED)

        assert counted(scene, workflow) == (2, True)

    def test_with_no_job_ever_ready_there_is_nothing_to_do(self, scene: Scene) -> None:
        workflow = scene.started(acting(jobs([], [0], [1]), action("on_jobs_ready", jobs=(1, 2))))

        scene.end(workflow, "job0", JobStatus.FAILED)

        (run,) = runs(scene, workflow)
        assert (run.state, run.error, due(scene, workflow)) == (ActionState.DONE, "nothing to do", [])

    def test_any_fires_at_the_first_ready_job(self, scene: Scene) -> None:
        plan = acting(jobs([], [0], [0]), replace(action("on_jobs_ready", jobs=(1, 2)), trigger_mode="any"))
        workflow = scene.started(plan)
        before = counted(scene, workflow)

        scene.end(workflow, "job0")

        (one,) = due(scene, workflow)
        assert (before, one.required_triggers, one.trigger_count) == ((0, False), 1, 2)
        assert len(runs(scene, workflow)) == 1

    def test_a_job_that_is_ready_after_it_was_canceled_counts_as_ready(self, scene: Scene) -> None:
        plan = acting(jobs([], [], [0, 1]), replace(action("on_jobs_ready", jobs=(2,)), trigger_mode="any"))
        workflow = scene.started(plan)
        scene.end(workflow, "job0", JobStatus.FAILED)
        scene.store.retry(scene.job(workflow, "job0").id, 0)
        scene.end(workflow, "job0")
        before = counted(scene, workflow)

        scene.end(workflow, "job1")

        assert (before, counted(scene, workflow)) == ((0, False), (1, True))

    def test_a_job_that_is_to_be_classified_after_it_was_set_back_counts_as_ready(self, scene: Scene) -> None:
        plan = acting(jobs([], [0]), replace(action("on_jobs_ready", jobs=(1,)), trigger_mode="any"))
        workflow = scene.started(plan)
        job = scene.job(workflow, "job1").id
        scene.store.stop([job])
        scene.store.reset(workflow, Reset(jobs=[job]))

        scene.end(workflow, "job1", JobStatus.PENDING_FAILED)

        assert counted(scene, workflow) == (1, True)

    def test_a_job_that_was_ready_before_the_first_run_ends_as_one_that_was(self, scene: Scene) -> None:
        workflow = scene.created(acting(fan(2), action("on_jobs_ready", jobs=(0,)))).id
        scene.store.move(scene.job(workflow, "job0").id, JobStatus.READY, 0)
        scene.store.set_run(workflow, 1)

        scene.end(workflow, "job0")

        assert counted(scene, workflow) == (1, True)

    def test_one_that_is_ready_and_one_that_is_canceled_at_once_are_something_to_do(
        self, scene: Scene
    ) -> None:
        plan = acting(jobs([], [], [0], [1]), action("on_jobs_ready", jobs=(2, 3)))
        workflow = scene.started(plan)
        scene.end(workflow, "job0", JobStatus.FAILED)
        scene.store.retry(scene.job(workflow, "job0").id, 0)
        node = scene.node(workflow)
        given = {one.job.name: one for one in scene.claim(node)}

        bad = ended(given["job1"], JobStatus.FAILED, return_code=1)
        scene.turn(node, endings=[bad, ended(given["job0"])])

        assert counted(scene, workflow) == (2, True)

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TERMINATED])
    def test_jobs_that_end_in_whatever_way_are_complete(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(acting(chain(3), action("on_jobs_complete", jobs=(0, 1))))

        scene.end(workflow, "job0", status)
        if status is JobStatus.COMPLETED:
            scene.end(workflow, "job1", status)

        assert counted(scene, workflow) == (2, True)

    def test_a_job_that_waits_to_be_classified_is_not_complete(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(2), action("on_jobs_complete", jobs=(0,))))

        scene.end(workflow, "job0", JobStatus.PENDING_FAILED)

        assert counted(scene, workflow) == (0, False)

    def test_a_disabled_job_is_complete(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(2), action("on_jobs_complete", jobs=(0,))))

        scene.store.change(Job, scene.job(workflow, "job0").id, {"status": JobStatus.DISABLED})

        assert counted(scene, workflow) == (1, True)

    def test_a_removed_job_is_waited_for_no_more(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(3), action("on_jobs_complete", jobs=(0, 1))))
        scene.end(workflow, "job0")

        scene.store.remove(Job, [scene.job(workflow, "job1").id])

        assert counted(scene, workflow) == (1, True)

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED])
    def test_the_last_end_completes_the_workflow(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(acting(chain(2), action("on_workflow_complete")))

        scene.end(workflow, "job0", status)
        before = counted(scene, workflow)
        if status is JobStatus.COMPLETED:
            scene.end(workflow, "job1")

        assert (before == (0, False)) is (status is JobStatus.COMPLETED)
        assert counted(scene, workflow) == (1, True)

    def test_a_canceled_workflow_is_not_completed(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_complete")))

        scene.store.cancel(workflow)

        assert counted(scene, workflow) == (0, False)

    def test_an_action_is_claimed_once(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        node, other = scene.node(workflow), scene.node(workflow)
        (one,) = due(scene, workflow)

        claim = scene.store.claim_action(one.id, "c1", node.id)
        again = scene.store.claim_action(one.id, "c1", node.id)

        with pytest.raises(Conflict, match="claimed"):
            scene.store.claim_action(one.id, "c2", other.id)
        found = scene.store.get(Action, one.id)
        assert (claim.run, claim.run.state, due(scene, workflow)) == (again.run, ActionState.CLAIMED, [])
        assert (found.executed, found.executed_by, found.executed_at) == (True, node.id, scene.clock.now())

    def test_what_is_not_due_cannot_be_claimed(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(2), action("on_jobs_complete", jobs=(0, 1))))
        (one,) = all_of(scene, workflow)

        with pytest.raises(Conflict, match="0 of 2 jobs"):
            scene.store.claim_action(one.id, "c1", None)
        with pytest.raises(NotFound):
            scene.store.claim_action(ActionId(99), "c1", None)

    def test_a_persistent_action_is_executed_by_each_node(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), replace(action("on_worker_start"), persistent=True)))
        node, other = scene.node(workflow), scene.node(workflow)
        (one,) = due(scene, workflow)

        for claim, who in (("c1", node), ("c2", other)):
            scene.store.claim_action(one.id, claim, who.id)
            scene.store.end_action(one.id, claim, ok=True)

        with pytest.raises(Conflict, match="executed"):
            scene.store.claim_action(one.id, "c3", node.id)
        assert [(run.node_id, run.state) for run in runs(scene, workflow)] == [
            (node.id, ActionState.DONE),
            (other.id, ActionState.DONE),
        ]
        assert len(due(scene, workflow)) == 1

    def test_nodes_that_each_runner_asks_for_are_asked_for_by_another_if_it_is_gone(
        self, scene: Scene
    ) -> None:
        plan = scheduling(fan(1), num_allocations=2)
        plan = replace(plan, actions=[replace(plan.actions[0], persistent=True)])
        workflow = scene.started(plan)
        node, other = scene.node(workflow), scene.node(workflow)
        (one,) = due(scene, workflow)
        first = scene.store.claim_action(one.id, "c1", node.id)

        scene.store.release_action(one.id, "c1")
        again = scene.store.claim_action(one.id, "c2", None)
        repeated = scene.store.claim_action(one.id, "c2", None)
        scene.store.end_action(one.id, "c2", ok=True)
        own = scene.store.claim_action(one.id, "c3", other.id)

        keys = [one.submission_key for one in first.allocations]
        assert [one.submission_key for one in again.allocations] == keys
        assert (again.run.node_id, repeated.run.id) == (node.id, again.run.id)
        assert own.run.node_id == other.id
        assert not {one.submission_key for one in own.allocations} & set(keys)

    def test_a_published_client_claims_by_its_node_and_never_reports(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        node = scene.node(workflow)
        (one,) = due(scene, workflow)

        for _ in range(2):
            scene.store.claim_action(one.id, None, node.id)

        with pytest.raises(Conflict):
            scene.store.claim_action(one.id, None, None)
        scene.move(3600)
        assert (due(scene, workflow), scene.store.get(Action, one.id).executed) == ([], True)

    def test_each_command_is_recorded_before_it_is_run(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", None)

        steps = [scene.store.step_action(one.id, "c1", number).progress for number in (1, 1, 2)]
        with pytest.raises(Conflict):
            scene.store.step_action(one.id, "c1", 1)
        ended = scene.store.end_action(one.id, "c1", ok=True)

        assert (steps, ended.state, ended.progress) == ([1, 1, 2], ActionState.DONE, 2)
        assert scene.store.end_action(one.id, "c1", ok=True) == ended
        assert [event.data["action_id"] for event in scene.events(workflow, "action_done")] == [one.id]

    def test_a_failed_action_is_told_and_can_be_armed_again(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", None)
        scene.store.step_action(one.id, "c1", 1)

        failed = scene.store.end_action(one.id, "c1", ok=False, message="command 1 ended with 3")
        again = scene.store.rearm_action(one.id)

        (told,) = scene.events(workflow, "action_failed")
        assert (failed.state, failed.error, told.data["message"]) == (
            ActionState.FAILED,
            "command 1 ended with 3",
            "command 1 ended with 3",
        )
        assert (again.state, again.progress, again.error) == (ActionState.TRIGGERED, 0, None)
        assert [found.id for found in due(scene, workflow)] == [one.id]

    def test_only_what_has_failed_is_armed_again_by_hand(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", None)

        with pytest.raises(Conflict, match="not failed"):
            scene.store.rearm_action(one.id)

    def test_a_released_action_is_triggered_again(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", None)

        released = scene.store.release_action(one.id, "c1")

        assert (released.state, [found.id for found in due(scene, workflow)]) == (
            ActionState.TRIGGERED,
            [one.id],
        )
        with pytest.raises(Conflict):
            scene.store.end_action(one.id, "c1", ok=True)

    def test_commands_whose_executor_is_lost_are_never_repeated(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", None)
        scene.move(599)
        scene.store.step_action(one.id, "c1", 1)
        scene.move(599)
        before = due(scene, workflow)

        scene.move(2)
        after = due(scene, workflow)

        (run,) = runs(scene, workflow)
        assert (before, after, run.state, run.error) == ([], [], ActionState.FAILED, "executor_lost")
        assert len(scene.events(workflow, "action_failed")) == 1

    def test_time_alone_lets_a_claim_run_out(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", None)
        scene.move(601)

        scene.store.sweep()

        assert [run.error for run in runs(scene, workflow)] == ["executor_lost"]

    def test_a_claim_lives_as_long_as_its_node(self, scene: Scene) -> None:
        workflow = scene.started(acting(fan(1), action("on_workflow_start")))
        node = scene.node(workflow)
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", node.id)
        scene.move(700)
        due(scene, workflow)
        (alive,) = runs(scene, workflow)

        scene.store.leave(node.id, None)
        due(scene, workflow)

        (run,) = runs(scene, workflow)
        assert (alive.state, run.state) == (ActionState.CLAIMED, ActionState.FAILED)

    def test_the_intents_are_written_with_the_claim(self, scene: Scene) -> None:
        workflow = scene.started(scheduling(fan(1), num_allocations=3))
        (one,) = due(scene, workflow)

        claim = scene.store.claim_action(one.id, "c1", None)
        again = scene.store.claim_action(one.id, "c1", None)

        intents = list(claim.allocations)
        assert (intents, [one.ordinal for one in intents]) == (list(again.allocations), [0, 1, 2])
        assert {one.status for one in intents} == {AllocationStatus.INTENDED}
        assert len({one.submission_key for one in intents}) == 3
        assert {(one.nodes, one.action_run_id) for one in intents} == {(2, claim.run.id)}
        assert list(scene.store.find(Allocation, Query(workflow=workflow)).items) == intents

    def test_intents_whose_executor_is_lost_are_resumed(self, scene: Scene) -> None:
        workflow = scene.started(scheduling(fan(1), num_allocations=2))
        (one,) = due(scene, workflow)
        first = scene.store.claim_action(one.id, "c1", None)

        scene.move(601)
        again = due(scene, workflow)
        second = scene.store.claim_action(one.id, "c2", None)

        assert [found.id for found in again] == [one.id]
        assert list(second.allocations) == list(first.allocations)

    def test_a_full_initialisation_arms_all(self, scene: Scene) -> None:
        plan = acting(fan(1), action("on_workflow_start"), action("on_jobs_complete", jobs=(0,)))
        workflow = scene.started(plan)
        executed(scene, workflow)

        scene.store.initialize(workflow, Initialize())

        assert [one.trigger_type for one in due(scene, workflow)] == ["on_workflow_start"]
        assert [one.trigger_count for one in all_of(scene, workflow)] == [1, 0]

    def test_a_partial_initialisation_is_not_a_new_start(self, scene: Scene) -> None:
        plan = acting(
            jobs([], []), action("on_workflow_start"), action("on_jobs_complete", jobs=(0,)),
            action("on_jobs_complete", jobs=(1,)), action("on_workflow_complete"),
        )  # fmt: skip
        workflow = scene.started(plan)
        scene.end(workflow, "job0")
        scene.end(workflow, "job1", JobStatus.FAILED)
        executed(scene, workflow)
        for status in (JobStatus.DISABLED, JobStatus.UNINITIALIZED):
            scene.store.change(Job, scene.job(workflow, "job1").id, {"status": status})

        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert [one.executed for one in all_of(scene, workflow)] == [True, True, False, False]
        assert [one.trigger_count for one in all_of(scene, workflow)] == [1, 1, 0, 0]
        assert due(scene, workflow) == []

    def test_temporary_actions_go_with_the_next_run(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.store.add([
            Action(workflow_id=workflow, trigger_type="on_workflow_start", action_type="run_commands", config=RUN,
                   is_recovery=True)
        ])  # fmt: skip

        scene.store.initialize(workflow, Initialize())

        assert all_of(scene, workflow) == []

    def test_an_added_action_counts_from_the_present_states(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [0, 1]))
        scene.end(workflow, "job0")
        first, second, third = scene.jobs(workflow)
        new = Action(
            workflow_id=workflow, trigger_type="on_jobs_ready", action_type="run_commands", config=RUN,
            jobs=[first.id, second.id],
        )  # fmt: skip

        ready, complete = scene.store.add(
            [new, replace(new, trigger_type="on_jobs_complete", jobs=[first.id, third.id])]
        )
        scene.end(workflow, "job1")
        scene.end(workflow, "job2")

        assert (ready.trigger_count, ready.required_triggers) == (2, 2)
        assert (complete.trigger_count, complete.required_triggers) == (1, 2)
        assert [one.id for one in due(scene, workflow)] == [ready.id, complete.id]

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"trigger_type": "on_job_ready"}, "did you mean 'on_jobs_ready'"),
            ({"action_type": "run"}, "run_commands, schedule_nodes"),
            ({"config": {}}, "exactly 'commands'"),
            ({"config": {"commands": []}}, "at least one"),
            ({"config": {"commands": ["a"], "scheduler_id": 1}}, "exactly 'commands'"),
            ({"trigger_type": "on_jobs_ready"}, "at least one job"),
            ({"trigger_mode": "any"}, "belongs to on_jobs_ready"),
            ({"action_type": "schedule_nodes", "config": {"scheduler_id": 77}}, "no Slurm scheduler 77"),
            (
                {"action_type": "schedule_nodes", "config": {"num_allocation": 2}},
                "did you mean 'num_allocations'",
            ),
            ({"action_type": "schedule_nodes", "config": {"num_allocations": "2"}}, "cannot be '2'"),
        ],
    )
    def test_an_action_that_could_never_be_executed_is_refused(
        self, scene: Scene, wrong: dict[str, Any], words: str
    ) -> None:
        workflow = scene.created(fan(1)).id
        fields = {"trigger_type": "on_workflow_start", "action_type": "run_commands", "config": RUN, **wrong}

        with pytest.raises(Invalid, match=words):
            scene.store.add([Action(workflow_id=workflow, **fields)])

    def test_a_removed_action_takes_its_firings_along(self, scene: Scene) -> None:
        workflow = scene.started(scheduling(fan(1)))
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", None)

        removed = scene.store.remove(Action, [one.id])

        (allocation,) = scene.store.find(Allocation, Query(workflow=workflow)).items
        assert (removed, runs(scene, workflow), allocation.action_run_id) == (1, [], None)

    def test_a_turn_tells_what_has_fired(self, scene: Scene) -> None:
        workflow = scene.started(acting(chain(2), action("on_jobs_complete", jobs=(0,))))
        node = scene.node(workflow)
        given = scene.claim(node)

        scene.finish(node, given)
        told = scene.turn(node, offer=scene.offer(node)).due
        (one,) = due(scene, workflow)
        scene.store.claim_action(one.id, "c1", node.id)

        assert (list(told), list(scene.turn(node).due)) == ([one.id], [])


def action(trigger: str, jobs: tuple[int, ...] = ()) -> PlannedAction:
    """An action that runs commands."""
    return PlannedAction(trigger_type=trigger, action_type="run_commands", config=RUN, jobs=jobs)


def acting(plan: Plan, *actions: PlannedAction) -> Plan:
    """The plan with these actions."""
    return replace(plan, actions=actions)


def scheduling(plan: Plan, **config: Any) -> Plan:
    """The plan with an action that asks for allocations at its start."""
    scheduler = PlannedScheduler(name="s", fields={"account": "a", "nodes": 2})
    asked = PlannedAction(
        trigger_type="on_workflow_start", action_type="schedule_nodes",
        config={"scheduler": "s", "scheduler_type": "slurm", **config},
    )  # fmt: skip
    return replace(plan, actions=[asked], schedulers=[scheduler])


def due(scene: Scene, workflow: WorkflowId) -> list[Action]:
    """What is to be done now."""
    return list(scene.store.due_actions(workflow))


def all_of(scene: Scene, workflow: WorkflowId) -> list[Action]:
    """All actions, by id."""
    return list(scene.store.find(Action, Query(workflow=workflow)).items)


def runs(scene: Scene, workflow: WorkflowId) -> list[ActionRun]:
    """All firings, by id."""
    return list(scene.store.find(ActionRun, Query(workflow=workflow)).items)


def counted(scene: Scene, workflow: WorkflowId) -> tuple[int, bool]:
    """How many hits the only action has had, and whether it is due."""
    (one,) = all_of(scene, workflow)
    return one.trigger_count, bool(due(scene, workflow))


def executed(scene: Scene, workflow: WorkflowId) -> None:
    """Execute what is due."""
    for one in due(scene, workflow):
        scene.store.claim_action(one.id, f"c{one.id}", None)
        scene.store.end_action(one.id, f"c{one.id}", ok=True)
