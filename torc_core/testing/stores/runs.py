"""Begun again, set back, tried again, moved by hand, put away (`engine.md` §4.1, §6, §8.4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import (
    Event,
    File,
    FileId,
    Fingerprint,
    Initialize,
    InputKind,
    Job,
    JobStatus,
    NewJob,
    Plan,
    PlannedInput,
    PlannedJob,
    PlannedUserData,
    PlannedWorkflow,
    Query,
    Reset,
    Source,
    UserData,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.testing.plans import chain, diamond, fan, job, jobs, need, shaped
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, held, names

GONE = JobStatus.UNINITIALIZED


class RunContract(SceneContract):
    """Passes over a workflow."""

    # Set back.

    def test_a_reset_of_all_jobs_makes_them_uninitialized_and_keeps_the_run(self, scene: Scene) -> None:
        workflow = _ended(scene, diamond())

        progress = scene.store.reset(workflow, Reset())

        assert dict(progress.moved) == {"uninitialized": 4}
        assert scene.counts(workflow) == {"uninitialized": 4}
        assert {(one.run_id, one.result_id, one.reason) for one in scene.jobs(workflow)} == {(1, None, None)}
        assert [one.unmet for one in scene.jobs(workflow)] == [0, 1, 1, 1]
        assert scene.store.get(Workflow, workflow).run_id == 1
        told = scene.events(workflow, "user_action")[-1].data
        assert (told["operation"], told["count"]) == ("reset", 4)

    def test_a_reset_of_failures_takes_what_is_below_them_and_nothing_else(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [0], [1], [2]))
        scene.end(workflow, "job0", JobStatus.FAILED)
        for name in ("job1", "job3"):
            scene.end(workflow, name)

        progress = scene.store.reset(workflow, Reset(failed_only=True))

        assert dict(progress.moved) == {"uninitialized": 3}
        assert scene.statuses(workflow) == {
            "job0": "uninitialized", "job1": "completed", "job2": "uninitialized", "job3": "completed",
            "job4": "uninitialized",
        }  # fmt: skip

    def test_named_jobs_are_reset_alone_or_with_what_is_below(self, scene: Scene) -> None:
        workflow = _ended(scene, chain(3))
        first = scene.job(workflow, "job0").id

        scene.store.reset(workflow, Reset(jobs=[first], downstream=False))
        alone = scene.statuses(workflow)
        scene.store.reset(workflow, Reset(jobs=[scene.job(workflow, "job1").id]))

        assert alone == {"job0": "uninitialized", "job1": "completed", "job2": "completed"}
        assert scene.counts(workflow) == {"uninitialized": 3}

    def test_after_a_reset_the_next_run_begins_with_attempt_1(self, scene: Scene) -> None:
        workflow = _ended(scene, chain(2))
        scene.store.reset(workflow, Reset())
        between = [one.attempt_id for one in scene.jobs(workflow)]

        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert between == [2, 2]
        assert [(one.run_id, one.attempt_id) for one in scene.jobs(workflow)] == [(2, 1), (2, 1)]
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked"}

    def test_within_a_run_attempts_count_on_above_every_used_number(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        numbers = []
        for _ in range(3):
            scene.end(workflow, "job0")
            id = scene.job(workflow, "job0").id
            scene.store.move(id, JobStatus.UNINITIALIZED, 0)
            scene.store.move(id, JobStatus.UNINITIALIZED, 0)
            numbers.append(scene.store.move(id, JobStatus.READY, 0).attempt_id)

        assert numbers == [2, 3, 4]
        assert [one.attempt_id for one in scene.results(workflow)] == [1, 2, 3]

    def test_a_reset_does_not_restore_what_the_cascade_canceled(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))
        scene.end(workflow, "job0", JobStatus.FAILED)

        scene.store.reset(workflow, Reset(jobs=[scene.job(workflow, "job0").id], downstream=False))

        assert scene.statuses(workflow) == {"job0": "uninitialized", "job1": "canceled", "job2": "canceled"}
        scene.store.initialize(workflow, Initialize(only_uninitialized=True))
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked", "job2": "blocked"}

    def test_disabled_jobs_below_stay_disabled_and_named_ones_do_not(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        second = scene.job(workflow, "job1").id
        scene.store.change(Job, second, {"status": JobStatus.DISABLED})
        scene.end(workflow, "job0")

        scene.store.reset(workflow, Reset(jobs=[scene.job(workflow, "job0").id]))
        below = scene.statuses(workflow)
        scene.store.reset(workflow, Reset(jobs=[second]))

        assert below == {"job0": "uninitialized", "job1": "disabled"}
        assert scene.counts(workflow) == {"uninitialized": 2}

    def test_a_reset_of_live_jobs_needs_force(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        given = scene.claim(scene.node(workflow, cpus=2))

        with pytest.raises(Invalid, match="pending or running; cancel them first, or use force"):
            scene.store.reset(workflow, Reset())
        with pytest.raises(Invalid, match=rf"job {given[0].job.id} \(job0\) is running"):
            scene.store.reset(workflow, Reset(jobs=[given[0].job.id]))
        assert scene.counts(workflow) == {"ready": 1, "running": 2}

    def test_jobs_of_another_workflow_are_not_reset(self, scene: Scene) -> None:
        workflow, other = scene.started(fan(1)), scene.started(fan(1))

        with pytest.raises(NotFound, match=f"in workflow {workflow}"):
            scene.store.reset(workflow, Reset(jobs=[scene.job(other, "job0").id]))

    def test_a_job_reset_by_force_is_claimable_only_when_its_node_has_stopped_it(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node, other = scene.node(workflow), scene.node(workflow)
        given = scene.claim(node)
        scene.turn(node, beat=beat(runs=given))

        scene.store.renew(workflow, Initialize(force=True))
        waiting = scene.job(workflow, "job0")
        orders = scene.turn(node, beat=beat(runs=given))
        early = scene.claim(other)
        said = scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])
        late = scene.claim(other)

        assert (waiting.status, waiting.run_id, waiting.attempt_id) == (JobStatus.READY, 2, 1)
        assert waiting.node_id == node.id
        assert (list(orders.cancel), list(orders.unknown)) == ([waiting.id], [])
        assert (names(early), list(said.endings), names(late)) == ([], [Verdict.DONE], ["job0"])
        result = scene.results(workflow)[0]
        assert (result.run_id, result.attempt_id, result.status, result.current) == (
            1, 1, JobStatus.CANCELED, False
        )  # fmt: skip
        assert list(scene.finish(other, late)) == [Verdict.DONE]

    def test_a_stopped_attempt_that_ended_well_does_not_count_for_the_new_one(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.store.reset(workflow, Reset(force=True))

        scene.finish(node, given)

        assert scene.counts(workflow) == {"uninitialized": 2}
        assert [(one.status, one.return_code) for one in scene.results(workflow)] == [(JobStatus.CANCELED, 0)]
        again = scene.turn(node, endings=[ended(given[0])])
        assert list(again.endings) == [Verdict.SAME]

    def test_a_node_that_leaves_or_dies_frees_what_it_had_to_stop(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        leaves, dies = scene.node(workflow, cpus=1), scene.node(workflow, cpus=1)
        scene.claim(leaves), scene.claim(dies)
        scene.store.renew(workflow, Initialize(force=True))
        assert scene.store.ready_needs(workflow).num_jobs == 0

        scene.store.leave(leaves.id, None)
        left = scene.store.ready_needs(workflow).num_jobs
        scene.store.resume(workflow, [dies.id])

        assert (left, scene.store.ready_needs(workflow).num_jobs) == (1, 2)
        assert len(scene.claim(scene.node(workflow))) == 2

    def test_what_a_node_only_held_is_free_at_once(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node, start=False)

        scene.store.renew(workflow, Initialize(force=True))
        start = scene.turn(node, starts=[held(given[0])])
        other = scene.claim(scene.node(workflow))

        assert (list(start.starts), names(other)) == ([Verdict.STALE], ["job0"])
        assert scene.job(workflow, "job0").attempt_id == 1

    def test_a_held_job_can_be_canceled_and_is_held_still(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.store.reset(workflow, Reset(force=True))
        job = given[0].job.id

        scene.store.stop([job])
        scene.store.reset(workflow, Reset())
        scene.store.initialize(workflow, Initialize(force=True))

        assert names(scene.claim(scene.node(workflow))) == []
        scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])
        assert names(scene.claim(scene.node(workflow))) == ["job0"]

    def test_a_job_that_is_ready_but_held_is_told_by_no_sum_and_released_jobs_too(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        scene.end(workflow, "job0")
        given = scene.claim(node)
        scene.store.renew(workflow, Initialize(force=True))

        scene.end(workflow, "job0")

        assert (scene.statuses(workflow)["job1"], scene.store.ready_needs(workflow).num_jobs) == ("ready", 0)
        scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])
        assert scene.store.ready_needs(workflow).num_jobs == 1

    def test_layers_are_reset_in_linear_time(self, scene: Scene) -> None:
        plan = _layers(30, 100)
        workflow = _ended(scene, plan)
        first = scene.jobs(workflow)[0].id
        began = time.perf_counter()

        progress = scene.store.reset(workflow, Reset(jobs=[first]))

        assert time.perf_counter() - began < 5  # the promise is 1 s; a busy machine may take longer
        assert dict(progress.moved) == {"uninitialized": 2901}
        assert [one.unmet for one in scene.jobs(workflow)][::100] == [0] + [1] * 29

    def test_many_jobs_are_reset_with_all_counters_right(self, scene: Scene) -> None:
        workflow = _ended(
            scene, jobs(*([] for _ in range(1500)), list(range(1500)), *([1500] for _ in range(9)))
        )

        scene.store.reset(workflow, Reset())
        scene.store.initialize(workflow, Initialize())

        assert scene.counts(workflow) == {"blocked": 10, "ready": 1500}
        assert scene.store.ready_needs(workflow).num_jobs == 1500
        for one in scene.jobs(workflow)[:1500]:
            scene.end(workflow, one.name)
        assert scene.job(workflow, "job1500").status is JobStatus.READY

    # Begun again.

    def test_renewing_sets_all_back_and_begins_one_run(self, scene: Scene) -> None:
        workflow = _ended(scene, diamond())

        renewed = scene.store.renew(workflow, Initialize())

        assert scene.statuses(workflow) == {"a": "ready", "b": "blocked", "c": "blocked", "d": "blocked"}
        assert renewed.progress is not None
        assert (renewed.progress.run_id, renewed.inputs.safe) == (2, True)
        assert scene.events(workflow)[-1].category == "workflow_started"

    def test_renewing_is_refused_while_something_is_at_work(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.claim(scene.node(workflow, cpus=1))

        with pytest.raises(
            Invalid, match="0 pending jobs, 1 running jobs, 1 active runners and 0 pending or active"
        ):
            scene.store.renew(workflow, Initialize())
        assert scene.counts(workflow) == {"ready": 1, "running": 1}

    def test_renewing_a_canceled_workflow_lets_it_go_on(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.store.cancel(workflow)

        scene.store.renew(workflow, Initialize())

        assert names(scene.claim(scene.node(workflow))) == ["job0"]

    def test_a_renewal_that_is_refused_has_changed_nothing(self, scene: Scene) -> None:
        workflow = _ended(scene, _with_data(PlannedUserData(name="x", data=1, has_data=True)))
        missing = scene.store.add([UserData(workflow_id=workflow, name="y")])[0]
        scene.store.add_jobs(
            [NewJob(workflow_id=workflow, name="reader", command="true", input_user_data=[missing.id])]
        )

        with pytest.raises(Invalid, match="user data missing: y"):
            scene.store.renew(workflow, Initialize())

        assert scene.statuses(workflow) == {"job0": "completed", "reader": "uninitialized"}
        assert scene.store.get(Workflow, workflow).run_id == 1

    def test_inspecting_tells_what_is_missing_and_what_would_be_overwritten(self, scene: Scene) -> None:
        plan = diamond()
        workflow = scene.created(
            replace(plan, jobs=[replace(plan.jobs[0], output_files=[]), *plan.jobs[1:]])
        ).id
        a, b, c, d = scene.store.find(File, Query(workflow=workflow)).items
        seen = [_gone(a.id), _seen(b.id), _gone(c.id), _seen(d.id)]
        before = _all(scene, workflow)

        inputs = scene.store.inspect(workflow, seen)
        same = scene.store.renew(workflow, Initialize(fingerprints=seen), dry_run=True)

        assert [one.name for one in inputs.missing_files] == ["a"]
        assert [one.name for one in inputs.existing_outputs] == ["b", "d"]
        assert (inputs.safe, same.progress, same.inputs) == (False, None, inputs)
        assert _all(scene, workflow) == before

    def test_a_changed_input_runs_its_readers_and_what_is_below_again(self, scene: Scene) -> None:
        workflow = _ended(scene, diamond())
        files = {one.name: one.id for one in scene.store.find(File, Query(workflow=workflow)).items}
        scene.store.change(File, files["b"], {"st_mtime": 1.0, "size": 4})
        before = _all(scene, workflow)
        how = Initialize(fingerprints=[_seen(files["b"], 2.0)])

        tried = scene.store.reinitialize(workflow, how, dry_run=True)
        untouched = _all(scene, workflow)
        done = scene.store.reinitialize(workflow, how)

        assert [(one.name, one.reason) for one in done.changed] == [("d", "input changed: b.txt")]
        assert (list(tried.changed), tried.progress) == (list(done.changed), None)
        assert untouched == before
        assert scene.statuses(workflow) == {
            "a": "completed",
            "b": "completed",
            "c": "completed",
            "d": "ready",
        }
        assert scene.store.get(File, files["b"]).st_mtime == 2.0
        told = scene.events(workflow, "file_changed")[0].data
        assert told == {"file_id": files["b"], "path": "b.txt", "change": "modified"}
        assert [scene.events(workflow)[-1].category, scene.store.get(Workflow, workflow).run_id] == [
            "workflow_reinitialized", 2
        ]  # fmt: skip

    def test_a_missing_output_runs_its_producer_and_what_is_below_again(self, scene: Scene) -> None:
        workflow = _ended(scene, diamond())
        file = scene.store.find(File, Query(workflow=workflow, where={"name": "b"})).items[0]

        done = scene.store.reinitialize(workflow, Initialize(fingerprints=[_gone(file.id)]))

        assert [(one.name, one.reason) for one in done.changed] == [
            ("b", "output missing: b.txt"), ("d", "upstream")
        ]  # fmt: skip
        assert scene.statuses(workflow) == {"a": "completed", "b": "ready", "c": "completed", "d": "blocked"}

    @pytest.mark.parametrize(
        ("stored", "seen", "changed"),
        [
            ((1.0, 4, None), (1.009, 4, None), False),
            ((1.0, 4, None), (1.02, 4, None), True),
            ((1.0, 4, None), (1.0, 5, None), True),
            ((1.0, 4, "abc"), (9.0, 5, "abc"), False),
            ((1.0, 4, "abc"), (1.0, 4, "abd"), True),
            ((1.0, 4, None), (9.0, 4, "abc"), True),
            ((1.0, None, None), (1.0, 5, None), False),
            ((1.0, 4, None), (None, None, None), True),
            ((None, None, None), (1.0, 4, None), True),
            ((None, None, None), (None, None, None), False),
        ],
    )
    def test_an_input_file_changes_by_time_size_content_or_existence(
        self, scene: Scene, stored: tuple[object, ...], seen: tuple[object, ...], changed: bool
    ) -> None:
        inputs = [PlannedInput(kind=InputKind.FILE, items=(0,))]
        plan = Plan(
            workflow=PlannedWorkflow(name="w"),
            jobs=[job(0, inputs=[0])],
            files=diamond().files[:1],
            inputs=inputs,
        )
        workflow = scene.created(plan).id
        file = scene.store.find(File, Query(workflow=workflow)).items[0].id
        first = Fingerprint(file=file, **dict(zip(_PRINT, stored, strict=True)))  # type: ignore[arg-type]  # by position
        scene.store.initialize(workflow, Initialize(force=True, fingerprints=[first]))
        scene.end(workflow, "job0")
        now = Fingerprint(file=file, **dict(zip(_PRINT, seen, strict=True)))  # type: ignore[arg-type]  # by position

        done = scene.store.reinitialize(workflow, Initialize(force=True, fingerprints=[now]))

        assert [one.reason for one in done.changed] == (["input changed: a.txt"] if changed else [])

    def test_failed_jobs_are_not_tried_again_only_because_somebody_reinitializes(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.end(workflow, "job0", JobStatus.FAILED)
        scene.end(workflow, "job1")

        done = scene.store.reinitialize(workflow, Initialize())

        assert list(done.changed) == []
        assert scene.statuses(workflow) == {"job0": "failed", "job1": "completed"}

    def test_changed_user_data_runs_its_readers_again(self, scene: Scene) -> None:
        workflow = _ended(scene, _with_data(PlannedUserData(name="x", data={"a": 1, "b": 2}, has_data=True)))
        datum = scene.store.find(UserData, Query(workflow=workflow)).items[0].id
        scene.store.change(UserData, datum, {"data": {"b": 2, "a": 1}})
        same = scene.store.changed_jobs(workflow)
        scene.store.change(UserData, datum, {"data": {"a": 2}})

        tried = scene.store.changed_jobs(workflow, dry_run=True)
        kept = scene.statuses(workflow)
        done = scene.store.changed_jobs(workflow)

        assert list(same) == []
        assert [(one.name, one.reason) for one in done] == [("job0", "user data changed")]
        assert (list(tried), kept) == (list(done), {"job0": "completed"})
        assert scene.statuses(workflow) == {"job0": "uninitialized"}

    def test_a_job_is_made_of_what_it_was_when_its_run_began(self, scene: Scene) -> None:
        plan = diamond()
        many: dict[str, Any] = {
            "env": {"B": "1", "A": "x"},
            "invocation_script": "bash -e",
            "output_user_data": [0],
        }
        plan = replace(
            plan, jobs=[replace(plan.jobs[0], **many), *plan.jobs[1:]], user_data=[PlannedUserData(name="x")]
        )
        workflow = scene.created(plan).id
        a, b = scene.jobs(workflow)[:2]
        scene.store.change(Job, b.id, {"command": "touch b.txt b.log", "env": {"C": "2"}})
        scene.store.initialize(workflow, Initialize())
        for name in "abcd":
            scene.end(workflow, name)

        unchanged = scene.store.changed_jobs(workflow)
        scene.store.reset(workflow, Reset(jobs=[a.id], downstream=False))
        scene.store.change(Job, a.id, {"command": "touch a.txt a.log"})
        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert list(unchanged) == []
        assert list(scene.store.changed_jobs(workflow)) == []

    def test_a_new_producer_changes_what_a_finished_job_is_made_of(self, scene: Scene) -> None:
        workflow = _ended(scene, diamond())
        file = scene.store.find(File, Query(workflow=workflow, where={"name": "b"})).items[0]
        new = NewJob(workflow_id=workflow, name="again", command="true", output_files=[file.id])
        scene.store.add_jobs([new])

        found = scene.store.changed_jobs(workflow, dry_run=True)

        assert [(one.name, one.reason) for one in found] == [("d", "relations changed")]

    def test_live_jobs_are_not_set_back_by_a_change(self, scene: Scene) -> None:
        workflow = scene.started(_with_data(PlannedUserData(name="x", data=1, has_data=True)))
        scene.claim(scene.node(workflow))
        datum = scene.store.find(UserData, Query(workflow=workflow)).items[0].id
        scene.store.change(UserData, datum, {"data": 2})

        assert list(scene.store.changed_jobs(workflow)) == []
        assert scene.statuses(workflow) == {"job0": "running"}

    def test_lineage_records_are_not_taken_back(self, scene: Scene) -> None:
        data = PlannedUserData(name="__torc_lineage__a__g000001", data=1, has_data=True, is_ephemeral=True)
        workflow = scene.created(_with_data(data)).id
        datum = scene.store.find(UserData, Query(workflow=workflow)).items[0].id
        scene.store.change(UserData, datum, {"data": 2})

        scene.store.initialize(workflow, Initialize())

        assert scene.store.get(UserData, datum).data == 2

    def test_outputs_that_completed_jobs_did_not_write_are_missing_user_data(self, scene: Scene) -> None:
        plan = Plan(
            workflow=PlannedWorkflow(name="w"),
            jobs=[job(0, output_user_data=[0])],
            user_data=[PlannedUserData(name="x")],
        )
        workflow = scene.started(plan)
        before = scene.store.missing_user_data(workflow)

        scene.end(workflow, "job0")

        assert (list(before), [one.name for one in scene.store.missing_user_data(workflow)]) == ([], ["x"])
        scene.store.initialize(workflow, Initialize())

    # Whole workflows.

    def test_clearing_the_cancel_flag_keeps_the_run(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.store.cancel(workflow)

        found = scene.store.reset_workflow(workflow)

        assert (found.is_canceled, found.run_id) == (False, 1)
        assert scene.events(workflow)[-1].data["operation"] == "reset_status"
        assert names(scene.claim(scene.node(workflow))) == ["job0"]

    def test_clearing_the_cancel_flag_beside_live_jobs_needs_force_and_stops_them(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)

        with pytest.raises(Invalid, match="1 running jobs"):
            scene.store.reset_workflow(workflow)
        scene.store.reset_workflow(workflow, force=True)

        assert scene.statuses(workflow) == {"job0": "running"}
        orders = scene.turn(node, beat=beat(runs=given))
        assert list(orders.cancel) == [given[0].job.id]

    def test_a_client_may_raise_the_run_itself_and_is_not_counted_twice(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        kept = [scene.store.set_run(workflow, number).run_id for number in (0, 1, 3)]

        assert kept == [1, 1, 3]
        with pytest.raises(Invalid, match="run 2 is smaller than the current run 3"):
            scene.store.set_run(workflow, 2)
        assert [scene.store.initialize(workflow, Initialize()).run_id for _ in range(2)] == [3, 4]

    def test_archived_workflows_refuse_what_would_run_them(self, scene: Scene) -> None:
        workflow = _ended(scene, fan(1))
        store, id = scene.store, scene.job(workflow, "job0").id

        found = [store.archive(workflow, flag).is_archived for flag in (True, True)]

        calls: list[Callable[[], object]] = [
            lambda: store.initialize(workflow, Initialize(force=True)),
            lambda: store.renew(workflow, Initialize(force=True)),
            lambda: store.reinitialize(workflow, Initialize(force=True)),
            lambda: store.reset(workflow, Reset(force=True)),
            lambda: store.reset_workflow(workflow, force=True),
            lambda: store.changed_jobs(workflow),
            lambda: store.move(id, JobStatus.UNINITIALIZED, 0),
            lambda: store.add_jobs([NewJob(workflow_id=workflow, name="x", command="true")]),
        ]
        for call in calls:
            with pytest.raises(Invalid, match=f"workflow {workflow} is archived"):
                call()
        assert (found, scene.counts(workflow)) == ([True, True], {"completed": 1})
        assert len(scene.events(workflow, "workflow_archived")) == 1
        assert not store.archive(workflow, False).is_archived
        store.reset(workflow, Reset())

    def test_a_workflow_at_work_is_not_archived(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.claim(scene.node(workflow))

        with pytest.raises(Conflict, match="0 pending and 1 running"):
            scene.store.archive(workflow, True)

    # Tried again.

    def test_a_failed_job_is_tried_again_with_the_next_attempt(self, scene: Scene) -> None:
        workflow = scene.started(chain(3))
        scene.end(workflow, "job0", JobStatus.FAILED)

        found = scene.store.retry(scene.job(workflow, "job0").id, 1, max_retries=2)

        assert (found.status, found.attempt_id, found.origin, found.result_id) == (
            JobStatus.READY,
            2,
            "retry",
            None,
        )
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked", "job2": "blocked"}
        told = dict(scene.events(workflow, "job_retried")[0].data)
        assert told.pop("message")
        assert told == {
            "event_type": "job_retried", "job_id": found.id, "job_name": "job0", "previous_attempt": 1,
            "new_attempt": 2, "run_id": 1,
        }  # fmt: skip
        assert [(one.attempt_id, one.current) for one in scene.results(workflow)] == [(1, False)]

    def test_a_new_run_forgets_that_a_job_was_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", JobStatus.FAILED)
        scene.store.retry(scene.job(workflow, "job0").id, 0)

        scene.store.renew(workflow, Initialize())

        found = scene.job(workflow, "job0")
        assert (found.origin, found.attempt_id, found.run_id) == (None, 1, 2)

    def test_a_job_that_has_had_its_attempts_is_not_tried_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", JobStatus.FAILED)
        id = scene.job(workflow, "job0").id

        with pytest.raises(Invalid, match=rf"job {id} is in attempt 1, and max_retries is 1"):
            scene.store.retry(id, 1, max_retries=1)
        with pytest.raises(Invalid, match="run 7 is over; the workflow is in run 1"):
            scene.store.retry(id, 7)

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELED])
    def test_only_some_ends_can_be_tried_again(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", status)

        with pytest.raises(Invalid, match=f"is {status.label}; only a running, failed"):
            scene.store.retry(scene.job(workflow, "job0").id, 0)

    def test_an_attempt_that_never_reported_gets_a_result_when_its_job_is_tried_again(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(1))
        id = scene.job(workflow, "job0").id
        scene.store.move(id, JobStatus.RUNNING, 0)

        scene.store.retry(id, 0)

        result = scene.results(workflow)[0]
        assert (result.status, result.reason, result.return_code) == (JobStatus.FAILED, "retried", -128)
        assert names(scene.claim(scene.node(workflow))) == ["job0"]

    def test_a_running_job_that_is_tried_again_waits_until_its_node_has_stopped_it(
        self, scene: Scene
    ) -> None:
        workflow = scene.started(fan(1))
        node, other = scene.node(workflow), scene.node(workflow)
        given = scene.claim(node)

        found = scene.store.retry(given[0].job.id, 0)
        early = scene.claim(other)
        said = scene.turn(node, endings=[ended(given[0], JobStatus.CANCELED)])

        assert (found.status, found.attempt_id, names(early)) == (JobStatus.READY, 2, [])
        assert list(said.endings) == [Verdict.DONE]
        assert [one.job.attempt_id for one in scene.claim(other)] == [2]
        assert [(one.attempt_id, one.reason) for one in scene.results(workflow)] == [(1, "retried")]

    # Moved by hand.

    @pytest.mark.parametrize(
        "status",
        [
            JobStatus.UNINITIALIZED,
            JobStatus.READY,
            JobStatus.PENDING,
            JobStatus.RUNNING,
            JobStatus.PENDING_FAILED,
        ],
    )
    def test_an_open_job_may_be_set_to_open_statuses(self, scene: Scene, status: JobStatus) -> None:
        workflow = scene.started(chain(2))

        found = scene.store.move(scene.job(workflow, "job1").id, status, 1)

        assert (found.status, found.run_id, found.attempt_id) == (status, 1, 1)
        told = scene.events(workflow, "user_action")[-1].data
        assert (told["from"], told["to"]) == ("blocked", status.label)

    def test_a_job_can_be_driven_by_hand_from_beginning_to_end(self, scene: Scene) -> None:
        workflow = scene.created(chain(2)).id
        id = scene.job(workflow, "job0").id

        for status in (JobStatus.READY, JobStatus.PENDING, JobStatus.RUNNING):
            scene.store.move(id, status, 0)
        scene.end(workflow, "job0")

        assert scene.job(workflow, "job0").status is JobStatus.COMPLETED
        assert scene.job(workflow, "job1").unmet == 0

    def test_an_ended_status_is_not_set_by_hand(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        id = scene.job(workflow, "job0").id

        with pytest.raises(Invalid, match="use complete_job"):
            scene.store.move(id, JobStatus.COMPLETED, 0)
        with pytest.raises(Invalid, match=f"job {id} cannot go from ready to blocked"):
            scene.store.move(id, JobStatus.BLOCKED, 0)
        with pytest.raises(Invalid, match="run 5 is over"):
            scene.store.move(id, JobStatus.RUNNING, 5)
        scene.end(workflow, "job0")
        with pytest.raises(Invalid, match=f"job {id} cannot go from completed to running"):
            scene.store.move(id, JobStatus.RUNNING, 0)

    def test_the_same_status_is_no_change(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        before = _all(scene, workflow)

        scene.store.move(scene.job(workflow, "job0").id, JobStatus.READY, 0)

        assert _all(scene, workflow) == before

    def test_a_completed_job_that_is_set_back_takes_the_ended_ones_below_with_it(self, scene: Scene) -> None:
        workflow = scene.started(chain(4))
        for name in ("job0", "job1"):
            scene.end(workflow, name)

        scene.store.move(scene.job(workflow, "job0").id, JobStatus.UNINITIALIZED, 0)

        assert scene.statuses(workflow) == {
            "job0": "uninitialized", "job1": "uninitialized", "job2": "ready", "job3": "blocked"
        }  # fmt: skip

    def test_a_running_job_that_is_moved_away_is_stopped_first(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)

        found = scene.store.move(given[0].job.id, JobStatus.READY, 0)
        orders = scene.turn(node, beat=beat(runs=given))

        assert (found.attempt_id, list(orders.cancel)) == (2, [found.id])
        assert names(scene.claim(scene.node(workflow))) == []

    def test_a_claim_by_hand_runs_out(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.store.move(scene.job(workflow, "job0").id, JobStatus.PENDING, 0)

        scene.move(601)

        assert names(scene.claim(scene.node(workflow))) == ["job0"]

    # Sums and lists.

    def test_needs_of_ready_jobs_are_summed(self, scene: Scene) -> None:
        workflow = scene.started(
            shaped(need(cpus=2, runtime=90), need(cpus=3, gpus=1, nodes=2), need(memory=5))
        )
        scene.end(workflow, "job2")

        found = scene.store.ready_needs(workflow)

        assert (found.num_jobs, found.num_cpus, found.num_gpus) == (2, 5, 1)
        assert (found.max_num_nodes, found.max_runtime_s, found.memory_bytes) == (2, 90, 2 * 1024**2)

    def test_relations_of_jobs_come_in_the_order_asked_for(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        a, _, _, d = (one.id for one in scene.jobs(workflow))
        files = [one.id for one in scene.store.find(File, Query(workflow=workflow)).items]

        found = scene.store.relations([d, type(a)(99_999), a])

        assert [one.job_id for one in found] == [d, a]
        assert [list(found[0].depends_on), list(found[1].depends_on)] == [[a + 1, a + 2], []]
        assert (list(found[0].input_files), list(found[0].output_files)) == (files[1:3], files[3:])
        assert scene.store.relations([]) == []

    def test_what_is_not_there_is_not_begun_again(self, store: Store) -> None:
        nothing = WorkflowId(77)
        calls: list[Callable[[], object]] = [
            lambda: store.renew(nothing, Initialize()),
            lambda: store.reinitialize(nothing, Initialize()),
            lambda: store.inspect(nothing, []),
            lambda: store.changed_jobs(nothing),
            lambda: store.reset(nothing, Reset()),
            lambda: store.reset_workflow(nothing),
            lambda: store.set_run(nothing, 1),
            lambda: store.archive(nothing, True),
            lambda: store.ready_needs(nothing),
        ]
        for call in calls:
            with pytest.raises(NotFound, match="no workflow 77"):
                call()


_PRINT = ("st_mtime", "size", "content_hash")


def _seen(file: FileId, at: float = 1.0) -> Fingerprint:
    return Fingerprint(file=file, st_mtime=at, size=4)


def _gone(file: FileId) -> Fingerprint:
    return Fingerprint(file=file, st_mtime=None, size=None)


def _ended(scene: Scene, plan: Plan) -> WorkflowId:
    """A workflow whose jobs have all completed in run 1."""
    workflow = scene.started(plan)
    node = scene.node(workflow, cpus=100_000)
    while given := scene.claim(node, limit=10_000):
        scene.finish(node, given)
    scene.store.leave(node.id, None)
    return workflow


def _all(scene: Scene, workflow: WorkflowId) -> object:
    """Everything that a dry run must leave alone."""
    query = Query(workflow=workflow, limit=100_000)
    return [list(scene.store.find(kind, query).items) for kind in (Job, File, UserData, Event)] + [
        scene.store.get(Workflow, workflow)
    ]


def _layers(depth: int, width: int) -> Plan:
    """Layers of jobs, each of which waits for all of the layer before."""
    planned: list[PlannedJob] = []
    groups = []
    for layer in range(depth):
        uses = [(layer - 1, Source.EXPLICIT)] if layer else []
        planned += [
            job(layer * width + at, groups=uses, num_blockers=width * bool(layer)) for at in range(width)
        ]
        if layer + 1 < depth:
            groups.append(tuple(range(layer * width, (layer + 1) * width)))
    return Plan(workflow=PlannedWorkflow(name="layers"), jobs=planned, groups=groups)


def _with_data(data: PlannedUserData) -> Plan:
    inputs = [PlannedInput(kind=InputKind.USER_DATA, items=(0,))]
    return Plan(
        workflow=PlannedWorkflow(name="w"), jobs=[job(0, inputs=[0])], user_data=[data], inputs=inputs
    )
