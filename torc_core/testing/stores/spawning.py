"""Jobs that a running job adds (`engine.md` §11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Invalid, NotFound
from torc_core.model import (
    Assignment,
    Initialize,
    Job,
    JobId,
    JobStatus,
    Node,
    Query,
    Spawn,
    Spawned,
    SpawnJob,
    UserData,
    WorkflowId,
)
from torc_core.testing.plans import fan, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, names


class SpawnContract(SceneContract):
    """Workflows that grow while they run."""

    def test_added_jobs_wait_for_the_one_that_added_them(self, scene: Scene) -> None:
        workflow, node, caller = running(scene)

        spawned = scene.store.spawn(caller.job.id, call("a", "b"))

        first, second = (scene.job(workflow, name) for name in "ab")
        assert spawned == Spawned(iteration=1, jobs=[first.id, second.id])
        assert (first.status, first.unmet, first.num_blockers, first.run_id) == (JobStatus.BLOCKED, 1, 1, 1)
        assert (first.origin, first.lineage, first.spawned_by) == ("spawn", "job0", caller.job.id)
        assert first.env == {"TORC_ORCHESTRATOR_LINEAGE_ID": "job0"}
        scene.finish(node, [caller])
        assert names(scene.claim(node)) == ["a", "b"]

    def test_the_environment_of_the_workflow_is_theirs_too(self, scene: Scene) -> None:
        plan = fan(1)
        plan = replace(plan, workflow=replace(plan.workflow, env={"A": "1"}))
        workflow, _, caller = running(scene, plan)

        scene.store.spawn(
            caller.job.id, Spawn(jobs=[SpawnJob(name="a", command="true", label="x")], lineage="l")
        )

        job = scene.job(workflow, "a")
        assert (job.env, job.label) == ({"A": "1", "TORC_ORCHESTRATOR_LINEAGE_ID": "l"}, "x")

    def test_an_added_job_is_changed_as_any_other(self, scene: Scene) -> None:
        workflow, _, caller = running(scene)
        (id,) = scene.store.spawn(caller.job.id, call("a")).jobs

        scene.store.change(Job, id, {"priority": 5, "label": "x"})
        scene.store.change(Job, id, {"status": JobStatus.DISABLED})
        scene.store.change(Job, id, {"status": JobStatus.UNINITIALIZED})
        scene.store.change(Job, id, {"env": {"A": "1", "TORC_ORCHESTRATOR_LINEAGE_ID": "job0"}})

        job = scene.job(workflow, "a")
        assert (job.priority, job.label) == (5, "x")
        assert job.env == {"A": "1", "TORC_ORCHESTRATOR_LINEAGE_ID": "job0"}

    @pytest.mark.parametrize("env", [{"TORC_ORCHESTRATOR_LINEAGE_ID": "other"}, {"TORC_JOB_ID": "1"}])
    def test_the_lineage_of_an_added_job_stays(self, scene: Scene, env: dict[str, str]) -> None:
        _, _, caller = running(scene)
        (id,) = scene.store.spawn(caller.job.id, call("a")).jobs
        scene.store.change(Job, id, {"status": JobStatus.DISABLED})
        scene.store.change(Job, id, {"status": JobStatus.UNINITIALIZED})

        with pytest.raises(Invalid, match="is reserved"):
            scene.store.change(Job, id, {"env": env})

    def test_added_jobs_wait_for_each_other_and_for_existing_ones(self, scene: Scene) -> None:
        workflow, node, caller = running(scene, fan(2))
        added = [
            SpawnJob(name="a", command="true", depends_on=["b", "job1"]),
            SpawnJob(name="b", command="true"),
        ]

        scene.store.spawn(caller.job.id, Spawn(jobs=added))
        scene.finish(node, [caller])
        ready = names(scene.claim(node))
        scene.end(workflow, "b")

        assert (ready, scene.job(workflow, "a").num_blockers) == (["job1", "b"], 3)
        assert scene.job(workflow, "a").status is JobStatus.BLOCKED
        scene.end(workflow, "job1")
        assert scene.job(workflow, "a").status is JobStatus.READY

    def test_a_failed_caller_takes_its_jobs_along(self, scene: Scene) -> None:
        workflow, node, caller = running(scene)
        added = [SpawnJob(name="a", command="true"),
                 SpawnJob(name="b", command="true", cancel_on_blocking_job_failure=False)]  # fmt: skip
        scene.store.spawn(caller.job.id, Spawn(jobs=added))

        scene.finish(node, [caller], JobStatus.FAILED)

        assert scene.statuses(workflow) == {"job0": "failed", "a": "canceled", "b": "ready"}

    def test_what_waits_for_a_failed_job_is_canceled_at_once(self, scene: Scene) -> None:
        workflow, node, caller = running(scene, fan(2))
        scene.end(workflow, "job1", JobStatus.FAILED)
        added = [SpawnJob(name="a", command="true", depends_on=["job1"]),
                 SpawnJob(name="b", command="true", depends_on=["a"]),
                 SpawnJob(name="c", command="true", depends_on=["job1"], cancel_on_blocking_job_failure=False)]  # fmt: skip

        scene.store.spawn(caller.job.id, Spawn(jobs=added))
        scene.finish(node, [caller])

        failed = scene.job(workflow, "job1").id
        assert scene.statuses(workflow) == {
            "job0": "completed", "job1": "failed", "a": "canceled", "b": "canceled", "c": "ready",
        }  # fmt: skip
        assert scene.job(workflow, "a").reason == f"blocker:{failed}"

    def test_generations_are_recorded(self, scene: Scene) -> None:
        workflow, node, caller = running(scene)
        scene.store.spawn(caller.job.id, Spawn(jobs=[SpawnJob(name="a", command="true")], state={"x": 1}))
        scene.finish(node, [caller])
        (second,) = scene.claim(node)

        spawned = scene.store.spawn(second.job.id, Spawn(jobs=[SpawnJob(name="b", command="true")]))
        for state in (1, 2):
            ended = scene.store.spawn(second.job.id, Spawn(state=state))

        assert (spawned.iteration, ended.iteration, list(ended.jobs)) == (2, 2, [])
        assert records(scene, workflow) == {
            "__torc_lineage__job0__g000001": {"generation": 1, "spawn_count": 1, "state": {"x": 1}},
            "__torc_lineage__job0__g000002": {"generation": 2, "spawn_count": 2, "state": None},
            "__torc_lineage__job0__final": {"generation": 2, "spawn_count": 2, "state": 2, "final": True},
        }
        assert [one.data["iteration"] for one in scene.events(workflow, "jobs_spawned")] == [1, 2]

    def test_records_outlive_a_new_run(self, scene: Scene) -> None:
        workflow, node, caller = running(scene)
        scene.store.spawn(caller.job.id, call("a"))
        scene.finish(node, [caller])

        scene.store.initialize(workflow, Initialize(force=True))

        assert list(records(scene, workflow)) == ["__torc_lineage__job0__g000001"]

    def test_the_same_call_again_writes_nothing(self, scene: Scene) -> None:
        workflow, _, caller = running(scene)

        answers = [scene.store.spawn(caller.job.id, call("a", "b")) for _ in range(3)]
        turned = scene.store.spawn(caller.job.id, call("b", "a"))

        assert answers == [answers[0]] * 3
        assert list(turned.jobs) == list(reversed(answers[0].jobs))
        assert (len(scene.jobs(workflow)), len(records(scene, workflow))) == (3, 1)

    @pytest.mark.parametrize(
        ("second", "words"),
        [(("a", "c"), "'c' was not"), (("job1",), "'job1' is taken"), (("job0",), "'job0' is taken")],
    )
    def test_names_are_new_or_all_of_one_call(
        self, scene: Scene, second: tuple[str, ...], words: str
    ) -> None:
        workflow, _, caller = running(scene, fan(2))
        scene.store.spawn(caller.job.id, call("a", "b"))

        with pytest.raises(Invalid, match=words):
            scene.store.spawn(caller.job.id, call(*second))

        assert len(scene.jobs(workflow)) == 4

    def test_a_lineage_has_a_greatest_generation(self, scene: Scene) -> None:
        plan = fan(1)
        plan = replace(plan, workflow=replace(plan.workflow, dynamic_jobs={"max_iterations": 2}))
        workflow, _, caller = running(scene, plan)
        for name in "ab":
            scene.store.spawn(caller.job.id, call(name))

        with pytest.raises(Invalid) as refused:
            scene.store.spawn(caller.job.id, call("c"))

        assert str(refused.value) == (
            "Per-lineage iteration cap reached for lineage 'job0': attempted iteration 3 exceeds "
            "dynamic_jobs.max_iterations=2 (current spawn_count=2)"
        )
        assert scene.store.spawn(caller.job.id, replace(call("c"), lineage="other")).iteration == 1
        assert len(scene.jobs(workflow)) == 4

    def test_only_a_running_job_adds_jobs(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [0]))

        for name, status in (("job0", "ready"), ("job1", "blocked")):
            with pytest.raises(Invalid, match=status):
                scene.store.spawn(scene.job(workflow, name).id, call("a"))
        with pytest.raises(NotFound):
            scene.store.spawn(JobId(99), call("a"))

    @pytest.mark.parametrize(
        ("added", "words"),
        [
            ([{"name": ""}], r"jobs\[0\] has no name"),
            ([{"command": ""}], "no command"),
            ([{"priority": -1}], "priority -1"),
            ([{}, {}], r"jobs\[1\] has the name 'a'"),
            ([{"depends_on": ["a"]}], "wait for itself"),
            ([{"depends_on": ["b"]}, {"name": "b", "depends_on": ["a"]}], "wait for each other"),
            ([{"depends_on": ["jobb0"]}], "did you mean 'job0'"),
            ([{"resource_requirements": "big"}], "no known resource requirement: 'big'"),
            ([{"command": "a\0b"}], "NUL"),
        ],
    )
    def test_jobs_that_can_never_run_are_refused(
        self, scene: Scene, added: list[dict[str, Any]], words: str
    ) -> None:
        workflow, _, caller = running(scene)
        asked = [SpawnJob(**{"name": "a", "command": "true", **fields}) for fields in added]

        with pytest.raises(Invalid, match=words):
            scene.store.spawn(caller.job.id, Spawn(jobs=asked))

        assert (len(scene.jobs(workflow)), records(scene, workflow)) == (1, {})


def running(scene: Scene, plan: Any = None) -> tuple[WorkflowId, Node, Assignment]:
    """A workflow, a node, and its first job, running."""
    workflow = scene.started(plan or fan(1))
    node = scene.node(workflow)
    return workflow, node, scene.claim(node, limit=1)[0]


def call(*added: str) -> Spawn:
    """A call that adds jobs of these names."""
    return Spawn(jobs=[SpawnJob(name=name, command="true") for name in added])


def records(scene: Scene, workflow: WorkflowId) -> dict[str, Any]:
    """All user data, by name."""
    found = scene.store.find(UserData, Query(workflow=workflow)).items
    assert all(one.is_ephemeral for one in found)
    return {one.name: one.data for one in found}
