"""Initialising, resuming, cancelling, stopping, deleting (`engine.md` §6, §8.4, §8.6, §17)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from torc_core.errors import Conflict, Fenced, Invalid, NotFound
from torc_core.model import (
    Event,
    File,
    Fingerprint,
    Initialize,
    Job,
    JobStatus,
    NewJob,
    Node,
    Plan,
    PlannedInput,
    PlannedUserData,
    PlannedWorkflow,
    Query,
    Reset,
    Result,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.model.plan import InputKind
from torc_core.testing.plans import chain, diamond, fan, job, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, names


class LifecycleContract(SceneContract):
    """What people do to whole workflows, and to single jobs."""

    def test_initialising_makes_jobs_ready_or_blocked_in_run_1(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id

        progress = scene.store.initialize(workflow, Initialize())

        assert (progress.workflow, progress.run_id, dict(progress.moved)) == (
            workflow,
            1,
            {"ready": 1, "blocked": 3},
        )
        assert scene.statuses(workflow) == {"a": "ready", "b": "blocked", "c": "blocked", "d": "blocked"}
        assert {(one.run_id, one.attempt_id) for one in scene.jobs(workflow)} == {(1, 1)}
        assert [one.unmet for one in scene.jobs(workflow)] == [0, 1, 1, 1]
        assert [one.num_blockers for one in scene.jobs(workflow)] == [0, 1, 1, 2]
        assert [event.category for event in scene.events(workflow)] == [
            "workflow_created",
            "workflow_started",
        ]

    def test_each_initialisation_is_a_new_run(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id

        runs = [scene.store.initialize(workflow, Initialize()).run_id for _ in range(3)]

        assert runs == [1, 2, 3]
        assert scene.job(workflow, "job0").run_id == 3

    def test_a_full_initialisation_leaves_what_completed_failed_or_was_canceled(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [], [], [0]))
        for position, status in enumerate(
            (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.PENDING_FAILED)
        ):
            scene.end(workflow, f"job{position}", status)

        scene.store.initialize(workflow, Initialize())

        assert scene.statuses(workflow) == {
            "job0": "completed", "job1": "failed", "job2": "ready", "job3": "ready", "job4": "ready"
        }  # fmt: skip
        kept = {result.job_name: result.current for result in scene.results(workflow)}
        assert kept == {"job0": True, "job1": True, "job2": False, "job3": False}

    def test_below_a_bad_blocker_jobs_begin_a_run_as_canceled(self, scene: Scene) -> None:
        workflow = scene.started(chain(1))
        first = scene.job(workflow, "job0")
        scene.end(workflow, "job0", JobStatus.FAILED)
        new = [NewJob(workflow_id=workflow, name="next", command="true", depends_on=[first.id])]
        second = scene.store.add_jobs(new)[0]
        scene.store.add_jobs(
            [NewJob(workflow_id=workflow, name="last", command="true", depends_on=[second.id])]
        )

        scene.store.initialize(workflow, Initialize())

        assert scene.statuses(workflow) == {"job0": "failed", "next": "canceled", "last": "canceled"}
        assert scene.job(workflow, "next").reason == f"blocker:{first.id}"
        assert scene.job(workflow, "last").reason == f"blocker:{second.id}"

    def test_a_partial_initialisation_starts_over_what_is_downstream(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        for name in "abcd":
            scene.end(workflow, name)
        a_txt = scene.store.find(File, Query(workflow=workflow, where={"name": "b"})).items[0]
        new = NewJob(workflow_id=workflow, name="again", command="true", output_files=[a_txt.id])
        scene.store.add_jobs([new])

        progress = scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert scene.statuses(workflow) == {
            "a": "completed", "b": "completed", "c": "completed", "d": "blocked", "again": "ready"
        }  # fmt: skip
        assert dict(progress.moved) == {"ready": 1, "blocked": 1}
        assert scene.job(workflow, "d").result_id is None
        assert scene.events(workflow)[-1].category == "workflow_reinitialized"

    def test_a_partial_initialisation_leaves_running_jobs_and_their_run(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        node = scene.node(workflow, cpus=1)
        given = scene.claim(node)

        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert [one.run_id for one in scene.jobs(workflow)] == [1, 2]
        assert list(scene.finish(node, given)) == ["done"]

    def test_a_canceled_job_that_its_node_has_not_ended_yet_does_not_start_over(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        scene.end(workflow, "a")
        node = scene.node(workflow, cpus=1)
        given = scene.claim(node)
        scene.store.stop([given[0].job.id])
        file = scene.store.find(File, Query(workflow=workflow, where={"name": "a"})).items[0]
        scene.store.add_jobs(
            [NewJob(workflow_id=workflow, name="new", command="true", output_files=[file.id])]
        )

        with pytest.raises(Invalid, match=r"\(b\)"):
            scene.store.initialize(workflow, Initialize(only_uninitialized=True))
        scene.store.initialize(workflow, Initialize(only_uninitialized=True, force=True))

        assert (names(given), scene.statuses(workflow)["b"]) == (["b"], "canceled")
        assert list(scene.turn(node, offer=scene.offer(node, limit=0)).cancel) == [given[0].job.id]

    def test_a_full_initialisation_is_refused_while_jobs_run(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.claim(scene.node(workflow, cpus=1))

        with pytest.raises(Invalid, match="1 running"):
            scene.store.initialize(workflow, Initialize())
        scene.store.initialize(workflow, Initialize(force=True))

        assert scene.statuses(workflow) == {"job0": "running", "job1": "ready"}

    def test_unchecked_a_run_begins_beside_what_is_live_and_without_inputs(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.claim(scene.node(workflow, cpus=1))
        hungry = scene.created(_with_data(PlannedUserData(name="x"))).id

        scene.store.initialize(workflow, Initialize(unchecked=True))
        scene.store.initialize(hungry, Initialize(unchecked=True))

        assert scene.statuses(workflow) == {"job0": "running", "job1": "ready"}
        assert scene.store.get(Workflow, workflow).run_id == 2
        assert scene.store.get(Workflow, hungry).run_id == 1

    def test_missing_files_stop_an_initialisation_and_are_named(self, scene: Scene) -> None:
        plan = diamond()
        workflow = scene.created(
            replace(plan, jobs=[replace(plan.jobs[0], output_files=[]), *plan.jobs[1:]])
        ).id
        required = scene.store.required_files(workflow)
        gone = [Fingerprint(file=required[0].id, st_mtime=None, size=None)]

        with pytest.raises(Invalid, match=r"a\.txt"):
            scene.store.initialize(workflow, Initialize(fingerprints=gone))
        scene.store.initialize(workflow, Initialize(fingerprints=gone, force=True))

        assert [file.name for file in required] == ["a"]
        assert scene.store.get(Workflow, workflow).run_id == 1

    def test_outputs_of_completed_jobs_are_required(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        scene.end(workflow, "a")

        assert [file.name for file in scene.store.required_files(workflow)] == ["a"]

    def test_fingerprints_of_inputs_are_kept(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        file = scene.store.find(File, Query(workflow=workflow)).items[0]

        scene.store.initialize(
            workflow, Initialize(fingerprints=[Fingerprint(file=file.id, st_mtime=1.25, size=4)])
        )

        found = scene.store.get(File, file.id)
        assert (found.st_mtime, found.size) == (1.25, 4)

    def test_missing_user_data_stops_an_initialisation_and_is_named(self, scene: Scene) -> None:
        workflow = scene.created(_with_data(PlannedUserData(name="x"))).id
        missing = scene.store.missing_user_data(workflow)

        with pytest.raises(Invalid, match="user data missing: x"):
            scene.store.initialize(workflow, Initialize())
        scene.store.change(UserData, missing[0].id, {"data": None})
        scene.store.initialize(workflow, Initialize())

        assert [one.name for one in missing] == ["x"]
        assert scene.store.missing_user_data(workflow) == []

    @pytest.mark.parametrize("clear", [True, False])
    def test_ephemeral_user_data_goes_back_to_its_first_value(self, scene: Scene, clear: bool) -> None:
        data = PlannedUserData(name="x", data={"a": 1}, has_data=True, is_ephemeral=True)
        workflow = scene.created(_with_data(data)).id
        id = scene.store.find(UserData, Query(workflow=workflow)).items[0].id
        scene.store.change(UserData, id, {"data": 2})

        scene.store.initialize(workflow, Initialize(clear_ephemeral=clear))

        assert scene.store.get(UserData, id).data == ({"a": 1} if clear else 2)

    def test_what_a_dead_runner_left_is_ready_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(4))
        node, alive = scene.node(workflow, cpus=2), scene.node(workflow, cpus=1)
        running = scene.claim(node, limit=1)[0]
        scene.turn(node, beat=beat(runs=[running]))
        scene.claim(node, limit=1, start=False)
        kept = scene.claim(alive)[0]

        progress = scene.store.resume(workflow, [node.id])

        found = {one.name: (one.status.label, one.attempt_id) for one in scene.jobs(workflow)}
        assert found == {
            "job0": ("ready", 2),
            "job1": ("ready", 1),
            "job2": ("running", 1),
            "job3": ("ready", 1),
        }
        assert (progress.moved, kept.job.name) == ({"ready": 2}, "job2")
        result = scene.results(workflow)[0]
        assert (result.attempt_id, result.status.label, result.reason, result.return_code) == (
            1,
            "failed",
            "retried",
            -128,
        )
        told = scene.events(workflow, "job_retried")[0].data
        assert (told["previous_attempt"], told["new_attempt"], told["job_name"]) == (1, 2, "job0")
        assert not scene.store.get(Node, node.id).is_active

    def test_a_dead_runner_that_speaks_again_is_fenced(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.store.resume(workflow, [node.id])

        with pytest.raises(Fenced):
            scene.finish(node, given)

    def test_an_interrupted_job_is_tried_again_and_restores_its_waiters(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))
        node = scene.node(workflow)
        given = scene.claim(node)[0]
        scene.turn(node, endings=[ended(given, JobStatus.TERMINATED, reason="interrupted")])
        scene.store.leave(node.id, None)
        canceled = scene.counts(workflow)

        scene.store.resume(workflow, [node.id])

        assert canceled == {"canceled": 2, "terminated": 1}
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked", "job2": "blocked"}
        assert scene.job(workflow, "job0").attempt_id == 2

    @pytest.mark.parametrize(
        ("status", "reason"), [(JobStatus.FAILED, "exit_code"), (JobStatus.TERMINATED, "walltime")]
    )
    def test_a_job_that_failed_by_itself_is_not_resumed(
        self, scene: Scene, status: JobStatus, reason: str
    ) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", status, reason=reason)

        progress = scene.store.resume(workflow, [])

        assert (dict(progress.moved), scene.statuses(workflow)) == ({}, {"job0": status.label})

    def test_what_an_attempt_took_that_is_tried_again_counts_until_it_has_another_result(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(2))
        scene.end(workflow, "job0", JobStatus.TERMINATED, reason="interrupted", exec_minutes=0.5)
        scene.store.resume(workflow, [])
        scene.store.sweep()
        scene.store.reset(workflow, Reset(jobs=[scene.job(workflow, "job1").id]))

        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert [one.current for one in scene.results(workflow)] == [True]
        assert scene.store.totals([workflow])[0].exec_minutes == 0.5

    def test_every_attempt_keeps_its_result(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        for _ in range(3):
            node = scene.node(workflow)
            scene.turn(
                node, endings=[ended(scene.claim(node)[0], JobStatus.TERMINATED, reason="interrupted")]
            )
            scene.store.resume(workflow, [])

        scene.end(workflow, "job0")

        found = [(one.attempt_id, one.status.label, one.current) for one in scene.results(workflow)]
        assert found == [(at, "terminated", False) for at in (1, 2, 3)] + [(4, "completed", True)]

    def test_cancelling_ends_what_is_held_and_leaves_what_is_ready(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [], [0]))
        node = scene.node(workflow, cpus=2)
        running, pending = scene.claim(node, limit=1)[0], scene.claim(node, limit=1, start=False)[0]

        progress = scene.store.cancel(workflow, "enough")
        orders = scene.turn(node, offer=scene.offer(node))

        assert scene.statuses(workflow) == {
            "job0": "canceled",
            "job1": "canceled",
            "job2": "ready",
            "job3": "canceled",
        }
        assert (progress.moved, orders.canceled, orders.complete) == ({"canceled": 3}, True, True)
        assert (list(orders.cancel), list(orders.jobs)) == ([running.job.id], [])
        assert "canceled" in str(orders.reason)
        assert (scene.job(workflow, "job0").reason, scene.job(workflow, pending.job.name).node_id) == (
            "enough",
            None,
        )
        assert scene.store.totals([workflow])[0].complete

    def test_cancelling_twice_changes_nothing(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.claim(scene.node(workflow))
        scene.store.cancel(workflow)

        progress = scene.store.cancel(workflow)

        assert dict(progress.moved) == {}
        assert len(scene.events(workflow, "workflow_canceled")) == 1
        assert scene.events(workflow, "workflow_completed") == []

    def test_a_waiting_job_is_canceled_at_once_with_those_below(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))

        progress = scene.store.stop([scene.job(workflow, "job1").id], reason="not needed")

        assert scene.statuses(workflow) == {"job0": "ready", "job1": "canceled", "job2": "canceled"}
        assert (scene.job(workflow, "job1").reason, dict(progress.moved)) == ("not needed", {"canceled": 2})

    def test_a_canceled_job_may_be_canceled_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        first = scene.job(workflow, "job0").id
        scene.store.stop([first])

        assert dict(scene.store.stop([first]).moved) == {}

    def test_an_ended_job_is_not_canceled_and_none_is_when_one_is_refused(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.end(workflow, "job1")

        with pytest.raises(Invalid, match="completed"):
            scene.store.stop([one.id for one in scene.jobs(workflow)])

        assert scene.statuses(workflow) == {"job0": "ready", "job1": "completed"}

    def test_only_a_running_job_is_terminated(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        with pytest.raises(Invalid, match="not running"):
            scene.store.stop([scene.job(workflow, "job0").id], terminate=True)

    def test_jobs_of_two_workflows_are_not_stopped_at_once(self, scene: Scene) -> None:
        both = [scene.job(scene.started(fan(1)), "job0").id for _ in range(2)]

        with pytest.raises(Invalid, match="one workflow"):
            scene.store.stop(both)

    def test_a_deleted_workflow_is_gone_but_for_the_event_that_says_so(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.finish(node, given)
        result = scene.results(workflow)[0]

        scene.store.delete(workflow)

        for kind, id in ((Workflow, workflow), (Job, given[0].job.id), (Node, node.id), (Result, result.id)):
            with pytest.raises(NotFound):
                scene.store.get(kind, id)
        assert scene.jobs(workflow) == []
        left = scene.store.find(Event, Query(workflow=workflow)).items
        assert [event.category for event in left] == ["workflow_deleted"]

    def test_a_workflow_with_live_jobs_is_deleted_only_by_force(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.claim(scene.node(workflow))

        with pytest.raises(Conflict, match="1 pending or running"):
            scene.store.delete(workflow)
        scene.store.delete(workflow, force=True)

        with pytest.raises(NotFound):
            scene.store.get(Workflow, workflow)

    def test_deleting_one_workflow_leaves_the_others(self, scene: Scene) -> None:
        gone, kept = scene.started(chain(5)), scene.started(chain(5))

        scene.store.delete(gone)

        node = scene.node(kept)
        assert names(scene.claim(node)) == ["job0"]
        assert len(scene.jobs(kept)) == 5

    def test_what_is_not_there_is_not_found(self, scene: Scene) -> None:
        workflow = WorkflowId(scene.started(fan(0)) + 1)
        store = scene.store
        calls: list[Callable[[], object]] = [
            lambda: store.get(Workflow, workflow),
            lambda: store.totals([workflow]),
            lambda: store.initialize(workflow, Initialize()),
            lambda: store.cancel(workflow),
            lambda: store.resume(workflow, []),
            lambda: store.delete(workflow),
            lambda: scene.node(workflow),
        ]

        for call in calls:
            with pytest.raises(NotFound, match=str(workflow)):
                call()


def _with_data(data: PlannedUserData) -> Plan:
    inputs = [PlannedInput(kind=InputKind.USER_DATA, items=(0,))]
    return Plan(
        workflow=PlannedWorkflow(name="w"), jobs=[job(0, inputs=[0])], user_data=[data], inputs=inputs
    )
