"""Workflows that leave a store as documents and come as such (`engine.md` §17)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from torc_core.engine.checks import SCHEDULER_FIELDS
from torc_core.engine.exporting import checksum
from torc_core.engine.retry import checked_rules
from torc_core.errors import Invalid, NotFound
from torc_core.model import (
    Action,
    Event,
    File,
    Initialize,
    Job,
    JobDependency,
    JobStatus,
    LocalScheduler,
    Node,
    PlannedAction,
    PlannedHandler,
    PlannedScheduler,
    PlannedUserData,
    Query,
    RoCrateEntity,
    SlurmScheduler,
    Spawn,
    SpawnJob,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.testing.plans import barrier, diamond, random_plan
from torc_core.testing.stores.scene import Scene, SceneContract, names

SLURM = {**SCHEDULER_FIELDS, "account": "proj", "nodes": 2, "walltime": "04:00:00", "auto_top_up": False}
TIMES = ("exported_at", "timestamp", "checksum")


def rich(scene: Scene) -> WorkflowId:
    """A workflow with something of every kind, in the middle of its second run."""
    plan = replace(
        diamond(),
        workflow=replace(
            diamond().workflow, description="d", project="p", metadata={"k": [1, None]}, env={"A": "b"},
            retry_on_node_loss=2, notify=[{"on": ["workflow_completed"], "command": "x"}], submission_directory="/here", report=True,
        ),
        user_data=[
            PlannedUserData(name="x", data=None, has_data=True), PlannedUserData(name="y", is_ephemeral=True),
            PlannedUserData(name="z", data={"n": 1}, has_data=True),
        ],
        handlers=[PlannedHandler(name="h", rules=checked_rules([{"exit_codes": [3], "max_retries": 2}]))],
        schedulers=[PlannedScheduler(name="s", fields=SLURM)],
        actions=[
            PlannedAction(trigger_type="on_jobs_ready", action_type="run_commands", config={"commands": ["ls"]}, jobs=(3,)),
            PlannedAction(trigger_type="on_workflow_start", action_type="schedule_nodes",
                          config={"scheduler": "s", "scheduler_type": "slurm", "num_allocations": 1}),
        ],
    )  # fmt: skip
    workflow = scene.created(plan).id
    store = scene.store
    scheduler = store.find(SlurmScheduler, Query(workflow=workflow)).items[0].id
    file = store.find(File, Query(workflow=workflow)).items[0].id
    store.add([
        LocalScheduler(workflow_id=workflow, name="l", memory="4g", num_cpus=3),
        RoCrateEntity(workflow_id=workflow, entity_id="a.txt", entity_type="File", file_id=file, metadata={"a": 1}),
        Event(workflow_id=workflow, category="mine", data={"job_id": scene.job(workflow, "b").id, "n": 1}),
    ])  # fmt: skip
    store.change(File, file, {"st_mtime": 12.5, "size": 3, "content_hash": "ab"})
    store.change(Job, scene.job(workflow, "b").id, {"priority": 5, "cancel_on_blocking_job_failure": False})
    store.change(
        Job,
        scene.job(workflow, "c").id,
        {"supports_termination": True, "scheduler_id": scheduler, "env": {"B": "c"}},
    )
    for second in (False, True):
        store.initialize(workflow, Initialize(force=True))
        node = scene.node(workflow, gpus=1)
        given = scene.claim(node)
        if second:
            store.spawn(given[0].job.id, Spawn(jobs=[SpawnJob(name="child", command="true")]))
        scene.finish(node, given[:1], JobStatus.FAILED if second else JobStatus.COMPLETED)
        scene.finish(node, given[1:])
    data = {one.name: one.id for one in store.find(UserData, Query(workflow=workflow)).items}
    store.change(UserData, data["y"], {"data": [7]})
    return workflow


def normal(document: Mapping[str, Any]) -> Any:
    """A document without ids, owner and times: ids are positions in the lists they belong to."""
    ids: dict[str, dict[int, int]] = {
        key: {one["id"]: at for at, one in enumerate(value)}
        for key, value in document.items()
        if isinstance(value, list) and value and isinstance(value[0], dict) and "id" in value[0]
    }
    lists = {
        "job_id": "jobs", "spawned_by": "jobs", "resource_requirements_id": "resource_requirements",
        "scheduler_id": "slurm_schedulers", "scheduler_config_id": "slurm_schedulers",
        "failure_handler_id": "failure_handlers", "compute_node_id": "compute_nodes", "file_id": "files",
        "scheduled_compute_node_id": "scheduled_compute_nodes", "depends_on_job_ids": "jobs", "job_ids": "jobs",
        "input_file_ids": "files", "output_file_ids": "files", "input_user_data_ids": "user_data",
        "output_user_data_ids": "user_data", "action_id": "workflow_actions",
    }  # fmt: skip

    def seen(value: Any, key: str = "", inside: str = "") -> Any:
        if isinstance(value, dict):
            if inside == "input_groups" and "kind" in value:
                items = ids["files" if value["kind"] == "file" else "user_data"]
                return [value["kind"], [items[one] for one in value["ids"]]]
            return {
                name: seen(one, name, key or inside)
                for name, one in value.items()
                if name not in (*TIMES, "id", "user", "workflow_id")
                and not (inside == "compute_nodes" and name in TIMES)
            }
        if isinstance(value, list):
            if key == "dependency_groups":
                return [[ids["jobs"][job] for job in group] for group in value]
            return [seen(one, key, inside) for one in value]
        if isinstance(value, int) and not isinstance(value, bool) and key in lists:
            return ids.get(lists[key], {}).get(value, value)
        return value

    return {key: seen(value, key, key) for key, value in document.items() if key not in TIMES}


def over_the_wire(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document as it is after it was written and read."""
    read: dict[str, Any] = json.loads(json.dumps(document))
    return read


class TransferContract(SceneContract):
    """Documents of workflows."""

    @pytest.mark.parametrize("compact", [False, True])
    def test_what_was_imported_is_exported_as_it_came(self, scene: Scene, compact: bool) -> None:
        workflow = rich(scene)

        first = over_the_wire(scene.store.export_workflow(workflow, compact=compact))
        copied = scene.store.import_workflow(first, "eve", keep_status=True)
        second = over_the_wire(scene.store.export_workflow(copied.id, compact=compact))

        assert normal(second) == normal(first)
        assert (copied.user, copied.id != workflow) == ("eve", True)

    def test_the_published_keys_are_there(self, scene: Scene) -> None:
        document = over_the_wire(scene.store.export_workflow(rich(scene), events=True))

        assert document["export_version"] == "1.0"
        assert {
            "exported_at", "workflow", "files", "user_data", "resource_requirements", "slurm_schedulers",
            "local_schedulers", "failure_handlers", "jobs", "workflow_actions", "results", "events",
        } <= document.keys()  # fmt: skip
        job = next(one for one in document["jobs"] if one["name"] == "d")
        assert (len(job["input_file_ids"]), len(job["output_file_ids"]), job["depends_on_job_ids"]) == (
            2,
            1,
            [],
        )
        assert json.loads(document["failure_handlers"][0]["rules"])[0]["exit_codes"] == [3]
        assert "results" not in scene.store.export_workflow(
            WorkflowId(document["workflow"]["id"]), results=False
        )

    def test_statuses_start_over_unless_they_are_kept_and_nothing_is_live(self, scene: Scene) -> None:
        workflow = rich(scene)
        node = scene.node(workflow)
        scene.claim(node)
        before = scene.statuses(workflow)
        document = over_the_wire(scene.store.export_workflow(workflow))

        fresh = scene.store.import_workflow(document, "eve").id
        kept = scene.store.import_workflow(document, "eve", keep_status=True).id

        assert set(scene.statuses(fresh).values()) == {"uninitialized"}
        live = ("pending", "running")
        assert scene.statuses(kept) == {
            name: "uninitialized" if status in live else status for name, status in before.items()
        }
        assert not [one for one in scene.store.find(Node, Query(workflow=kept)).items if one.is_active]
        assert len(scene.results(fresh)) == len(scene.results(workflow))
        assert not [one for one in scene.results(fresh) if one.current]

    def test_an_imported_workflow_runs_from_a_new_run_on(self, scene: Scene) -> None:
        document = over_the_wire(scene.store.export_workflow(rich(scene)))
        run = document["workflow"]["run_id"]

        workflow = scene.store.import_workflow(document, "eve").id
        progress = scene.store.initialize(workflow, Initialize(force=True))

        assert progress.run_id == run + 1
        assert names(scene.claim(scene.node(workflow))) == ["a"]
        for name in "abcd":
            scene.end(workflow, name)
        assert scene.statuses(workflow)["d"] == "completed"

    def test_a_kept_workflow_goes_on_where_it_was(self, scene: Scene) -> None:
        workflow = scene.started(barrier(3, 2))
        scene.end(workflow, "job0")
        scene.end(workflow, "job1")
        document = over_the_wire(scene.store.export_workflow(workflow, compact=True))

        copied = scene.store.import_workflow(document, "eve", keep_status=True).id
        scene.end(copied, "job2")

        assert len(document["dependency_groups"]) == 1
        assert scene.counts(copied) == {"completed": 3, "ready": 2}
        assert scene.store.find(JobDependency, Query(workflow=copied)).total == 6
        assert len(names(scene.claim(scene.node(copied)))) == 2

    def test_events_come_along_with_their_times_and_the_new_ids(self, scene: Scene) -> None:
        workflow = rich(scene)
        document = over_the_wire(scene.store.export_workflow(workflow, events=True))
        scene.move(1000)

        copied = scene.store.import_workflow(document, "eve").id

        mine = scene.events(copied, "mine")[0]
        assert (mine.data["job_id"], mine.data["n"]) == (scene.job(copied, "b").id, 1)
        assert mine.timestamp == scene.events(workflow, "mine")[0].timestamp
        categories = [one.category for one in scene.events(copied)]
        assert categories[: len(scene.events(workflow))] == [one.category for one in scene.events(workflow)]
        assert categories[-2:] == ["user_action", "workflow_created"]

    def test_first_values_of_user_data_come_back_at_the_next_run(self, scene: Scene) -> None:
        document = over_the_wire(scene.store.export_workflow(rich(scene)))

        workflow = scene.store.import_workflow(document, "eve").id
        before = {
            one.name: (one.data, one.has_data)
            for one in scene.store.find(UserData, Query(workflow=workflow)).items
            if len(one.name) == 1
        }
        scene.store.initialize(workflow, Initialize(force=True))

        after = {
            one.name: (one.data, one.has_data)
            for one in scene.store.find(UserData, Query(workflow=workflow)).items
            if len(one.name) == 1
        }
        assert before == {"x": (None, True), "y": ([7], True), "z": ({"n": 1}, True)}
        assert after == {**before, "y": (None, False)}

    def test_a_document_of_a_published_torc_is_read(self, scene: Scene) -> None:
        document: dict[str, Any] = {
            "export_version": "1.0", "workflow": {"name": "old", "user": "x", "id": 9},
            "files": [{"id": 4, "workflow_id": 9, "name": "f", "path": "f"}],
            "resource_requirements": [{"id": 1, "name": "default", "memory": "1m", "runtime": "PT1M"}],
            "jobs": [
                {"id": 5, "name": "w", "command": "true", "output_file_ids": [4], "status": "completed"},
                {"id": 6, "name": "r", "command": "true", "input_file_ids": [4], "depends_on_job_ids": None},
            ],
            "workflow_actions": [{"id": 1, "trigger_type": "on_workflow_start", "action_type": "run_commands",
                                  "action_config": {"commands": ["ls"]}}],
        }  # fmt: skip

        workflow = scene.store.import_workflow(document, "eve").id
        scene.store.initialize(workflow, Initialize(force=True))

        assert scene.statuses(workflow) == {"w": "ready", "r": "blocked"}
        assert scene.store.find(Action, Query(workflow=workflow)).items[0].config == {"commands": ["ls"]}

    @pytest.mark.parametrize(
        ("spoil", "sentence"),
        [
            (lambda d: d.update(export_version="2.0"), "version"),
            (lambda d: d.update(workflow=7), "workflow"),
            (lambda d: d.update(jobs={}), "jobs"),
            (lambda d: d["jobs"][0].pop("name"), r"jobs\[0\].name is missing"),
            (lambda d: d["jobs"][0].update(command=7), r"jobs\[0\].command"),
            (lambda d: d["jobs"][1].update(id=d["jobs"][0]["id"]), "comes twice"),
            (lambda d: d["jobs"][1].update(input_file_ids=[99]), r"jobs\[1\].input_file_ids names 99"),
            (lambda d: d["jobs"][1].update(priority=-1), "priority"),
            (lambda d: d["jobs"][0].update(depends_on_job_ids=[d["jobs"][3]["id"]]), "wait for each other"),
            (lambda d: d["jobs"][0].update(name="a\0b"), "NUL"),
            (lambda d: d["files"][0].update(path=""), r"files\[0\]"),
            (lambda d: d["workflow"].update(env={"1": "x"}), "environment"),
            (lambda d: d["workflow"].update(run_id=2**63 - 1), r"workflow.run_id is 9223372036854775807"),
            (lambda d: d["workflow"].update(run_id=-1), r"workflow.run_id is -1"),
            (lambda d: d["workflow"].update(initialized_run=2**63 - 1), r"workflow.initialized_run is"),
            (lambda d: d["attempts"][0].update(attempt_id=2**63 - 1), r"attempts\[0\].attempt_id is"),
            (lambda d: d["workflow_actions"][0].update(trigger_count=-1), r"trigger_count is -1"),
            (lambda d: d["workflow"].update(retry_on_node_loss="x"), "retry_on_node_loss"),
            (lambda d: d["slurm_schedulers"][0].update(account="a b"), "account"),
            (lambda d: d["results"].append(dict(d["results"][0])), "has a result already"),
            (lambda d: d["results"][0].update(completion_time="noon"), "instant"),
        ],
    )
    def test_a_spoiled_document_is_refused_and_nothing_comes_in(
        self, scene: Scene, spoil: Callable[[dict[str, Any]], Any], sentence: str
    ) -> None:
        document = over_the_wire(scene.store.export_workflow(rich(scene)))
        spoil(document)
        document["checksum"] = checksum(document)

        with pytest.raises(Invalid, match=sentence):
            scene.store.import_workflow(document, "eve", keep_status=True)

        assert scene.store.find(Workflow, Query()).total == 1

    def test_a_document_that_was_cut_is_refused(self, scene: Scene) -> None:
        document = over_the_wire(scene.store.export_workflow(rich(scene)))
        document["jobs"].pop()

        with pytest.raises(Invalid, match="checksum"):
            scene.store.import_workflow(document, "eve")
        with pytest.raises(NotFound):
            scene.store.export_workflow(WorkflowId(99))

    @pytest.mark.parametrize("seed", range(6))
    def test_any_workflow_survives_the_journey(self, scene: Scene, seed: int) -> None:
        workflow = scene.created(random_plan(seed)).id
        scene.store.initialize(workflow, Initialize())
        node = scene.node(workflow)
        given = list(scene.claim(node, limit=3))
        scene.finish(node, given, JobStatus.FAILED if seed % 2 else JobStatus.COMPLETED)

        first = over_the_wire(scene.store.export_workflow(workflow, compact=bool(seed % 3)))
        copied = scene.store.import_workflow(first, "eve", keep_status=True).id
        second = over_the_wire(scene.store.export_workflow(copied, compact=bool(seed % 3)))

        assert normal(second) == normal(first)
        before, after = scene.jobs(workflow), scene.jobs(copied)
        assert [(one.status, one.num_blockers) for one in after] == [
            (one.status, one.num_blockers) for one in before
        ]
        # Without groups, all that a job was told to wait for is one list.
        assert [one.unmet > 0 for one in after] == [one.unmet > 0 for one in before]
