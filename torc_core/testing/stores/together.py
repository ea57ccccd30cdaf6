"""What those need who serve a store to others: transactions over several calls, answers that are kept (`Embedded`)."""

from __future__ import annotations

from threading import Event as Signal
from threading import Thread

import pytest

from torc_core.errors import Conflict, Invalid, NotFound, TorcError
from torc_core.model import (
    AccessGroup,
    Event,
    File,
    GroupLink,
    Initialize,
    Job,
    JobStatus,
    Kept,
    NewJob,
    Node,
    NodeState,
    Plan,
    PlannedWorkflow,
    Query,
    Requirement,
    Turn,
    UserData,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Embedded
from torc_core.testing.plans import chain, diamond, fan, jobs
from torc_core.testing.stores.scene import Scene, SceneContract, names

SOON = 60.0
"""Seconds in which a thread has its turn, also on a machine with too much to do."""
ANSWER = Kept(principal="bob", route="POST /jobs", key="k1", body_hash="00", status=200, answer='{"id":1}')


def embedded(scene: Scene) -> Embedded:
    """The store as a server uses it."""
    assert isinstance(scene.store, Embedded)
    return scene.store


def file(workflow: WorkflowId, name: str = "f") -> File:
    """A new file."""
    return File(workflow_id=workflow, name=name, path=name)


class TogetherContract(SceneContract):
    """Several calls as one transaction."""

    def test_all_that_is_done_together_is_there_afterwards(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        with embedded(scene).together():
            added = scene.store.add([file(workflow)])[0]
            scene.store.add_jobs(
                [NewJob(workflow_id=workflow, name="a", command="true", input_files=[added.id])]
            )
            seen = scene.store.find(File, Query(workflow=workflow)).total

        assert (seen, scene.counts(workflow)) == (1, {"uninitialized": 1})

    def test_a_turn_that_is_looked_at_again_gives_what_has_come_meanwhile(self, scene: Scene) -> None:
        workflow = scene.created(fan(1)).id
        node = scene.node(workflow)
        waits = Turn(node=node.id, epoch=node.epoch, offer=scene.offer(node))
        nothing, _ = embedded(scene).try_turn(waits)

        scene.store.initialize(workflow, Initialize(force=True))
        orders, news = embedded(scene).try_turn(waits, again=True)

        assert not nothing.jobs
        assert ([one.job.name for one in orders.jobs], news) == (["job0"], True)

    def test_a_turn_that_is_looked_at_again_is_no_sign_of_life(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        (given,) = scene.claim(node)
        waits = Turn(node=node.id, epoch=node.epoch, offer=scene.offer(node))

        embedded(scene).try_turn(waits)
        scene.move(node.lease_seconds + 30)
        orders, news = embedded(scene).try_turn(waits, again=True)
        scene.move(40)
        scene.store.sweep()
        lost = scene.store.get(Node, node.id).state
        late, _ = embedded(scene).try_turn(waits, again=True)

        assert (list(orders.jobs), news, lost) == ([], False, NodeState.LOST)
        assert scene.job(workflow, given.job.name).reason == "node_lost"
        assert list(late.jobs) == []
        assert scene.store.get(Node, node.id).state is NodeState.LOST

    def test_a_node_that_is_lost_gets_nothing_by_a_turn_that_is_looked_at_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        waits = Turn(node=node.id, epoch=node.epoch, offer=scene.offer(node))
        scene.move(node.lease_seconds + 70)
        scene.store.sweep()

        orders, _ = embedded(scene).try_turn(waits, again=True)
        given = list(orders.jobs)
        heard, _ = embedded(scene).try_turn(waits)

        assert (given, len(heard.jobs)) == ([], 1)

    def test_after_an_exception_nothing_is_there(self, scene: Scene) -> None:
        workflow = scene.created(chain(2)).id
        told = len(scene.events(workflow))

        def fail() -> None:
            with embedded(scene).together():
                scene.store.add([file(workflow)])
                scene.store.initialize(workflow, Initialize())
                scene.created(fan(1))
                scene.store.get(Workflow, 99)

        with pytest.raises(NotFound):
            fail()

        assert scene.store.find(File, Query(workflow=workflow)).total == 0
        assert (scene.statuses(workflow)["job0"], len(scene.events(workflow))) == ("uninitialized", told)
        assert scene.store.find(Workflow, Query()).total == 1

    def test_a_part_that_is_refused_undoes_only_itself(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        job = scene.jobs(workflow)[0].id

        with embedded(scene).together():
            scene.store.add([file(workflow)])
            with pytest.raises(Invalid):
                scene.store.add_jobs([NewJob(workflow_id=workflow, name="", command="true")])
            with pytest.raises(Invalid):
                scene.store.stop([job], terminate=True)
            scene.store.stop([job])

        assert scene.counts(workflow) == {"ready": 1, "canceled": 1}
        assert scene.store.find(File, Query(workflow=workflow)).total == 1

    def test_an_inner_block_that_fails_undoes_only_itself(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        def fail() -> None:
            with embedded(scene).together():
                scene.store.add([file(workflow, "undone")])
                scene.store.add([AccessGroup(name="a"), AccessGroup(name="a")])

        with embedded(scene).together():
            scene.store.add([file(workflow, "kept")])
            with pytest.raises(Conflict):
                fail()
            scene.store.add([file(workflow, "after")])

        assert [one.name for one in scene.store.find(File, Query(workflow=workflow)).items] == [
            "kept",
            "after",
        ]

    def test_a_workflow_whose_deletion_is_undone_is_whole(self, scene: Scene) -> None:
        workflow, other = (scene.started(fan(3)) for _ in range(2))

        def fail() -> None:
            with embedded(scene).together():
                scene.store.delete(workflow)
                scene.store.get(Workflow, 99)

        with embedded(scene).together():
            with pytest.raises(NotFound):
                fail()
            scene.store.delete(other)

        assert scene.counts(workflow) == {"ready": 3}
        assert len(scene.jobs(workflow)) == 3
        assert [one.id for one in scene.store.find(Workflow, Query()).items] == [workflow]

    def test_ids_and_classes_of_what_was_undone_come_again_without_harm(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id

        def grow(name: str) -> None:
            need = scene.store.add([Requirement(workflow_id=workflow, name=name, num_cpus=3)])[0]
            scene.store.add_jobs(
                [NewJob(workflow_id=workflow, name=name, command="true", requirement_id=need.id)]
            )

        def fail() -> None:
            with embedded(scene).together():
                grow("undone")
                scene.store.add([Event(workflow_id=workflow, data={})])
                scene.store.get(Workflow, 99)

        with embedded(scene).together():
            with pytest.raises(NotFound):
                fail()
            scene.store.add([Requirement(workflow_id=workflow, name="wide", num_cpus=2)])
            grow("kept")
            scene.store.add([Event(workflow_id=workflow, data={})])
        scene.store.initialize(workflow, Initialize())

        assert names(scene.claim(scene.node(workflow, cpus=2))) == []
        assert names(scene.claim(scene.node(workflow, cpus=3))) == ["kept"]
        ids = [one.id for one in scene.events(workflow)]
        assert ids == sorted(set(ids))

    def test_another_thread_sees_all_of_it_or_nothing(self, scene: Scene) -> None:
        workflow = scene.created(fan(0)).id
        begun, seen = Signal(), list[int]()

        def other() -> None:
            begun.wait(SOON)
            scene.store.add([file(workflow, "other")])
            seen.append(scene.store.find(File, Query(workflow=workflow)).total)

        thread = Thread(target=other)
        thread.start()
        with embedded(scene).together():
            scene.store.add([file(workflow, "one")])
            begun.set()
            thread.join(0.05)
            scene.store.add([file(workflow, "two")])
            mine = scene.store.find(File, Query(workflow=workflow)).total
        thread.join(SOON)

        assert (mine, seen) == (2, [3])

    def test_an_answer_is_kept_for_a_day(self, scene: Scene) -> None:
        store = embedded(scene)

        store.keep(ANSWER)

        assert store.kept("bob", "POST /jobs", "k1") == ANSWER
        for other in (("eve", "POST /jobs", "k1"), ("bob", "POST /files", "k1"), ("bob", "POST /jobs", "k2")):
            assert store.kept(*other) is None
        scene.move(24 * 3600 - 1)
        assert store.kept("bob", "POST /jobs", "k1") == ANSWER
        scene.move(1)
        assert store.kept("bob", "POST /jobs", "k1") is None
        store.keep(ANSWER)
        assert store.kept("bob", "POST /jobs", "k1") == ANSWER

    def test_an_answer_is_kept_with_what_it_answers_to_or_not_at_all(self, scene: Scene) -> None:
        store, workflow = embedded(scene), scene.created(fan(0)).id

        def fail() -> None:
            with store.together():
                scene.store.add([file(workflow)])
                store.keep(ANSWER)
                scene.store.get(Workflow, 99)

        with pytest.raises(TorcError):
            fail()

        assert store.kept("bob", "POST /jobs", "k1") is None

    def test_user_data_is_tied_to_jobs_of_any_status(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        producer, consumer = scene.jobs(workflow)
        new = UserData(workflow_id=workflow, name="x")

        first = scene.store.add_user_data(new, consumer=consumer.id, producer=producer.id)
        second = scene.store.add_user_data(new, consumer=consumer.id)
        scene.store.initialize(workflow, Initialize(force=True))

        read = scene.store.find(
            UserData, Query(workflow=workflow, where={"consumer_job_id": consumer.id})
        ).items
        written = scene.store.find(
            UserData, Query(workflow=workflow, where={"producer_job_id": producer.id})
        ).items
        assert ([one.id for one in read], [one.id for one in written]) == ([first.id, second.id], [first.id])
        assert scene.statuses(workflow) == {"job0": "ready", "job1": "blocked"}

    def test_user_data_is_not_tied_to_jobs_of_another_workflow(self, scene: Scene) -> None:
        workflow, other = scene.created(fan(1)).id, scene.created(fan(1)).id

        with pytest.raises(Invalid, match="has no job"):
            scene.store.add_user_data(
                UserData(workflow_id=workflow, name="x"), consumer=scene.jobs(other)[0].id
            )

        assert scene.store.find(UserData, Query(workflow=workflow)).total == 0

    def test_groups_of_a_plan_are_linked(self, scene: Scene) -> None:
        group = scene.store.add([AccessGroup(name="lab")])[0]

        workflow = scene.created(Plan(workflow=PlannedWorkflow(name="w", access_groups=["lab", "lab"]))).id
        with pytest.raises(Invalid, match="no access group 'nobody'"):
            scene.created(Plan(workflow=PlannedWorkflow(name="v", access_groups=["lab", "nobody"])))

        links = scene.store.find(GroupLink, Query(workflow=workflow)).items
        assert [(one.group_id, one.level) for one in links] == [(group.id, "full")]
        assert scene.store.find(Workflow, Query()).total == 1

    def test_a_recount_changes_nothing(self, scene: Scene) -> None:
        workflow = scene.started(diamond())
        other = scene.started(jobs([], [], [0, 1], [2], cancel_on_blocking_job_failure=True))
        scene.end(workflow, "a")
        scene.end(other, "job0", JobStatus.FAILED)
        scene.claim(scene.node(workflow, cpus=1))
        scene.store.add_jobs(
            [NewJob(workflow_id=other, name="late", command="true", depends_on=[scene.jobs(other)[0].id])]
        )
        scene.store.change(Job, scene.job(other, "job1").id, {"status": JobStatus.DISABLED})

        assert list(embedded(scene).repair()) == []

        assert scene.events(workflow, "repair") == []
