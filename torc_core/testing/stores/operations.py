"""Operations that run by themselves (`engine.md` §12)."""

from __future__ import annotations

import pytest

from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import Operation, OperationId, OperationStatus, Query
from torc_core.testing.plans import fan
from torc_core.testing.stores.scene import Scene, SceneContract


class OperationContract(SceneContract):
    """Long verbs that nobody waits for."""

    def test_an_operation_is_queued_and_carried_out(self, scene: Scene) -> None:
        workflow = scene.created(fan(2)).id

        queued, new = scene.store.begin(workflow, "initialize_jobs", {"only_uninitialized": False})
        scene.move(2)
        done = scene.store.carry_out(queued.id)

        assert (new, queued.status, queued.started_at) == (True, OperationStatus.QUEUED, None)
        assert (done.status, done.error) == (OperationStatus.SUCCEEDED, None)
        assert (done.started_at, done.finished_at) == (scene.clock.now(), scene.clock.now())
        assert scene.counts(workflow) == {"ready": 2}
        (told,) = scene.events(workflow, "task_completed")
        assert told.data == {"task_id": done.id, "operation": "initialize_jobs", "status": "succeeded"}
        assert scene.store.get(Operation, done.id) == done

    def test_the_same_request_is_the_same_operation(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        first, _ = scene.store.begin(workflow, "initialize_jobs", {})

        again, new = scene.store.begin(workflow, "initialize_jobs", {})
        with pytest.raises(Conflict) as refused:
            scene.store.begin(workflow, "initialize_jobs", {"force": True})

        assert (again, new) == (first, False)
        assert refused.value.details == {
            "existing_task_id": first.id,
            "existing_operation": "initialize_jobs",
        }

    def test_there_is_at_most_one(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        queued, _ = scene.store.begin(workflow, "initialize_jobs", {})
        before = scene.store.active_operation(workflow)

        scene.store.carry_out(queued.id)

        second, new = scene.store.begin(workflow, "initialize_jobs", {})
        assert (before, new, second.id != queued.id) == (queued, True, True)
        scene.store.carry_out(second.id)
        assert scene.store.active_operation(workflow) is None

    def test_an_operation_that_has_ended_is_not_done_again(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        queued, _ = scene.store.begin(workflow, "initialize_jobs", {})

        first, second = (scene.store.carry_out(queued.id) for _ in range(2))

        assert first == second
        assert len(scene.events(workflow, "workflow_started")) == 1

    def test_a_refused_operation_says_why(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.claim(scene.node(workflow))
        queued, _ = scene.store.begin(workflow, "initialize_jobs", {})

        done = scene.store.carry_out(queued.id)

        assert (done.status, scene.counts(workflow)) == (OperationStatus.FAILED, {"running": 1})
        assert "1 running jobs" in (done.error or "")

    def test_nothing_is_handed_out_meanwhile(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        queued, _ = scene.store.begin(workflow, "initialize_jobs", {"force": True})

        orders = scene.turn(node, offer=scene.offer(node))
        scene.store.carry_out(queued.id)

        assert (list(orders.jobs), orders.reason) == ([], "initialisation under way")
        assert len(scene.claim(node)) == 1

    def test_those_that_wait_are_found_across_workflows(self, scene: Scene) -> None:
        begun = [scene.store.begin(scene.created(fan(1)).id, "initialize_jobs", {})[0] for _ in range(2)]
        scene.store.carry_out(begun[0].id)

        waiting = scene.store.find(Operation, Query(where={"status": ("queued", "running")})).items

        assert list(waiting) == [begun[1]]

    def test_those_that_have_ended_are_kept_for_a_week(self, scene: Scene) -> None:
        begun = [scene.store.begin(scene.created(fan(1)).id, "initialize_jobs", {})[0] for _ in range(2)]
        scene.store.carry_out(begun[0].id)
        kept = []
        for days in (6, 2):
            scene.move(days * 86_400)
            scene.store.sweep()
            kept.append([one.id for one in scene.store.find(Operation, Query()).items])

        assert kept == [[one.id for one in begun], [begun[1].id]]

    def test_what_is_unknown_is_refused(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id

        with pytest.raises(Invalid, match="initialize_jobs"):
            scene.store.begin(workflow, "initialise_jobs", {})
        with pytest.raises(Invalid, match="'only_uninitialised'"):
            scene.store.begin(workflow, "initialize_jobs", {"only_uninitialised": True})
        with pytest.raises(NotFound):
            scene.store.carry_out(OperationId(99))
