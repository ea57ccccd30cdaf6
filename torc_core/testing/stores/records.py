"""Records of every kind: what they have to be, how they clash, how a field is cleared (`wire.md` §3, T8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from torc_core.errors import Conflict, Forbidden, Invalid, NotFound, TorcError
from torc_core.model import (
    CLEAR,
    AccessGroup,
    Allocation,
    AuditEntry,
    Event,
    File,
    GroupId,
    GroupLink,
    Initialize,
    Job,
    JobStatus,
    JobUsage,
    Json,
    LocalScheduler,
    Membership,
    NewJob,
    Plan,
    PlannedWorkflow,
    Query,
    Requirement,
    Result,
    RoCrateEntity,
    SlurmScheduler,
    Token,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.testing.plans import chain, diamond, fan, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, names

SLURM: Mapping[str, Any] = {"account": "proj", "nodes": 2, "walltime": "04:00:00"}


def result(job: Job, **more: Any) -> Result:
    """A result written by hand."""
    given: dict[str, Any] = {
        "id": 0, "workflow_id": job.workflow_id, "job_id": job.id, "job_name": "", "run_id": 0, "attempt_id": 1,
        "node_id": None, "status": JobStatus.COMPLETED, "return_code": 0, "reason": None, "exec_minutes": 1.5,
        "completed_at": 5,
    }  # fmt: skip
    return Result(**given | more)


class RecordContract(SceneContract):
    """Every kind of record that callers add."""

    def one(self, scene: Scene, kind: type[Any], workflow: WorkflowId, id: int) -> Any:
        """A record as `get` and `find` agree on it."""
        got = scene.store.get(kind, id)
        found = scene.store.find(kind, Query(workflow=workflow, where={"id": id})).items
        assert list(found) == [got]
        return got

    def test_a_slurm_scheduler_has_every_field_and_changes_field_by_field(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        added = scene.store.add(
            [SlurmScheduler(workflow_id=workflow, name="big", fields={**SLURM, "qos": "high"})]
        )[0]
        scene.store.change(SlurmScheduler, added.id, {"fields": {"qos": CLEAR, "nodes": 3, "account": None}})

        assert (added.fields["auto_top_up"], added.fields["keep_queued"], added.fields["serialize_allocations"]) == (
            True, False, False,
        )  # fmt: skip
        got = self.one(scene, SlurmScheduler, workflow, added.id)
        assert (got.fields["qos"], got.fields["nodes"], got.fields["account"]) == (None, 3, "proj")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("account", "a b"), ("account", "-x"), ("account", ""), ("partition", "p\n#SBATCH"), ("mem", "4 GB"),
            ("gres", "gpu;rm"), ("nodes", 0), ("walltime", "soon"), ("ntasks_per_node", 0), ("extra", "-J x"), ("extra", "exclusive"),
            ("extra", "--nodes=4"), ("extra", "--x='"), ("extra", "--a\n--b"), ("colour", "red"), ("auto_top_up", 1),
        ],
    )  # fmt: skip
    def test_what_cannot_be_passed_to_slurm_is_refused(self, scene: Scene, field: str, value: Any) -> None:
        workflow = scene.created(fan(0)).id

        with pytest.raises(Invalid) as caught:
            scene.store.add([SlurmScheduler(workflow_id=workflow, name="s", fields={**SLURM, field: value})])

        assert caught.value.details["field"] == field
        assert scene.store.find(SlurmScheduler, Query(workflow=workflow)).total == 0

    def test_a_removed_slurm_scheduler_unbinds_its_jobs(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        scheduler = scene.store.add([SlurmScheduler(workflow_id=workflow, name="s", fields=SLURM)])[0]
        scene.store.add_jobs(
            [NewJob(workflow_id=workflow, name="a", command="true", scheduler_id=scheduler.id)]
        )
        scene.store.initialize(workflow, Initialize())

        assert scene.store.remove(SlurmScheduler, [scheduler.id]) == 1

        assert scene.job(workflow, "a").scheduler_id is None
        assert names(scene.claim(scene.node(workflow))) == ["a"]

    def test_a_slurm_scheduler_with_an_allocation_under_way_stays(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        scheduler = scene.store.add([SlurmScheduler(workflow_id=workflow, name="s", fields=SLURM)])[0].id
        (allocation,) = scene.store.intend(workflow, "r", scheduler, 1, 1)

        with pytest.raises(Conflict, match="allocation"):
            scene.store.remove(SlurmScheduler, [scheduler])
        scene.store.withdrawn(allocation.id, "not needed")

        assert scene.store.remove(SlurmScheduler, [scheduler]) == 1
        assert scene.store.get(Allocation, allocation.id).scheduler_config_id is None

    def test_a_local_scheduler_is_kept(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        added = scene.store.add([LocalScheduler(workflow_id=workflow, memory="4g", num_cpus=2)])[0]
        scene.store.change(LocalScheduler, added.id, {"name": "here", "memory": ""})

        assert self.one(scene, LocalScheduler, workflow, added.id) == LocalScheduler(
            id=added.id, workflow_id=workflow, name="here", memory=None, num_cpus=2
        )
        with pytest.raises(Invalid, match="lots"):
            scene.store.add([LocalScheduler(workflow_id=workflow, memory="lots")])
        assert scene.store.remove(LocalScheduler, [added.id]) == 1

    def test_an_ro_crate_entity_is_unique_in_its_workflow(self, scene: Scene) -> None:
        one, two = scene.created(fan(0)).id, scene.created(fan(0)).id
        entity = RoCrateEntity(workflow_id=one, entity_id="./", entity_type="Dataset", metadata={"name": "x"})

        first = scene.store.add([entity])[0]
        scene.store.add([RoCrateEntity(workflow_id=two, entity_id="./", entity_type="Dataset", metadata={})])

        with pytest.raises(Conflict, match="already"):
            scene.store.add([entity])
        other = scene.store.add(
            [RoCrateEntity(workflow_id=one, entity_id="a", entity_type="File", metadata={})]
        )[0]
        with pytest.raises(Conflict, match="already"):
            scene.store.change(RoCrateEntity, other.id, {"entity_id": "./"})
        assert scene.store.change(
            RoCrateEntity, first.id, {"entity_id": "./", "metadata": {"a": [1]}}
        ).metadata == {"a": [1]}

    def test_records_that_clash_with_each_other_are_all_refused(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        entity = RoCrateEntity(workflow_id=workflow, entity_id="./", entity_type="Dataset", metadata={})

        with pytest.raises(Conflict):
            scene.store.add([File(workflow_id=workflow, name="f", path="f"), entity, entity])

        assert scene.store.find(RoCrateEntity, Query(workflow=workflow)).total == 0
        assert scene.store.find(File, Query(workflow=workflow)).total == 0

    def test_the_file_of_an_entity_is_of_its_workflow_and_may_go(self, scene: Scene) -> None:
        workflow, other = scene.created(diamond()).id, scene.created(diamond()).id
        mine, foreign = (scene.store.find(File, Query(workflow=wf)).items[0].id for wf in (workflow, other))
        entity: dict[str, Any] = {
            "workflow_id": workflow,
            "entity_id": "a",
            "entity_type": "File",
            "metadata": {},
        }

        with pytest.raises(Invalid, match=str(foreign)):
            scene.store.add([RoCrateEntity(**entity, file_id=foreign)])
        added = scene.store.add([RoCrateEntity(**entity, file_id=mine)])[0]
        scene.store.remove(File, [mine])

        assert scene.store.get(RoCrateEntity, added.id).file_id is None

    def test_a_result_is_written_by_hand_once(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        job = scene.job(workflow, "job0")

        added = scene.store.add([result(job, usage=JobUsage(peak_memory_bytes=7))])[0]

        assert (added.run_id, added.job_name, added.current, added.usage.peak_memory_bytes) == (
            1,
            "job0",
            True,
            7,
        )
        assert scene.store.add([result(job, run_id=1, usage=JobUsage(peak_memory_bytes=7))])[0] == added
        with pytest.raises(Conflict, match="another result"):
            scene.store.add([result(job, status=JobStatus.FAILED, return_code=1)])
        after = scene.job(workflow, "job0")
        assert (after.status, after.result_id) == (JobStatus.READY, added.id)

    def test_a_result_of_an_earlier_run_is_not_the_current_one(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.store.initialize(workflow, Initialize(force=True))
        job = scene.job(workflow, "job0")

        added = scene.store.add([result(job, run_id=1)])[0]

        assert (added.current, scene.job(workflow, "job0").result_id) == (False, None)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("status", JobStatus.READY),
            ("return_code", 3),
            ("job_id", 999),
            ("attempt_id", 0),
            ("exec_minutes", -1.0),
        ],
    )
    def test_an_impossible_result_is_refused(self, scene: Scene, field: str, value: Any) -> None:
        job = scene.job(scene.started(fan(1)), "job0")

        with pytest.raises(Invalid) as caught:
            scene.store.add([result(job, **{field: value})])

        assert caught.value.details["field"] == field

    def test_a_result_is_corrected_and_its_key_stays(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0")
        id = scene.results(workflow)[0].id

        usage = JobUsage(peak_memory_bytes=9, avg_cpu_percent=50.0)
        changed = scene.store.change(
            Result, id, {"status": JobStatus.FAILED, "return_code": 2, "usage": usage, "exec_minutes": None}
        )

        assert (changed.status, changed.return_code, changed.usage) == (JobStatus.FAILED, 2, usage)
        assert changed == scene.results(workflow)[0]
        for field in ("job_id", "run_id", "attempt_id"):
            with pytest.raises(Invalid, match=field):
                scene.store.change(Result, id, {field: 1})

    def test_the_requirement_default_is_torcs_own(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        default = scene.job(workflow, "job0").requirement_id
        other = scene.store.add([Requirement(workflow_id=workflow, name="other")])[0]

        for refused in (
            lambda: scene.store.add([Requirement(workflow_id=workflow, name="default")]),
            lambda: scene.store.change(Requirement, other.id, {"name": "default"}),
            lambda: scene.store.change(Requirement, default, {"name": "mine"}),
            lambda: scene.store.remove(Requirement, [default]),
        ):
            with pytest.raises(Invalid, match="default"):
                refused()

        assert scene.store.change(Requirement, default, {"name": "default", "num_cpus": 2}).num_cpus == 2

    def test_jobs_of_a_removed_requirement_fall_back_to_the_default(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        big = scene.store.add([Requirement(workflow_id=workflow, name="big", num_cpus=99)])[0]
        default = scene.job(workflow, "job0").requirement_id
        scene.store.change(Job, scene.job(workflow, "job0").id, {"requirement_id": big.id})
        scene.store.initialize(workflow, Initialize())
        node = scene.node(workflow)
        assert names(scene.claim(node)) == []

        assert scene.store.remove(Requirement, [big.id]) == 1

        assert scene.job(workflow, "job0").requirement_id == default
        assert names(scene.claim(node)) == ["job0"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [("num_cpus", -1), ("num_nodes", 0), ("memory", "x"), ("runtime", "1h"), ("name", "")],
    )
    def test_an_impossible_requirement_is_refused(self, scene: Scene, field: str, value: Any) -> None:
        workflow = scene.created(fan(0)).id
        given: dict[str, Any] = {"workflow_id": workflow, "name": "r", field: value}

        with pytest.raises(Invalid) as caught:
            scene.store.add([Requirement(**given)])

        assert (caught.value.details["field"], caught.value.details["value"]) == (field, value)

    def test_an_empty_value_clears_and_none_keeps(self, scene: Scene) -> None:
        workflow = scene.created(chain(1)).id
        full = {
            "description": "d", "project": "p", "metadata": {"a": 1}, "env": {"A": "b"}, "notify": [{"on": ["workflow_completed"], "command": "x"}],
            "compute_node_expiration_buffer_seconds": 5,
        }  # fmt: skip
        scene.store.change(Workflow, workflow, full)

        kept = scene.store.change(Workflow, workflow, dict.fromkeys(full))
        assert {name: getattr(kept, name) for name in full} == full
        cleared = scene.store.change(
            Workflow, workflow, {"description": "", "metadata": {}, "env": {}, "notify": [],
                                 "compute_node_expiration_buffer_seconds": CLEAR, "project": CLEAR},
        )  # fmt: skip
        assert {name: getattr(cleared, name) for name in full} == dict.fromkeys(full)
        assert scene.store.get(Workflow, workflow) == cleared

    def test_every_setting_of_a_workflow_is_changed_and_sent_back_whole(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        given: dict[str, Any] = {
            "name": "n", "user": "eve", "description": "d", "project": "p", "metadata": {"a": [1]}, "env": {"A": "b"},
            "execution_config": {"mode": "direct"}, "resource_monitor_config": {"enabled": True},
            "slurm_defaults": {"qos": "x"}, "report": True, "compute_node_wait_for_new_jobs_seconds": 1,
            "compute_node_ignore_workflow_completion": True, "compute_node_wait_for_healthy_database_minutes": 2,
            "compute_node_min_time_for_new_jobs_seconds": 3, "compute_node_expiration_buffer_seconds": 4,
            "use_pending_failed": True, "enable_ro_crate": True, "retry_on_node_loss": 5, "notify": [{"on": ["workflow_completed"], "command": "x"}],
            "api_access": "read", "slurm_config": "{}", "submit_options": {"output": "o"}, "capability_generation": 6,
        }  # fmt: skip

        changed = scene.store.change(Workflow, workflow, given)
        told = len(scene.events(workflow))
        again = scene.store.change(Workflow, workflow, {name: getattr(changed, name) for name in given})

        assert {name: getattr(changed, name) for name in given} == given
        assert (again, scene.store.get(Workflow, workflow), len(scene.events(workflow))) == (
            changed,
            changed,
            told,
        )

    def test_what_has_to_have_a_value_is_not_cleared(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        for field, value in (("name", CLEAR), ("name", ""), ("user", ""), ("api_access", "all"), ("env", {"1": "x"}),
                             ("env", {"TORC_X": "1"}), ("retry_on_node_loss", -1), ("report", CLEAR)):  # fmt: skip
            with pytest.raises(Invalid) as caught:
                scene.store.change(Workflow, workflow, {field: value})
            assert caught.value.details["field"] == field

    def test_a_job_that_is_sent_back_whole_stays_as_it_is(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [0]))
        before = scene.job(workflow, "job1")
        told = len(scene.events(workflow))

        after = scene.store.change(Job, before.id, {
            "name": before.name, "command": before.command, "env": before.env, "label": None, "priority": 0,
            "depends_on": [scene.job(workflow, "job0").id], "input_files": [],
        })  # fmt: skip

        assert after == before
        assert len(scene.events(workflow)) == told

    def test_user_data_without_a_value_is_not_null(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        added = scene.store.add([UserData(workflow_id=workflow, name="x", data=1, has_data=True)])[0]

        null = scene.store.change(UserData, added.id, {"data": None})
        none = scene.store.change(UserData, added.id, {"data": CLEAR})

        assert (null.data, null.has_data, none.data, none.has_data) == (None, True, None, False)
        with pytest.raises(Invalid, match="__torc_"):
            scene.store.add([UserData(workflow_id=workflow, name="__torc_lineage__a")])

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("command", ""),
            ("name", "a\0b"),
            ("priority", -1),
            ("env", {"A B": "x"}),
            ("command", "\ud800"),
        ],
    )
    def test_an_impossible_job_is_refused(self, scene: Scene, field: str, value: Any) -> None:
        workflow = scene.created(fan(0)).id
        given: dict[str, Any] = {"workflow_id": workflow, "name": "j", "command": "true", field: value}

        with pytest.raises(Invalid) as caught:
            scene.store.add_jobs([NewJob(**given)])

        assert caught.value.details["field"] == field
        assert scene.jobs(workflow) == []

    def test_what_published_clients_ask_of_a_job_is_kept(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        wanted = {"num_jobs": 2, "scheduler_id": 1}

        new = NewJob(workflow_id=workflow, name="j", command="true", schedule_compute_nodes=wanted, label="")
        added = scene.store.add_jobs([new])[0]

        assert (added.schedule_compute_nodes, added.label) == (wanted, None)
        assert scene.store.get(Job, added.id) == added

    def test_added_jobs_share_their_lists(self, scene: Scene) -> None:
        workflow = scene.created(fan(2)).id
        first, second = (one.id for one in scene.jobs(workflow))
        new = [
            NewJob(workflow_id=workflow, name=f"n{at}", command="true", depends_on=waits)
            for at, waits in enumerate(([first, second], [second, first], [second]))
        ]

        added = scene.store.add_jobs(new)
        scene.store.initialize(workflow, Initialize())
        scene.end(workflow, "job1")

        assert [one.num_blockers for one in added] == [2, 2, 1]
        assert scene.statuses(workflow) == {
            "job0": "ready", "job1": "completed", "n0": "blocked", "n1": "blocked", "n2": "ready"
        }  # fmt: skip

    def test_many_jobs_of_one_name_are_told_once(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        scene.store.add_jobs([NewJob(workflow_id=workflow, name="same", command="true") for _ in range(150)])

        told = [one.data for one in scene.events(workflow, "duplicate_name")]
        assert [(one["count"], one["ids"]) for one in told] == [(150, list(range(1, 101)))]

    def test_all_jobs_are_removed_at_once(self, scene: Scene) -> None:
        workflow = scene.started(jobs([], [], [0, 1], [0, 1]))
        scene.end(workflow, "job0")

        assert scene.store.remove(Job, [one.id for one in scene.jobs(workflow)]) == 4

        assert (scene.counts(workflow), scene.results(workflow)) == ({}, [])
        scene.store.add_jobs([NewJob(workflow_id=workflow, name="new", command="true")])
        scene.store.initialize(workflow, Initialize())
        assert names(scene.claim(scene.node(workflow))) == ["new"]

    def test_a_file_in_use_stays_while_jobs_run(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        used, spare = (
            scene.store.find(File, Query(workflow=workflow)).items[0].id,
            File(workflow_id=workflow, name="spare", path="s"),
        )
        scene.claim(scene.node(workflow))

        with pytest.raises(Conflict, match="pending or running"):
            scene.store.remove(File, [used])
        assert scene.store.remove(File, [scene.store.add([spare])[0].id]) == 1

    def test_execution_does_not_change_while_jobs_run(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.claim(scene.node(workflow))

        with pytest.raises(Invalid, match="execution_config"):
            scene.store.change(Workflow, workflow, {"execution_config": {"mode": "direct"}})
        scene.store.change(Workflow, workflow, {"description": "d"})

    def test_fields_of_the_other_mode_are_refused(self, scene: Scene) -> None:
        wrong: list[tuple[dict[str, Json], str]] = [
            ({"mode": "slurm", "limit_resources": True}, "limit_resources only applies in direct mode, but the mode is slurm"),
            ({"enable_cpu_bind": False}, "enable_cpu_bind only applies in slurm mode, but the mode is direct"),
            ({"mode": "direct", "srun_termination_signal": "TERM@60"}, "srun_termination_signal only applies in slurm mode"),
        ]  # fmt: skip
        for config, sentence in wrong:
            workflow = scene.created(fan(0)).id

            with pytest.raises(Invalid, match=f"^execution_config.{sentence}") as caught:
                scene.store.create(Plan(workflow=PlannedWorkflow(name="w", execution_config=config)), "ann")
            with pytest.raises(Invalid, match=f"^execution_config.{sentence}"):
                scene.store.change(Workflow, workflow, {"execution_config": config})

            assert str(caught.value.details["field"]).startswith("execution_config.")
            assert scene.store.get(Workflow, workflow).execution_config is None

    def test_fields_of_one_mode_go_with_it_and_with_auto(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        for config in (
            {"limit_resources": False, "stdio": {"mode": "none"}},
            {"mode": "slurm", "enable_cpu_bind": True},
            {"mode": "auto", "enable_cpu_bind": True, "limit_runtime": True},
        ):
            changed = scene.store.change(Workflow, workflow, {"execution_config": config})
            assert changed.execution_config == config

    def test_groups_have_members_and_links(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        group = scene.store.add([AccessGroup(name="lab", description="us", is_system=True)])[0]

        member = scene.store.add([Membership(group_id=group.id, user_name="bob", role="")])[0]
        link = scene.store.add([GroupLink(workflow_id=workflow, group_id=group.id, level="read")])[0]

        assert (group.is_system, group.created_at, member.role, link.level) == (
            False, scene.clock.now(), "member", "read",
        )  # fmt: skip
        where = {"user_name": "bob"}
        assert list(scene.store.find(Membership, Query(where=where)).items) == [member]
        assert list(scene.store.find(GroupLink, Query(workflow=workflow)).items) == [link]
        assert list(scene.store.find(GroupLink, Query(where={"workflow_id": [workflow]})).items) == [link]
        assert scene.store.change(Membership, member.id, {"role": "admin"}).role == "admin"
        assert scene.store.change(GroupLink, link.id, {"level": "full"}).level == "full"
        assert scene.store.remove(AccessGroup, [group.id, 99]) == 1
        assert scene.store.find(Membership, Query()).total == 0
        assert scene.store.find(GroupLink, Query(workflow=workflow)).total == 0

    def test_groups_members_links_and_tokens_clash(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        group = scene.store.add([AccessGroup(name="lab")])[0]
        member = Membership(group_id=group.id, user_name="bob")
        link = GroupLink(workflow_id=workflow, group_id=group.id)
        token = Token(key="k", digest="d", user="bob", workflows=[workflow])
        scene.store.add([member, link, token])

        for again in (AccessGroup(name="lab"), AccessGroup(name="admin"), member, link, token):
            with pytest.raises(Conflict):
                scene.store.add([again])
        for bad in (
            AccessGroup(name="-x"), AccessGroup(name="x" * 65), Membership(group_id=group.id, user_name=""),
            Membership(group_id=group.id, user_name="eve", role="boss"),
            Token(key="n", digest="d", user="bob", access_class="root"),
        ):  # fmt: skip
            with pytest.raises(Invalid):
                scene.store.add([bad])
        with pytest.raises(NotFound, match="no access group 99"):
            scene.store.add([Membership(group_id=GroupId(99), user_name="bob")])

    def test_a_token_is_revoked(self, scene: Scene) -> None:
        new = Token(key="k", digest="d", user="bob", workflows=[WorkflowId(3)], expires_at=9)
        added = scene.store.add([new])[0]

        changed = scene.store.change(Token, added.id, {"revoked_at": 7})

        assert list(scene.store.find(Token, Query(where={"key": "k"})).items) == [changed]
        assert (changed.revoked_at, changed.workflows, changed.created_at) == (7, [3], scene.clock.now())
        with pytest.raises(Invalid, match="digest"):
            scene.store.change(Token, added.id, {"digest": "other"})

    def test_the_audit_record_only_grows(self, scene: Scene) -> None:
        entry = AuditEntry(operation="denied", principal="bob", established="password", peer="10.0.0.1")

        added = scene.store.add([entry, entry])

        assert [one.timestamp for one in added] == [scene.clock.now()] * 2
        assert [one.id for one in scene.store.find(AuditEntry, Query(above=added[0].id)).items] == [
            added[1].id
        ]
        with pytest.raises(TorcError):
            scene.store.change(AuditEntry, added[0].id, {"outcome": "ok"})
        with pytest.raises(Forbidden):
            scene.store.remove(AuditEntry, [added[0].id])

    def test_removals_are_told(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        ids = [one.id for one in scene.store.find(File, Query(workflow=workflow)).items]

        scene.store.remove(File, ids)

        told = [(one.data["operation"], one.data["id"]) for one in scene.events(workflow, "user_action")]
        assert told == [("remove", id) for id in ids]
        assert scene.store.find(Event, Query(workflow=workflow)).total == len(ids) + 1
