"""Asking for records: filters, order, pages, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.errors import Invalid, NotFound
from torc_core.model import (
    Event,
    File,
    Initialize,
    Job,
    JobDependency,
    JobFile,
    JobStatus,
    JobUsage,
    JobUserData,
    Node,
    Plan,
    PlannedInput,
    PlannedUserData,
    PlannedWorkflow,
    Query,
    Requirement,
    Result,
    UserData,
    Workflow,
)
from torc_core.model.plan import InputKind
from torc_core.testing.plans import barrier, chain, diamond, fan, job
from torc_core.testing.stores.scene import Scene, SceneContract, names


class QueryContract(SceneContract):
    """How records are found."""

    def test_a_page_is_cut_out_of_all_that_match(self, scene: Scene) -> None:
        workflow = scene.created(fan(10)).id

        page = scene.store.find(Job, Query(workflow=workflow, offset=4, limit=3))

        assert ([one.name for one in page.items], page.total, page.offset) == (
            ["job4", "job5", "job6"],
            10,
            4,
        )
        assert page.has_more

    def test_a_page_beyond_the_end_is_empty(self, scene: Scene) -> None:
        workflow = scene.created(fan(2)).id

        page = scene.store.find(Job, Query(workflow=workflow, offset=5))

        assert (list(page.items), page.total, page.has_more) == ([], 2, False)

    def test_filters_are_values_or_any_of_several(self, scene: Scene) -> None:
        workflow = scene.started(chain(4))
        scene.end(workflow, "job0")

        ready = scene.store.find(Job, Query(workflow=workflow, where={"status": JobStatus.READY}))
        either = scene.store.find(Job, Query(workflow=workflow, where={"status": (5, 2), "priority": 0}))
        none = scene.store.find(Job, Query(workflow=workflow, where={"status": ()}))

        assert [one.name for one in ready.items] == ["job1"]
        assert [one.name for one in either.items] == ["job0", "job1"]
        assert none.total == 0

    def test_none_asks_for_what_has_no_value(self, scene: Scene) -> None:
        plan = fan(2)
        workflow = scene.created(replace(plan, jobs=[plan.jobs[0], replace(plan.jobs[1], label="x")])).id

        found = scene.store.find(Job, Query(workflow=workflow, where={"label": None}))
        either = scene.store.find(Job, Query(workflow=workflow, where={"label": (None, "x")}))

        assert ([one.name for one in found.items], either.total) == (["job0"], 2)

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [("job1*", ["job1", "job10", "job11"]), ("job?", ["job0", "job1"]), ("*[01]", ["job0", "job1", "job10", "job11"]),
         ("JOB1", []), ("job_", []), ("%", []), ("*", ["job0", "job1", "job10", "job11"])],
    )  # fmt: skip
    def test_patterns_are_those_of_the_shell(self, scene: Scene, pattern: str, expected: list[str]) -> None:
        plan = fan(12)
        workflow = scene.created(replace(plan, jobs=[plan.jobs[at] for at in (0, 1, 10, 11)])).id

        found = scene.store.find(Job, Query(workflow=workflow, like={"name": pattern}))

        assert [one.name for one in found.items] == expected

    def test_records_are_sorted_with_ties_by_id(self, scene: Scene) -> None:
        plan = fan(4)
        jobs = [
            replace(one, priority=priority) for one, priority in zip(plan.jobs, (1, 0, 1, 0), strict=True)
        ]
        workflow = scene.created(replace(plan, jobs=jobs)).id

        up, down = (
            [
                one.name
                for one in scene.store.find(
                    Job, Query(workflow=workflow, sort="priority", reverse=reverse)
                ).items
            ]
            for reverse in (False, True)
        )

        assert up == ["job1", "job3", "job0", "job2"]
        assert down == ["job0", "job2", "job1", "job3"]

    def test_results_are_sorted_by_what_their_jobs_used(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        for name, peak in (("job0", 7), ("job1", None), ("job2", 5)):
            scene.end(workflow, name, usage=JobUsage(peak_memory_bytes=peak))

        query = Query(workflow=workflow, sort="usage.peak_memory_bytes", reverse=True)

        found = scene.store.find(Result, query)
        assert [one.usage.peak_memory_bytes for one in found.items] == [7, 5, None]

    def test_what_has_no_value_sorts_first(self, scene: Scene) -> None:
        plan = fan(3)
        labels = ("b", None, "a")
        jobs = [replace(one, label=label) for one, label in zip(plan.jobs, labels, strict=True)]
        workflow = scene.created(replace(plan, jobs=jobs)).id

        up, down = (
            [
                one.label
                for one in scene.store.find(
                    Job, Query(workflow=workflow, sort="label", reverse=reverse)
                ).items
            ]
            for reverse in (False, True)
        )

        assert (up, down) == ([None, "a", "b"], ["b", "a", None])

    def test_above_asks_for_what_came_later(self, scene: Scene) -> None:
        workflow = scene.started(chain(1))
        seen = scene.events(workflow)[-1].id

        scene.end(workflow, "job0")

        later = scene.store.find(Event, Query(workflow=workflow, above=seen)).items
        assert [event.category for event in later] == ["job_completed", "override", "workflow_completed"]

    def test_events_are_asked_for_since_an_instant(self, scene: Scene) -> None:
        workflow = scene.started(chain(1))
        scene.move(10)
        scene.end(workflow, "job0")

        since = scene.store.find(
            Event, Query(workflow=workflow, since=scene.clock.now(), where={"severity": "info"})
        )

        assert [event.category for event in since.items] == ["job_completed", "workflow_completed"]

    def test_workflows_are_found_by_their_owner_and_source(self, scene: Scene) -> None:
        mine = scene.store.create(Plan(workflow=PlannedWorkflow(name="a", source_path="/s")), "ann")
        scene.store.create(Plan(workflow=PlannedWorkflow(name="a")), "bob")

        found = scene.store.find(
            Workflow, Query(where={"user": "ann", "source_path": "/s"}, reverse=True, limit=1)
        )

        assert (list(found.items), found.total) == ([mine], 1)

    def test_only_the_jobs_of_one_workflow_are_listed(self, scene: Scene) -> None:
        one, other = scene.created(fan(2)).id, scene.created(fan(3)).id

        assert [scene.store.find(Job, Query(workflow=id)).total for id in (one, other)] == [2, 3]

    def test_records_are_found_by_id_without_a_workflow(self, scene: Scene) -> None:
        first, second = scene.jobs(scene.created(fan(2)).id)

        found = scene.store.find(Job, Query(where={"id": (second.id, first.id)}))

        assert [one.id for one in found.items] == [first.id, second.id]

    @pytest.mark.parametrize(
        "query",
        [
            Query(where={"comand": "x"}), Query(sort="env"), Query(sort="id; DROP TABLE job"), Query(like={"status": "x"}),
            Query(like={"1=1 --": "x"}), Query(since=3), Query(limit=-1), Query(offset=-1),
        ],
    )  # fmt: skip
    def test_a_query_by_anything_else_is_refused(self, scene: Scene, query: Query) -> None:
        workflow = scene.created(fan(1)).id

        with pytest.raises(Invalid):
            scene.store.find(Job, replace(query, workflow=workflow))

    def test_a_refusal_lists_what_is_allowed(self, scene: Scene) -> None:
        with pytest.raises(Invalid, match=r"did you mean 'status'.*priority"):
            scene.store.find(Job, Query(where={"statu": 1, "id": 3}))

    def test_a_list_of_jobs_needs_a_workflow(self, scene: Scene) -> None:
        with pytest.raises(Invalid, match="workflow"):
            scene.store.find(Job, Query())

    @pytest.mark.parametrize("kind", [Workflow, Job, File, UserData, Requirement, Result, Event, Node])
    def test_a_record_that_is_not_there_is_not_found(self, scene: Scene, kind: type[object]) -> None:
        with pytest.raises(NotFound, match="99"):
            scene.store.get(kind, 99)

    def test_an_unknown_workflow_has_no_records(self, scene: Scene) -> None:
        unknown = scene.created(fan(0)).id + 7

        assert scene.store.find(Job, Query(workflow=type(scene.created(fan(0)).id)(unknown))).total == 0

    def test_only_current_results_are_asked_for(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        scene.end(workflow, "job0", JobStatus.TERMINATED, reason="interrupted")
        scene.end(workflow, "job1", JobStatus.FAILED)
        scene.store.resume(workflow, [])
        scene.end(workflow, "job0")

        current = scene.store.find(Result, Query(workflow=workflow, where={"current": True, "run_id": 0}))
        failed = scene.store.find(Result, Query(workflow=workflow, where={"return_code": (1, 143)}))

        assert [(one.job_name, one.attempt_id) for one in current.items] == [("job1", 1), ("job0", 2)]
        assert [one.job_name for one in failed.items] == ["job0", "job1"]

    def test_run_0_asks_for_the_results_of_the_current_run(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        scene.end(workflow, "job0", JobStatus.TERMINATED)
        scene.store.initialize(workflow, Initialize())
        scene.end(workflow, "job0")

        found = scene.store.find(Result, Query(workflow=workflow, where={"run_id": 0}))

        assert [(one.run_id, one.status.label) for one in found.items] == [(2, "completed")]

    def test_waiters_of_a_job_are_found(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        jobs = {one.name: one.id for one in scene.jobs(workflow)}

        found = scene.store.find(Job, Query(workflow=workflow, where={"upstream_job_id": jobs["a"]}))

        assert [one.name for one in found.items] == ["b", "c"]

    def test_readers_and_writers_of_files_are_found(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        jobs = {one.name: one.id for one in scene.jobs(workflow)}
        files = {one.name: one.id for one in scene.store.find(File, Query(workflow=workflow)).items}

        readers = scene.store.find(Job, Query(workflow=workflow, where={"needs_file_id": files["a"]}))
        written = scene.store.find(File, Query(workflow=workflow, where={"produced_by_job_id": jobs["b"]}))
        outputs = scene.store.find(File, Query(workflow=workflow, where={"is_output": True}))

        assert [one.name for one in readers.items] == ["b", "c"]
        assert [one.name for one in written.items] == ["b"]
        assert outputs.total == 4

    def test_readers_and_writers_of_user_data_are_found(self, scene: Scene) -> None:
        workflow = scene.created(_passing_data()).id
        writer, reader = scene.jobs(workflow)

        written = scene.store.find(UserData, Query(workflow=workflow, where={"producer_job_id": writer.id}))
        read = scene.store.find(UserData, Query(workflow=workflow, where={"consumer_job_id": reader.id}))
        pairs = scene.store.find(JobUserData, Query(workflow=workflow)).items

        assert [one.name for one in written.items] == ["x"]
        assert [one.name for one in read.items] == ["x", "y"]
        assert [(one.user_data_name, one.producer_job_name, one.consumer_job_name) for one in pairs] == [
            ("x", "job0", "job1"), ("y", None, "job1")
        ]  # fmt: skip

    def test_pairs_are_filtered_by_either_side(self, scene: Scene) -> None:
        workflow = scene.created(diamond()).id
        jobs = {one.name: one.id for one in scene.jobs(workflow)}

        waits = scene.store.find(JobDependency, Query(workflow=workflow, where={"job_id": jobs["d"]}))
        blocks = scene.store.find(
            JobDependency, Query(workflow=workflow, where={"depends_on_job_id": jobs["a"]})
        )
        reads = scene.store.find(JobFile, Query(workflow=workflow, where={"consumer_job_id": jobs["d"]}))
        unread = scene.store.find(JobFile, Query(workflow=workflow, where={"consumer_job_id": None}))

        assert [one.depends_on_job_name for one in waits.items] == ["b", "c"]
        assert [one.job_name for one in blocks.items] == ["b", "c"]
        assert [(one.file_name, one.file_path) for one in reads.items] == [("b", "b.txt"), ("c", "c.txt")]
        assert [(one.file_name, one.producer_job_name) for one in unread.items] == [("d", "d")]

    def test_a_job_that_waits_for_the_same_one_twice_is_one_pair(self, scene: Scene) -> None:
        plan = diamond()
        both = replace(
            plan.jobs[3], groups=[(0, plan.jobs[1].groups[0][1]), *plan.jobs[3].groups], num_blockers=3
        )
        workflow = scene.created(replace(plan, jobs=[*plan.jobs[:3], both])).id
        last = scene.job(workflow, "d").id

        pairs = scene.store.find(JobDependency, Query(workflow=workflow, where={"job_id": last}))

        assert ([one.depends_on_job_name for one in pairs.items], pairs.total) == (["a", "b", "c"], 3)

    def test_a_barrier_of_1_000_by_1_000_is_listed_without_making_its_pairs(self, scene: Scene) -> None:
        workflow = scene.created(barrier(1_000, 1_000)).id

        page = scene.store.find(JobDependency, Query(workflow=workflow, offset=999_998, limit=5))

        assert page.total == 1_000_000
        assert [one.depends_on_job_name for one in page.items] == ["job998", "job999"]

    def test_nodes_are_found_by_their_state(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        node, gone = scene.node(workflow), scene.node(workflow)
        scene.store.leave(gone.id, None)

        active = scene.store.find(Node, Query(workflow=workflow, where={"is_active": True}))
        working = scene.store.find(Job, Query(workflow=workflow, where={"node_id": node.id}))

        assert [one.id for one in active.items] == [node.id]
        assert working.total == 0
        assert names(scene.claim(node)) == ["job0", "job1"]
        assert scene.store.find(Job, Query(workflow=workflow, where={"node_id": node.id})).total == 2


def _passing_data() -> Plan:
    from torc_core.model import Source

    inputs = [PlannedInput(kind=InputKind.USER_DATA, items=(0, 1), group=0)]
    reader = job(1, inputs=[0], groups=[(0, Source.USER_DATA)], num_blockers=1)
    data = [PlannedUserData(name="x"), PlannedUserData(name="y", data=1, has_data=True)]
    return Plan(
        workflow=PlannedWorkflow(name="w"), jobs=[job(0, output_user_data=[0]), reader], user_data=data, inputs=inputs,
        groups=[(0,)],
    )  # fmt: skip
