"""Jobs held in advance, started ahead, given back and recalled (`engine.md` §7.7, §7.10)."""

from __future__ import annotations

from torc_core.engine.claim import AHEAD_MOST
from torc_core.model import Assignment, JobStatus, Node, Orders, Resources, Verdict, WorkflowId
from torc_core.model.resources import GIB
from torc_core.testing.plans import fan, need, shaped
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, held, names

NOTHING = [Resources()]


class HoldingContract(SceneContract):
    """What a node holds before it has room."""

    def test_jobs_held_ahead_are_pending_and_take_no_room(self, scene: Scene) -> None:
        _, node, orders = _full(scene, 12, ahead=3)

        now, later = orders.jobs[:4], orders.jobs[4:]

        assert [(one.started, one.ahead) for one in now] == [(True, False)] * 4
        assert [(one.started, one.ahead, one.job.status) for one in later] == [
            (False, True, JobStatus.PENDING)
        ] * 3
        assert all(one.job.prefetched for one in later)
        scene.finish(node, now[:1])
        assert len(scene.claim(node)) == 1

    def test_of_what_is_given_ahead_some_may_be_started_at_once_and_take_no_room(self, scene: Scene) -> None:
        workflow, node, orders = _full(scene, 12, ahead=3, start_ahead=2)

        later = orders.jobs[4:]

        assert [(one.started, one.ahead) for one in later] == [(True, True), (True, True), (False, True)]
        assert scene.counts(workflow) == {"running": 6, "pending": 1, "ready": 5}
        assert not scene.claim(node)
        scene.finish(node, orders.jobs[:1])
        assert [scene.job(workflow, one.job.name).prefetched for one in later] == [False, True, True]
        assert not scene.claim(node)

    def test_what_is_started_ahead_by_a_claim_is_ready_again_when_it_is_given_back(
        self, scene: Scene
    ) -> None:
        workflow, node, orders = _full(scene, 5, ahead=1, start_ahead=1)

        scene.turn(node, give_back=[held(orders.jobs[4])])

        job = scene.job(workflow, orders.jobs[4].job.name)
        assert (job.status, job.attempt_id, job.node_id, job.prefetched) == (JobStatus.READY, 1, None, False)

    def test_the_same_claim_again_gives_what_it_started_ahead(self, scene: Scene) -> None:
        _, node, orders = _full(scene, 5, ahead=1, start_ahead=1)
        lease = orders.jobs[4].job.lease

        again = scene.claim(node, claim_id=lease, free=NOTHING)

        assert [(one.job.id, one.started, one.ahead) for one in again] == [
            (orders.jobs[4].job.id, True, True)
        ]

    def test_only_classes_that_run_already_are_held_ahead(self, scene: Scene) -> None:
        workflow = scene.started(shaped(need("a"), need("b", cpus=2), need("c", cpus=2)))
        node = scene.node(workflow, cpus=1)
        first = scene.claim(node)[0]

        orders = scene.turn(node, offer=scene.offer(node, free=NOTHING, ahead=9, busy=[first.shape]))

        assert not orders.jobs

    def test_a_node_never_holds_more_of_a_class_than_it_may(self, scene: Scene) -> None:
        _, node, orders = _full(scene, 2 * AHEAD_MOST, ahead=AHEAD_MOST + 1)

        more = scene.claim(node, free=NOTHING, ahead=AHEAD_MOST + 1, busy=[orders.jobs[0].shape])

        assert (len(orders.jobs), len(more)) == (4 + AHEAD_MOST, 0)

    def test_the_last_16_ready_jobs_are_left_for_other_nodes(self, scene: Scene) -> None:
        workflow = scene.started(fan(30))
        node = scene.node(workflow)
        scene.node(workflow)
        shape = scene.claim(node)[0].shape

        orders = scene.turn(node, offer=scene.offer(node, free=NOTHING, ahead=40, busy=[shape]))

        assert len(orders.jobs) == 30 - 4 - 16

    def test_a_node_that_is_alone_may_hold_the_last_ones_too(self, scene: Scene) -> None:
        _, _, orders = _full(scene, 10, ahead=40)

        assert len(orders.jobs) == 10

    def test_nothing_of_lower_priority_is_held_ahead_of_what_waits_for_the_node(self, scene: Scene) -> None:
        needs = [need("a"), need("b"), need("c", cpus=4)]
        workflow = scene.started(shaped(*needs, priorities=[9, 0, 1]))
        node = scene.node(workflow)
        first = scene.claim(node, limit=1)[0]

        held_ahead = scene.claim(node, free=NOTHING, ahead=5, busy=[first.shape])

        assert not held_ahead

    def test_a_job_started_ahead_takes_the_place_of_the_next_that_ends(self, scene: Scene) -> None:
        workflow, node, orders = _full(scene, 12, ahead=2)
        running, ahead = list(orders.jobs[:4]), list(orders.jobs[4:])

        started = scene.turn(node, starts=[held(ahead[0])])
        before = scene.job(workflow, ahead[0].job.name)
        scene.finish(node, running[:1])
        after = scene.job(workflow, ahead[0].job.name)

        assert list(started.starts) == [Verdict.DONE]
        assert (before.status, before.prefetched) == (JobStatus.RUNNING, True)
        assert (after.status, after.prefetched) == (JobStatus.RUNNING, False)
        assert not scene.claim(node)

    def test_a_held_job_that_starts_when_there_is_room_takes_it(self, scene: Scene) -> None:
        workflow, node, orders = _full(scene, 12, ahead=1)
        running, ahead = list(orders.jobs[:4]), orders.jobs[4]

        turn = scene.turn(node, endings=[ended(running[0])], starts=[held(ahead)], offer=scene.offer(node))

        assert (list(turn.starts), turn.jobs) == ([Verdict.DONE], [])
        assert not scene.job(workflow, ahead.job.name).prefetched

    def test_what_is_given_back_is_ready_with_the_same_attempt(self, scene: Scene) -> None:
        workflow, node, orders = _full(scene, 6, ahead=2)
        started, pending = orders.jobs[0], orders.jobs[4]

        scene.turn(node, give_back=[held(started), held(pending)])
        again = scene.turn(node, give_back=[held(started), held(pending)])

        jobs = [scene.job(workflow, one.job.name) for one in (started, pending)]
        assert [(job.status.label, job.attempt_id, job.node_id, job.lease) for job in jobs] == [
            ("ready", 1, None, None)
        ] * 2
        assert again.remaining == 6

    def test_what_was_listed_as_running_is_not_taken_back(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)
        scene.turn(node, beat=beat(runs=given))

        scene.turn(node, give_back=[held(given[0])])

        assert scene.job(workflow, "job0").status is JobStatus.RUNNING

    def test_what_others_hold_ahead_is_recalled_for_a_node_that_finds_nothing(self, scene: Scene) -> None:
        _, node, orders = _full(scene, 6, ahead=2)
        late = scene.node(node.workflow_id, cpus=1)

        nothing = scene.claim(late)
        recall = scene.turn(node, offer=scene.offer(node, limit=0)).recall
        scene.turn(node, give_back=[held(one) for one in orders.jobs if one.job.id in recall])

        assert not nothing
        assert list(recall) == [orders.jobs[5].job.id]
        assert names(scene.claim(late)) == [orders.jobs[5].job.name]

    def test_what_is_held_ahead_is_recalled_for_a_ready_job_of_higher_priority(self, scene: Scene) -> None:
        workflow, node, orders = _full(scene, 8, ahead=2)
        ready = scene.job(workflow, "job7")

        scene.store.change(type(ready), ready.id, {"priority": 5})

        recall = scene.turn(node, offer=scene.offer(node, limit=0)).recall
        assert sorted(recall) == [one.job.id for one in orders.jobs[4:]]

    def test_leaving_makes_held_jobs_ready_again(self, scene: Scene) -> None:
        workflow, node, orders = _full(scene, 6, ahead=2)
        scene.finish(node, orders.jobs[:4])

        scene.store.leave(node.id, None)

        assert scene.counts(workflow) == {"completed": 4, "ready": 2}


def _full(scene: Scene, count: int, ahead: int, start_ahead: int = 0) -> tuple[WorkflowId, Node, Orders]:
    """A node of four slots, all busy, that holds further jobs."""
    workflow = scene.started(fan(count))
    node = scene.node(workflow, cpus=4, memory=8 * GIB)
    first: list[Assignment] = list(scene.claim(node, limit=4))
    shape = first[0].shape
    offer = scene.offer(node, free=NOTHING, ahead=ahead, start_ahead=start_ahead, busy=[shape])
    orders = scene.turn(node, offer=offer)
    return workflow, node, Orders(jobs=[*first, *orders.jobs])
