"""Creating: all of a plan, ids in its order, and jobs that are added later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Invalid
from torc_core.model import (
    Action,
    FailureHandler,
    File,
    Initialize,
    Job,
    JobDependency,
    JobFile,
    NewJob,
    Plan,
    PlannedAction,
    PlannedFile,
    PlannedHandler,
    PlannedRequirement,
    PlannedScheduler,
    PlannedUserData,
    PlannedWorkflow,
    Query,
    Requirement,
    SlurmScheduler,
    UserData,
    Workflow,
    user_data_mark,
)
from torc_core.testing.plans import barrier, chain, diamond, fan, job
from torc_core.testing.stores.scene import Scene, SceneContract, ids


class CreationContract(SceneContract):
    """How workflows and jobs come into being."""

    def test_a_created_workflow_has_the_settings_of_its_plan(self, scene: Scene) -> None:
        settings = PlannedWorkflow(
            name="w", project="p", description="d", env={"A": "b"}, metadata={"k": [1, None]}, retry_on_node_loss=2,
            source_path="/s.yaml", source_digest="00", notify=[{"on": ["workflow_completed"], "command": "x"}], execution_config={"mode": "direct"},
        )  # fmt: skip

        workflow = scene.created(Plan(workflow=settings))

        assert scene.store.get(Workflow, workflow.id) == workflow
        assert (workflow.user, workflow.run_id, workflow.is_canceled) == ("ann", 0, False)
        assert {name: getattr(workflow, name) for name in ("name", "project", "env", "metadata", "notify")} == {
            "name": "w", "project": "p", "env": {"A": "b"}, "metadata": {"k": [1, None]}, "notify": [{"on": ["workflow_completed"], "command": "x"}],
        }  # fmt: skip
        assert (workflow.retry_on_node_loss, workflow.source_path, workflow.source_digest) == (
            2,
            "/s.yaml",
            "00",
        )

    def test_a_command_that_refers_to_user_data_gets_the_id_of_the_record(self, scene: Scene) -> None:
        scene.created(replace(fan(1), user_data=[PlannedUserData(name="before")]))
        writer = replace(
            job(0),
            command=f"update {user_data_mark(1)} {user_data_mark(0)}",
            invocation_script=f"log {user_data_mark(1)}",
        )
        plan = Plan(
            workflow=PlannedWorkflow(name="w"), jobs=[writer],
            user_data=[PlannedUserData(name="a"), PlannedUserData(name="b")],
        )  # fmt: skip

        workflow = scene.created(plan).id

        first, second = (one.id for one in scene.store.find(UserData, Query(workflow=workflow)).items)
        (created,) = scene.store.find(Job, Query(workflow=workflow)).items
        assert (created.command, created.invocation_script) == (f"update {second} {first}", f"log {second}")

    def test_a_created_workflow_has_all_records_of_its_plan(self, scene: Scene) -> None:
        plan = replace(
            diamond(),
            user_data=[PlannedUserData(name="x", data=None, has_data=True), PlannedUserData(name="y")],
            handlers=[PlannedHandler(name="h", rules=[{"exit_codes": [1], "max_retries": 3}])],
            schedulers=[PlannedScheduler(name="s", fields={"account": "a", "walltime": "01:00:00"})],
            actions=[
                PlannedAction(
                    trigger_type="on_jobs_complete",
                    action_type="run_commands",
                    config={"commands": ["true"]},
                    jobs=(0, 3),
                )
            ],
        )

        workflow = scene.created(plan).id

        query = Query(workflow=workflow)
        assert [file.path for file in scene.store.find(File, query).items] == [
            "a.txt",
            "b.txt",
            "c.txt",
            "d.txt",
        ]
        data = scene.store.find(UserData, query).items
        assert [(one.name, one.data, one.has_data) for one in data] == [("x", None, True), ("y", None, False)]
        assert [need.name for need in scene.store.find(Requirement, query).items] == ["default"]
        handler = scene.store.find(FailureHandler, query).items[0]
        assert list(handler.rules) == [{"exit_codes": [1], "max_retries": 3}]
        scheduler = scene.store.find(SlurmScheduler, query).items[0]
        assert dict(scheduler.fields) == {"account": "a", "walltime": "01:00:00"}
        jobs = scene.jobs(workflow)
        assert list(scene.store.find(Action, query).items[0].jobs) == [jobs[0].id, jobs[3].id]

    def test_ids_of_jobs_follow_the_order_of_the_plan(self, scene: Scene) -> None:
        jobs = scene.jobs(scene.created(fan(30)).id)

        assert [job.name for job in jobs] == [f"job{position}" for position in range(30)]
        assert ids(jobs) == list(range(jobs[0].id, jobs[0].id + 30))

    def test_ids_of_each_kind_follow_the_order_of_the_plan(self, scene: Scene) -> None:
        plan = Plan(
            workflow=PlannedWorkflow(name="w"), files=[PlannedFile(name=name, path=name) for name in "cab"],
            user_data=[PlannedUserData(name=name) for name in "cab"],
            requirements=[PlannedRequirement(name=name) for name in "cab"],
            handlers=[PlannedHandler(name=name, rules=[{"exit_codes": [1], "max_retries": 3}]) for name in "cab"],
            schedulers=[PlannedScheduler(name=name, fields={"account": "a"}) for name in "cab"],
        )  # fmt: skip

        workflow = scene.created(plan).id

        kinds: tuple[type[Any], ...] = (File, UserData, Requirement, FailureHandler, SlurmScheduler)
        for kind in kinds:
            made = scene.store.find(kind, Query(workflow=workflow)).items
            assert [(one.name, one.id - made[0].id) for one in made] == [("c", 0), ("a", 1), ("b", 2)]

    def test_a_created_job_is_uninitialized_in_run_0(self, scene: Scene) -> None:
        workflow = scene.created(chain(2)).id

        first, second = scene.jobs(workflow)
        assert scene.statuses(workflow) == {"job0": "uninitialized", "job1": "uninitialized"}
        assert (first.run_id, first.attempt_id, first.unmet, first.num_blockers) == (0, 1, 0, 0)
        assert (second.unmet, second.num_blockers) == (1, 1)

    def test_every_field_of_a_planned_job_is_kept(self, scene: Scene) -> None:
        one = job(
            0, invocation_script="#!/bin/sh", env={"X": "1"}, priority=3, cancel_on_blocking_job_failure=False,
            supports_termination=True, label="gpu",
        )  # fmt: skip

        workflow = scene.created(Plan(workflow=PlannedWorkflow(name="w"), jobs=[one])).id

        found = scene.jobs(workflow)[0]
        assert (found.invocation_script, found.env, found.priority) == ("#!/bin/sh", {"X": "1"}, 3)
        assert (found.cancel_on_blocking_job_failure, found.supports_termination, found.label) == (
            False,
            True,
            "gpu",
        )

    def test_two_workflows_know_nothing_of_each_other(self, scene: Scene) -> None:
        one, other = scene.started(chain(2)), scene.started(fan(3))

        scene.end(one, "job0")

        assert scene.statuses(one) == {"job0": "completed", "job1": "ready"}
        assert set(scene.statuses(other).values()) == {"ready"}

    def test_an_empty_workflow_is_complete_once_initialised(self, scene: Scene) -> None:
        empty = Plan(workflow=PlannedWorkflow(name="empty"))
        workflow = scene.created(empty).id
        before = scene.store.totals([workflow])[0].complete

        scene.store.initialize(workflow, Initialize())

        assert not before
        assert scene.store.totals([workflow])[0].complete

    def test_a_barrier_is_listed_page_by_page(self, scene: Scene) -> None:
        workflow = scene.created(barrier(40, 50)).id

        first = scene.store.find(JobDependency, Query(workflow=workflow, limit=3))
        last = scene.store.find(JobDependency, Query(workflow=workflow, offset=1_999, limit=3))

        jobs = ids(scene.jobs(workflow))
        assert first.total == last.total == 2_000
        assert [(pair.job_id, pair.depends_on_job_id) for pair in first.items] == [
            (jobs[40], jobs[0]), (jobs[40], jobs[1]), (jobs[40], jobs[2])
        ]  # fmt: skip
        assert [(pair.job_id, pair.depends_on_job_id) for pair in last.items] == [(jobs[89], jobs[39])]

    def test_added_jobs_wait_for_those_they_name(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        first, second = scene.jobs(workflow)
        scene.end(workflow, "job0")

        new = NewJob(workflow_id=workflow, name="late", command="true", depends_on=[first.id, second.id])
        added = scene.store.add_jobs([new])[0]
        scene.store.initialize(workflow, Initialize(only_uninitialized=True))

        assert (added.status.label, added.unmet, added.num_blockers) == ("uninitialized", 1, 2)
        assert scene.statuses(workflow) == {"job0": "completed", "job1": "ready", "late": "blocked"}

    def test_added_jobs_wait_for_the_writers_of_what_they_read_from_the_next_initialisation_on(
        self, scene: Scene
    ) -> None:
        workflow = scene.created(diamond()).id
        last = scene.store.find(File, Query(workflow=workflow, where={"name": "d"})).items[0]

        scene.store.add_jobs([NewJob(workflow_id=workflow, name="e", command="true", input_files=[last.id])])
        scene.store.initialize(workflow, Initialize(only_uninitialized=True, force=True))

        pair = scene.store.find(JobFile, Query(workflow=workflow, where={"file_id": last.id})).items[0]
        assert (pair.producer_job_name, pair.consumer_job_name) == ("d", "e")
        assert (scene.job(workflow, "e").status.label, scene.job(workflow, "e").num_blockers) == (
            "blocked",
            1,
        )

    def test_a_job_without_a_requirement_gets_the_default_one(self, scene: Scene) -> None:
        workflow = scene.created(Plan(workflow=PlannedWorkflow(name="w"), requirements=())).id

        new = [NewJob(workflow_id=workflow, name=name, command="true") for name in ("a", "b")]
        added = scene.store.add_jobs(new)

        need = scene.store.get(Requirement, added[0].requirement_id)
        assert added[0].requirement_id == added[1].requirement_id
        assert (need.name, need.num_cpus, need.memory_bytes, need.runtime_s) == ("default", 1, 1024**2, 60)

    def test_jobs_are_not_added_while_others_run(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.claim(scene.node(workflow))

        with pytest.raises(Invalid, match="1 of its jobs"):
            scene.store.add_jobs([NewJob(workflow_id=workflow, name="late", command="true")])

    def test_jobs_that_refer_to_nothing_are_refused_and_none_is_added(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        good = NewJob(workflow_id=workflow, name="good", command="true")

        with pytest.raises(Invalid, match="no job 999"):
            scene.store.add_jobs([good, replace(good, depends_on=[999])])  # type: ignore[list-item]

        assert len(scene.jobs(workflow)) == 1

    def test_jobs_are_added_to_one_workflow_at_a_time(self, scene: Scene) -> None:
        new = [NewJob(workflow_id=scene.created(fan(0)).id, name="a", command="true") for _ in range(2)]

        with pytest.raises(Invalid, match="one workflow"):
            scene.store.add_jobs(new)

    def test_an_added_job_with_a_taken_name_is_told(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id

        added = scene.store.add_jobs([NewJob(workflow_id=workflow, name="job0", command="true")])[0]

        told = scene.events(workflow, "duplicate_name")[0].data
        assert (told["kind"], told["name"], told["ids"]) == ("job", "job0", [added.id - 1, added.id])

    def test_a_circle_through_files_is_refused_with_its_names(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        a, d = (
            scene.store.find(File, Query(workflow=workflow, where={"name": name})).items[0].id
            for name in "ad"
        )
        new = NewJob(workflow_id=workflow, name="back", command="true", input_files=[d], output_files=[a])
        scene.store.add_jobs([new])

        with pytest.raises(Invalid, match=r"back -> .*d -> back|d -> back -> .*d"):
            scene.store.initialize(workflow, Initialize(force=True))

        assert set(scene.statuses(workflow).values()) == {"uninitialized"}
        assert scene.store.get(Workflow, workflow).run_id == 0

    def test_a_job_that_reads_what_it_writes_is_refused(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        d = scene.store.find(File, Query(workflow=workflow, where={"name": "d"})).items[0].id
        new = NewJob(workflow_id=workflow, name="self", command="true", input_files=[d], output_files=[d])
        scene.store.add_jobs([new])

        with pytest.raises(Invalid, match="self -> self"):
            scene.store.initialize(workflow, Initialize(force=True))
