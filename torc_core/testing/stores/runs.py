"""Begun again, set back, tried again, moved by hand, put away (`engine.md` §4.1, §6, §8.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Conflict, Invalid, NotFound, WrongState
from torc_core.model import (
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
    PlannedUserData,
    PlannedWorkflow,
    Query,
    Reset,
    Resources,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.model.resources import MIB
from torc_core.protocols import Store
from torc_core.testing.plans import chain, diamond, fan, job, need, shaped
from torc_core.testing.stores.scene import Scene, SceneContract, beat, names

GONE = JobStatus.UNINITIALIZED


class RunContract(SceneContract):
    """Runs begin and begin again, as far as something has changed."""

    # Begun again.

    def test_of_several_that_initialize_where_it_is_needed_one_does(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.claim(scene.node(workflow, cpus=1))
        before = scene.statuses(workflow)

        for partial in (False, True):
            scene.store.initialize(workflow, Initialize(if_needed=True, only_uninitialized=partial))

        assert scene.statuses(workflow) == before
        assert scene.store.get(Workflow, workflow).run_id == 1

    def test_renewing_sets_all_back_and_begins_one_run(self, scene: Scene) -> None:
        workflow = scene.completed(diamond())

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
        workflow = scene.completed(_with_data(PlannedUserData(name="x", data=1, has_data=True)))
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
        before = scene.all(workflow)

        inputs = scene.store.inspect(workflow, seen)
        same = scene.store.renew(workflow, Initialize(fingerprints=seen), dry_run=True)

        assert [one.name for one in inputs.missing_files] == ["a"]
        assert [one.name for one in inputs.existing_outputs] == ["b", "d"]
        assert (inputs.safe, same.progress, same.inputs) == (False, None, inputs)
        assert scene.all(workflow) == before

    def test_a_changed_input_runs_its_readers_and_what_is_below_again(self, scene: Scene) -> None:
        workflow = scene.completed(diamond())
        files = {one.name: one.id for one in scene.store.find(File, Query(workflow=workflow)).items}
        scene.store.change(File, files["b"], {"st_mtime": 1.0, "size": 4})
        before = scene.all(workflow)
        how = Initialize(fingerprints=[_seen(files["b"], 2.0)])

        tried = scene.store.reinitialize(workflow, how, dry_run=True)
        untouched = scene.all(workflow)
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
        workflow = scene.completed(diamond())
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
            ((1.0, 4, "abc"), (1.0, 4, "xyz"), True),
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

    @pytest.mark.parametrize("ephemeral", [False, True])
    def test_values_that_jobs_have_written_in_a_run_are_no_change(
        self, scene: Scene, ephemeral: bool
    ) -> None:
        data = PlannedUserData(name="x", data=1, has_data=True, is_ephemeral=ephemeral)
        inputs = [PlannedInput(kind=InputKind.USER_DATA, items=(0,), group=0)]
        plan = replace(chain(3), user_data=[data], inputs=inputs)
        first, second, third = plan.jobs
        jobs = [replace(first, output_user_data=[0]), replace(second, inputs=[0]), third]
        plan = replace(plan, jobs=jobs)
        workflow = scene.started(plan)
        id = scene.store.find(UserData, Query(workflow=workflow)).items[0].id
        scene.store.change(UserData, id, {"data": 2})
        for name in ("job0", "job1", "job2"):
            scene.end(workflow, name)

        after_the_run = scene.store.reinitialize(workflow, Initialize())
        again = scene.store.reinitialize(workflow, Initialize())
        scene.store.change(UserData, id, {"data": 3})
        by_hand = scene.store.reinitialize(workflow, Initialize()).changed

        assert (list(after_the_run.changed), list(again.changed)) == ([], [])
        # What people do to an ephemeral value lasts until the next run, which this would be.
        assert [(one.name, one.reason) for one in by_hand] == (
            [] if ephemeral else [("job1", "user data changed"), ("job2", "upstream")]
        )

    def test_failed_jobs_are_not_tried_again_only_because_somebody_reinitializes(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.end(workflow, "job0", JobStatus.FAILED)
        scene.end(workflow, "job1")

        done = scene.store.reinitialize(workflow, Initialize())

        assert list(done.changed) == []
        assert scene.statuses(workflow) == {"job0": "failed", "job1": "completed"}

    def test_changed_user_data_runs_its_readers_again(self, scene: Scene) -> None:
        workflow = scene.completed(
            _with_data(PlannedUserData(name="x", data={"a": 1, "b": 2}, has_data=True))
        )
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
        workflow = scene.completed(diamond())
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
        with pytest.raises(Invalid, match="run 9223372036854775807 is too large"):
            scene.store.set_run(workflow, 2**63 - 1)
        assert [scene.store.initialize(workflow, Initialize()).run_id for _ in range(2)] == [3, 4]

    def test_archived_workflows_refuse_what_would_run_them(self, scene: Scene) -> None:
        workflow = scene.completed(fan(1))
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
            with pytest.raises(
                WrongState, match=f"workflow {workflow} is archived .* torc workflows unarchive {workflow}$"
            ):
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

    # Sums and lists.

    def test_needs_of_ready_jobs_are_summed(self, scene: Scene) -> None:
        workflow = scene.started(
            shaped(need(cpus=2, runtime=90), need(cpus=3, gpus=1, nodes=2), need(memory=5))
        )
        scene.end(workflow, "job2")

        found = scene.store.ready_needs(workflow)

        assert (found.num_jobs, found.num_cpus, found.num_gpus) == (2, 5, 1)
        assert (found.max_num_nodes, found.max_runtime_s, found.memory_bytes) == (2, 90, 2 * 1024**2)

    def test_what_runners_have_given_away_is_summed_by_runner(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need(cpus=2, memory=7 * MIB), need(cpus=3, gpus=1), need(nodes=2)))
        node = scene.node(workflow, cpus=8, gpus=1)
        pair = scene.node(workflow, cpus=4, num_nodes=2)
        idle, gone = scene.node(workflow), scene.node(workflow)
        given = scene.claim(node), scene.claim(pair)
        scene.store.leave(gone.id, None)

        used = scene.store.used(workflow)

        assert [len(one) for one in given] == [2, 1]
        assert used[node.id] == Resources(cpus=5, memory=8 * MIB, gpus=1)
        assert used[pair.id] == Resources(cpus=8, memory=2 * pair.capacity.memory)
        assert used.get(idle.id, Resources()) == Resources()
        assert gone.id not in used

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


def _with_data(data: PlannedUserData) -> Plan:
    inputs = [PlannedInput(kind=InputKind.USER_DATA, items=(0,))]
    return Plan(
        workflow=PlannedWorkflow(name="w"), jobs=[job(0, inputs=[0])], user_data=[data], inputs=inputs
    )
