"""Adding, changing and removing records (`engine.md` §5.5, §8.7)."""

from __future__ import annotations

import pytest

from torc_core.errors import Conflict, Forbidden, Invalid, NotFound, TorcError, WrongState
from torc_core.model import (
    Action,
    Event,
    File,
    Initialize,
    Job,
    JobDependency,
    JobStatus,
    Json,
    Node,
    Query,
    Requirement,
    Result,
    Severity,
    UserData,
    Workflow,
)
from torc_core.model.resources import GIB
from torc_core.testing.plans import chain, diamond, fan, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, names


class CatalogContract(SceneContract):
    """Records without verbs."""

    def test_added_records_get_ids_in_their_order(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        added = scene.store.add([File(workflow_id=workflow, name=name, path=f"/{name}") for name in "abc"])

        assert list(added) == list(scene.store.find(File, Query(workflow=workflow)).items)
        assert [one.id for one in added] == list(range(added[0].id, added[0].id + 3))

    def test_records_of_an_unknown_workflow_are_refused(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        good, bad = (
            File(workflow_id=type(workflow)(id), name="f", path="f") for id in (workflow, workflow + 9)
        )

        with pytest.raises(NotFound):
            scene.store.add([good, bad])

        assert scene.store.find(File, Query(workflow=workflow)).total == 0

    @pytest.mark.parametrize("data", [None, True, 0, 1.5, "text", [1, [2]], {"a": {"b": None}}, ""])
    def test_user_data_is_any_json(self, scene: Scene, data: Json) -> None:
        workflow = scene.created(fan(0)).id

        new = UserData(workflow_id=workflow, name="x", data=data, has_data=True)
        added = scene.store.add([new])[0]

        found = scene.store.get(UserData, added.id)
        assert (found.data, type(found.data), found.has_data) == (data, type(data), True)

    def test_an_added_requirement_is_measured(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        new = Requirement(workflow_id=workflow, name="big", num_cpus=4, memory="2g", runtime="PT1H")
        added = scene.store.add([new])[0]

        assert (added.memory_bytes, added.runtime_s, added.num_cpus) == (2 * GIB, 3600, 4)
        with pytest.raises(TorcError, match="lots"):
            scene.store.add([Requirement(workflow_id=workflow, name="bad", memory="lots")])

    def test_clients_post_events_and_may_change_and_remove_those(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        mine = scene.store.add([Event(workflow_id=workflow, category="mine", data={"a": [1]})])[0]

        changed = scene.store.change(Event, mine.id, {"data": {"b": 2}})
        removed = scene.store.remove(Event, [mine.id, mine.id + 99])

        assert (mine.category, mine.severity, mine.timestamp) == ("mine", Severity.INFO, scene.clock.now())
        assert (dict(changed.data), changed.id, removed) == ({"b": 2}, mine.id, 1)

    def test_the_events_of_the_store_belong_to_the_store(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        own = scene.events(workflow)[0]

        with pytest.raises(Forbidden):
            scene.store.change(Event, own.id, {"data": {}})
        with pytest.raises(Forbidden):
            scene.store.remove(Event, [own.id])
        with pytest.raises(Forbidden):
            scene.store.add([Event(workflow_id=workflow, category="job_failed", data={})])

    def test_only_some_records_can_be_added(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        with pytest.raises(Invalid, match="added"):
            scene.store.add([scene.job(workflow, "job0")])

    def test_a_workflow_is_renamed(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        changed = scene.store.change(
            Workflow, workflow, {"name": "new", "description": None, "metadata": {"k": 1}}
        )

        assert scene.store.get(Workflow, workflow) == changed
        assert (changed.name, changed.description, changed.metadata) == ("new", None, {"k": 1})

    @pytest.mark.parametrize("field", ["id", "run_id", "nonsense", "is_canceled"])
    def test_other_fields_are_not_changed(self, scene: Scene, field: str) -> None:
        workflow = scene.created(fan(0)).id

        with pytest.raises(Invalid, match=field):
            scene.store.change(Workflow, workflow, {field: 1})

    def test_what_a_job_does_changes_only_while_it_is_uninitialized(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        id = scene.job(workflow, "job0").id

        changed = scene.store.change(Job, id, {"name": "n", "command": "c", "env": {"A": "1"}})
        scene.store.initialize(workflow, Initialize())

        assert (changed.name, changed.command, changed.env) == ("n", "c", {"A": "1"})
        with pytest.raises(Invalid, match="uninitialized"):
            scene.store.change(Job, id, {"command": "d"})

    def test_the_blockers_of_a_job_are_replaced(self, scene: Scene) -> None:
        workflow = scene.created(jobs([], [], [0])).id
        _, second, last = (one.id for one in scene.jobs(workflow))

        scene.store.change(Job, last, {"depends_on": [second]})

        pairs = scene.store.find(JobDependency, Query(workflow=workflow)).items
        assert [(one.job_id, one.depends_on_job_id) for one in pairs] == [(last, second)]
        scene.store.initialize(workflow, Initialize())
        scene.end(workflow, "job1")
        assert scene.statuses(workflow)["job2"] == "ready"

    def test_a_job_is_given_other_files(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        files = {one.name: one.id for one in scene.store.find(File, Query(workflow=workflow)).items}

        scene.store.change(Job, scene.job(workflow, "d").id, {"input_files": [files["a"]]})
        scene.store.initialize(workflow, Initialize())
        scene.end(workflow, "a")

        assert scene.statuses(workflow)["d"] == "ready"
        assert scene.job(workflow, "d").num_blockers == 1

    def test_priority_and_label_change_at_any_time_and_count_at_once(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        first, _, last = scene.jobs(workflow)

        scene.store.change(Job, last.id, {"priority": 7})
        scene.store.change(Job, first.id, {"label": "x"})
        node = scene.node(workflow)

        assert names(scene.claim(node)) == ["job2", "job1"]
        assert scene.store.change(Job, first.id, {"label": ""}).label is None
        assert names(scene.claim(node)) == ["job0"]

    def test_a_changed_requirement_moves_waiting_jobs_to_another_class(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))
        need = scene.store.find(Requirement, Query(workflow=workflow)).items[0]

        scene.store.change(Requirement, need.id, {"num_cpus": 3, "memory": "1g"})
        node = scene.node(workflow, cpus=2)

        assert scene.claim(node) == []
        given = scene.claim(scene.node(workflow, cpus=3))[0]
        assert (given.shape.cpus, given.shape.memory) == (3, GIB)

    def test_a_job_gets_another_requirement(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        need = scene.store.add([Requirement(workflow_id=workflow, name="big", num_cpus=9)])[0]

        scene.store.change(Job, scene.job(workflow, "job0").id, {"requirement_id": need.id})

        assert names(scene.claim(scene.node(workflow))) == ["job1"]
        with pytest.raises(Invalid, match="999"):
            scene.store.change(Job, scene.job(workflow, "job1").id, {"requirement_id": 999})

    @pytest.mark.parametrize("status", [JobStatus.READY, JobStatus.COMPLETED, JobStatus.FAILED])
    def test_the_status_of_a_job_is_not_changed_like_a_field(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.created(fan(1)).id

        with pytest.raises(Invalid, match="Cannot update job status"):
            scene.store.change(Job, scene.job(workflow, "job0").id, {"status": status})

    def test_a_running_or_completed_job_is_not_disabled(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.claim(scene.node(workflow, cpus=1))
        scene.end(workflow, "job1")

        for name, sentence in (("job0", "is running; cancel it first"), ("job1", "is completed")):
            with pytest.raises(WrongState, match=sentence):
                scene.store.change(Job, scene.job(workflow, name).id, {"status": JobStatus.DISABLED})

    def test_a_disabled_job_is_enabled_by_a_reset(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        id = scene.job(workflow, "job0").id
        scene.store.change(Job, id, {"status": JobStatus.DISABLED})

        scene.store.change(Job, id, {"status": JobStatus.UNINITIALIZED})
        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked"}

    def test_a_removed_job_releases_those_that_waited_for_it(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [0, 1]))
        first, second, _ = scene.jobs(workflow)
        scene.end(workflow, "job1")

        removed = scene.store.remove(Job, [first.id, 999])

        assert (removed, scene.statuses(workflow)) == (1, {"job1": "completed", "job2": "ready"})
        assert scene.job(workflow, "job2").num_blockers == 1
        pairs = scene.store.find(JobDependency, Query(workflow=workflow)).items
        assert [one.depends_on_job_id for one in pairs] == [second.id]

    def test_a_blocked_job_that_cancels_on_failure_from_now_on_is_canceled_below_one_that_failed(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(jobs([], [], [0, 1], [2], cancel_on_blocking_job_failure=False))
        first, _, third, last = scene.jobs(workflow)
        scene.end(workflow, "job0", JobStatus.FAILED)

        for id in (last.id, third.id):
            scene.store.change(Job, id, {"cancel_on_blocking_job_failure": True})

        assert scene.statuses(workflow) == {
            "job0": "failed", "job1": "ready", "job2": "canceled", "job3": "canceled"
        }  # fmt: skip
        assert scene.job(workflow, "job2").reason == f"blocker:{first.id}"

    def test_jobs_that_wait_for_each_other_are_removed_together(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [0], [1], []))
        first, second, *_ = scene.jobs(workflow)
        scene.end(workflow, "job0", JobStatus.FAILED)

        scene.store.remove(Job, [first.id, second.id])

        assert scene.statuses(workflow) == {"job2": "ready", "job3": "ready"}
        assert scene.counts(workflow) == {"ready": 2}
        assert sorted(names(scene.claim(scene.node(workflow)))) == ["job2", "job3"]

    def test_a_job_that_is_removed_with_its_blocker_is_never_ready(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [0], []))
        first, second, _ = scene.jobs(workflow)
        action = Action(
            workflow_id=workflow, trigger_type="on_jobs_ready", action_type="run_commands",
            config={"commands": ["true"]}, jobs=[second.id],
        )  # fmt: skip
        scene.store.add([action])

        scene.store.remove(Job, [first.id, second.id])

        assert scene.counts(workflow) == {"ready": 1}
        assert scene.events(workflow, "action_triggered") == []

    def test_a_removed_job_takes_its_results_along(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.end(workflow, "job0")

        scene.store.remove(Job, [scene.job(workflow, "job0").id])

        assert scene.results(workflow) == []
        assert scene.counts(workflow) == {"ready": 1}

    def test_a_running_job_is_not_removed_nor_are_those_named_with_it(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.claim(scene.node(workflow, cpus=1))

        with pytest.raises(Conflict, match="is running; cancel it first"):
            scene.store.remove(Job, [one.id for one in reversed(scene.jobs(workflow))])

        assert len(scene.jobs(workflow)) == 2

    def test_a_canceled_job_that_its_node_has_not_ended_yet_is_neither_removed_nor_disabled(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        id = given[0].job.id
        scene.store.stop([id])

        with pytest.raises(Conflict, match="has not ended it yet"):
            scene.store.remove(Job, [id])
        with pytest.raises(WrongState, match="has not ended it yet"):
            scene.store.change(Job, id, {"status": JobStatus.DISABLED})
        scene.finish(node, given, JobStatus.CANCELED)

        assert scene.store.remove(Job, [id]) == 1

    def test_a_removed_result_leaves_the_status_of_its_job(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0")

        scene.store.remove(Result, [scene.results(workflow)[0].id])

        job = scene.job(workflow, "job0")
        assert (job.status, job.result_id) == (JobStatus.COMPLETED, None)

    def test_the_default_requirement_and_an_active_node_stay(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        need = scene.job(workflow, "job0").requirement_id

        with pytest.raises(Invalid, match="stays"):
            scene.store.remove(Requirement, [need])
        with pytest.raises(Conflict, match="active"):
            scene.store.remove(Node, [node.id])

    def test_a_removed_file_is_nobodys_input_any_more(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        file = scene.store.find(File, Query(workflow=workflow)).items[0]

        scene.store.remove(File, [file.id])
        scene.store.initialize(workflow, Initialize())

        assert scene.statuses(workflow) == {"a": "ready", "b": "ready", "c": "ready", "d": "blocked"}

    def test_changes_are_told(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        id = scene.job(workflow, "job0").id

        scene.store.change(Job, id, {"priority": 3})

        told = scene.events(workflow, "user_action")[0].data
        assert dict(told) == {"operation": "change", "kind": "job", "id": id, "fields": ["priority"]}
