"""Jobs that failed get what they lacked, and run again, all at once or not at all (`slurm.md` §10)."""

from __future__ import annotations

import pytest

from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import (
    Adjustment,
    AllocationStatus,
    Event,
    JobStatus,
    Query,
    RecoveryPlan,
    Requirement,
    RequirementId,
    Workflow,
    WorkflowId,
)
from torc_core.model.ids import JobId
from torc_core.testing.plans import jobs
from torc_core.testing.stores.scene import Scene, SceneContract

GIB = 1024**3


class RecoveringContract(SceneContract):
    """One call gives jobs another requirement, sets exactly them back and begins one run."""

    def test_only_the_jobs_of_the_plan_and_what_waits_for_them_run_again(self, scene: Scene) -> None:
        workflow = _failed(scene)
        before = _needs(scene, workflow)["job0"]

        progress = scene.store.recover(workflow, _plan(scene, workflow, "job0"))

        assert scene.statuses(workflow) == {
            "job0": "ready", "job1": "failed", "job2": "blocked", "job3": "canceled", "job4": "completed",
        }  # fmt: skip
        assert (progress.run_id, scene.store.get(Workflow, workflow).run_id) == (2, 2)
        after = _needs(scene, workflow)
        assert (after["job0"].memory, after["job0"].memory_bytes) == ("12g", 12 * GIB)
        assert after["job1"] == before == after["job4"]

    def test_a_recovery_tells_what_it_changed(self, scene: Scene) -> None:
        workflow = _failed(scene)

        scene.store.recover(workflow, _plan(scene, workflow, "job0"))

        told = {
            name: scene.events(workflow, name)[-1].data
            for name in ("recovery_started", "resource_adjusted", "recovery_finished")
        }
        job = scene.job(workflow, "job0").id
        assert told["recovery_started"] == {"run_id": 1, "jobs": 1, "job_ids": [job]}
        assert told["recovery_finished"]["counts"] == {"oom": 1}
        adjusted = told["resource_adjusted"]
        assert [adjusted[key] for key in ("field", "old", "new", "cause")] == ["memory", "1m", "12g", "oom"]

    def test_two_who_saw_the_same_failures_recover_them_once(self, scene: Scene) -> None:
        workflow = _failed(scene)
        plan = _plan(scene, workflow, "job0")
        scene.store.recover(workflow, plan)
        before = scene.all(workflow)

        with pytest.raises(Conflict, match="is in run 2 by now"):
            scene.store.recover(workflow, plan)

        assert scene.all(workflow) == before

    def test_a_recovery_that_is_refused_changes_nothing(self, scene: Scene) -> None:
        workflow = _failed(scene)
        good = _plan(scene, workflow, "job0")
        unknown = RecoveryPlan(run_id=1, jobs=(*good.jobs, JobId(10_000)), adjustments=good.adjustments)
        strange = Adjustment(
            jobs=good.jobs,
            replaces=RequirementId(10_000),
            needs=good.adjustments[0].needs,
            cause="oom",
        )
        before = (scene.all(workflow), _needs(scene, workflow))

        with pytest.raises(NotFound):
            scene.store.recover(workflow, unknown)
        with pytest.raises(NotFound):
            scene.store.recover(workflow, RecoveryPlan(run_id=1, jobs=good.jobs, adjustments=[strange]))

        assert (scene.all(workflow), _needs(scene, workflow)) == before
        assert scene.store.find(Requirement, Query(workflow=workflow)).total == 1

    def test_what_somebody_works_on_is_not_recovered(self, scene: Scene) -> None:
        workflow = _failed(scene)
        plan = _plan(scene, workflow, "job0")
        node = scene.node(workflow)

        with pytest.raises(Invalid, match="1 active runners"):
            scene.store.recover(workflow, plan)
        scene.store.leave(node.id, None)
        scene.store.recover(workflow, plan)

        assert scene.statuses(workflow)["job0"] == "ready"

    def test_an_allocation_that_is_queued_is_waited_for(self, scene: Scene) -> None:
        from torc_core.model import Allocation

        workflow = _failed(scene)
        scene.store.add([Allocation(workflow_id=workflow, scheduler_id="7", status=AllocationStatus.PENDING)])

        with pytest.raises(Invalid, match="1 pending or active allocations"):
            scene.store.recover(workflow, _plan(scene, workflow, "job0"))

    def test_a_canceled_workflow_is_not_recovered(self, scene: Scene) -> None:
        workflow = _failed(scene)
        scene.store.cancel(workflow)

        with pytest.raises(Conflict, match="is canceled"):
            scene.store.recover(workflow, _plan(scene, workflow, "job0"))

    def test_commands_tell_what_they_decided_and_nobody_unsays_it(self, scene: Scene) -> None:
        from torc_core.errors import Forbidden

        workflow = _failed(scene)
        said = Event(workflow_id=workflow, category="scheduling_decision", data={"reason": "none is left"})

        (told,) = scene.store.add([said])

        assert scene.store.get(Event, told.id).category == "scheduling_decision"
        with pytest.raises(Forbidden):
            scene.store.remove(Event, [told.id])


def _failed(scene: Scene) -> WorkflowId:
    """Two jobs have failed, each with one that waits for it; another one has completed."""
    workflow = scene.started(jobs([], [], [0], [1], []))
    scene.end(workflow, "job0", JobStatus.FAILED)
    scene.end(workflow, "job1", JobStatus.FAILED)
    scene.end(workflow, "job4")
    return workflow


def _plan(scene: Scene, workflow: WorkflowId, name: str) -> RecoveryPlan:
    job = scene.job(workflow, name)
    needs = Requirement(workflow_id=workflow, name="more", memory="12g", memory_bytes=12 * GIB)
    one = Adjustment(jobs=[job.id], replaces=_needs(scene, workflow)[name].id, needs=needs, cause="oom")
    return RecoveryPlan(run_id=1, jobs=[job.id], adjustments=[one], counts={"oom": 1})


def _needs(scene: Scene, workflow: WorkflowId) -> dict[str, Requirement]:
    """What each job asks for, by its name."""
    known = {one.id: one for one in scene.store.find(Requirement, Query(workflow=workflow)).items}
    return {job.name: known[job.requirement_id] for job in scene.jobs(workflow)}
