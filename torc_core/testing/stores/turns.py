"""Turns: join, beats, orders, waiting for work, leaving (`engine.md` §7.10, §15.1, §15.2)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event as Flag
from time import sleep

import pytest

from torc_core.errors import Fenced, NotFound
from torc_core.model import JobStatus, Node, Orders, Turn, Usage, Verdict
from torc_core.testing.plans import chain, fan, need, shaped
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, held, names

HELD_BY = 0.5
"""Seconds after which a turn that was sent is held, as a rule."""

SOON = 15.0
"""Seconds within which a held turn has to come back when something happens; far below its 20 s."""


class TurnContract(SceneContract):
    """What a runner and a store say to each other."""

    def test_a_node_is_what_joined(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        node = scene.node(workflow, cpus=8, label="x")

        assert scene.store.get(Node, node.id) == node
        assert (node.capacity.cpus, node.label, node.is_active, node.workflow_id) == (8, "x", True, workflow)
        told = scene.events(workflow, "compute_node_started")[0].data
        assert (told["compute_node_id"], told["hostname"], told["num_cpus"]) == (node.id, "n1", 8)

    def test_the_same_epoch_is_the_same_node(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        node, again, other = (scene.node(workflow, epoch=epoch) for epoch in ("e1", "e1", "e2"))

        assert (again.id, other.id != node.id) == (node.id, True)
        assert len(scene.events(workflow, "compute_node_started")) == 2

    def test_a_turn_with_another_epoch_is_fenced(self, scene: Scene) -> None:
        node = scene.node(scene.started(fan(1)))

        with pytest.raises(Fenced):
            scene.turn(replace(node, epoch="other"), offer=scene.offer(node))

    def test_a_node_that_left_is_fenced(self, scene: Scene) -> None:
        node = scene.node(scene.started(fan(1)))
        scene.store.leave(node.id, None)

        with pytest.raises(Fenced):
            scene.turn(node, offer=scene.offer(node))

    def test_a_turn_for_a_deleted_workflow_finds_no_node(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        scene.store.delete(workflow)

        with pytest.raises(NotFound):
            scene.turn(node, offer=scene.offer(node))

    def test_leaving_is_told_and_may_be_repeated(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        scene.move(30)

        scene.store.leave(node.id, Usage(peak_memory_bytes=5))
        scene.store.leave(node.id, None)

        found = scene.store.get(Node, node.id)
        told = scene.events(workflow, "compute_node_stopped")
        assert (found.is_active, found.end_time) == (False, scene.clock.now())
        assert [one.data["duration_seconds"] for one in told] == [30.0]

    def test_a_start_is_recorded_once(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node, start=False)[0]
        scene.move(5)

        verdicts = [scene.turn(node, starts=[held(given)]).starts[0] for _ in range(2)]

        job = scene.job(workflow, "job0")
        assert verdicts == [Verdict.DONE, Verdict.SAME]
        assert (job.status, job.start_time) == (JobStatus.RUNNING, scene.clock.now())
        assert len(scene.events(workflow, "job_started")) == 1

    def test_a_start_under_another_lease_or_attempt_is_stale(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        mine = held(scene.claim(node, start=False)[0])

        verdicts = scene.turn(node, starts=[replace(mine, lease="x"), replace(mine, attempt_id=2)]).starts

        assert list(verdicts) == [Verdict.STALE, Verdict.STALE]

    def test_a_canceled_job_must_not_be_started(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        mine = held(scene.claim(node, start=False)[0])
        scene.store.cancel(workflow)

        assert list(scene.turn(node, starts=[mine]).starts) == [Verdict.CANCELED]

    def test_a_job_missing_from_two_beats_that_never_ran_is_ready_again(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        node = scene.node(workflow, cpus=2)
        given = scene.claim(node, limit=1)

        scene.turn(node, beat=beat())
        once = scene.statuses(workflow)["job0"]
        scene.turn(node, beat=beat())

        assert (once, given[0].job.status.label) == ("running", "running")
        job = scene.job(workflow, "job0")
        assert (job.status, job.attempt_id, job.node_id) == (JobStatus.READY, 1, None)

    def test_a_job_that_was_listed_as_running_is_not_lost_by_silence(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        scene.turn(node, beat=beat(runs=scene.claim(node)))

        for _ in range(3):
            scene.turn(node, beat=beat())

        assert scene.statuses(workflow) == {"job0": "running"}

    def test_a_beat_that_comes_again_or_late_does_not_count(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        early = [replace(beat(), number=number) for number in (1, 2)]
        scene.turn(node, beat=early[0])
        scene.turn(node, beat=early[1], offer=scene.offer(node))

        for late in (*early, *early):
            scene.turn(node, beat=late)
        running = scene.statuses(workflow)
        for number in (3, 4):
            scene.turn(node, beat=replace(beat(), number=number))

        assert (running, scene.statuses(workflow)) == ({"job0": "running"}, {"job0": "ready"})

    def test_a_beat_between_starts_the_count_anew(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)

        for listed in ([], given, []):
            scene.turn(node, beat=beat(holds=listed))

        assert scene.statuses(workflow) == {"job0": "running"}

    def test_a_repeated_claim_lists_its_jobs(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        offer = scene.offer(node)
        scene.turn(node, offer=offer)

        for _ in range(3):
            scene.turn(node, beat=beat(), offer=offer)

        assert scene.statuses(workflow) == {"job0": "running"}

    def test_what_a_node_lists_but_does_not_hold_is_unknown(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        node, other = scene.node(workflow, cpus=1), scene.node(workflow, cpus=1)
        mine, theirs = scene.claim(node), scene.claim(other)

        orders = scene.turn(node, beat=beat(runs=[*mine, *theirs]))

        assert list(orders.unknown) == [theirs[0].job.id]

    def test_a_turn_tells_how_far_the_workflow_is(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)

        first = scene.turn(node, offer=scene.offer(node))
        second = scene.turn(node, endings=[ended(first.jobs[0])], offer=scene.offer(node))
        third = scene.turn(node, endings=[ended(second.jobs[0])])

        assert [(one.remaining, one.complete) for one in (first, second, third)] == [
            (2, False),
            (1, False),
            (0, True),
        ]

    def test_a_part_that_is_refused_undoes_no_other(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        node = scene.node(workflow, cpus=2)
        one, two = scene.claim(node)

        orders = scene.turn(
            node, endings=[replace(ended(one), lease="x"), ended(two)], starts=[replace(held(one), lease="y")],
            offer=scene.offer(node),
        )  # fmt: skip

        assert (list(orders.endings), list(orders.starts)) == ([Verdict.STALE, Verdict.DONE], [Verdict.STALE])
        assert names(orders.jobs) == ["job2"]

    def test_a_held_turn_comes_back_when_a_job_becomes_ready(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node, worker = scene.node(workflow), scene.node(workflow)
        given = scene.claim(worker)

        orders = _held(scene, node, lambda: scene.finish(worker, given))

        assert names(orders.jobs) == ["job1"]

    def test_a_held_turn_comes_back_when_the_workflow_is_canceled(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node, worker = scene.node(workflow), scene.node(workflow)
        scene.claim(worker)

        orders = _held(scene, node, lambda: scene.store.cancel(workflow))

        assert (orders.canceled, orders.complete, list(orders.jobs)) == (True, True, [])

    def test_a_held_turn_comes_back_when_the_workflow_ends(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node, worker = scene.node(workflow), scene.node(workflow)
        given = scene.claim(worker)

        orders = _held(scene, node, lambda: scene.finish(worker, given))

        assert (orders.complete, orders.remaining) == (True, 0)

    def test_a_held_turn_comes_back_when_one_of_its_jobs_is_to_be_stopped(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        given = scene.claim(node)[0]

        orders = _held(scene, node, lambda: scene.store.stop([given.job.id]), limit=0)

        assert list(orders.cancel) == [given.job.id]

    def test_the_next_turn_of_a_node_ends_its_held_one(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        given = scene.claim(node)

        with ThreadPoolExecutor(1) as pool:
            waits = scene.offer(node, wait_ms=20_000)
            first = pool.submit(scene.turn, node, offer=waits)
            sleep(HELD_BY)
            after = scene.turn(node, endings=[ended(given[0])], offer=scene.offer(node)).jobs
            # Over a slow connection it may be there only now.
            for _ in range(int(SOON / HELD_BY)):
                if wait([first], HELD_BY).done:
                    break
                scene.turn(node, offer=scene.offer(node))
            orders = first.result(0)

        assert (list(orders.jobs), names(after)) == ([], ["job1"])

    def test_a_turn_that_carries_more_than_an_offer_is_answered_at_once(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        given = scene.claim(node)

        with ThreadPoolExecutor(1) as pool:
            offer = scene.offer(node, wait_ms=20_000)
            orders = pool.submit(scene.turn, node, beat=beat(runs=given), offer=offer).result(SOON)

        assert not orders.jobs

    def test_a_turn_that_brings_an_impossible_workflow_is_answered_at_once(self, scene: Scene) -> None:
        node = scene.node(scene.started(shaped(need("huge", cpus=99))))

        with ThreadPoolExecutor(1) as pool:
            orders = pool.submit(scene.turn, node, offer=scene.offer(node, wait_ms=20_000)).result(SOON)

        assert orders.never

    def test_a_held_turn_ends_when_its_time_is_over(self, scene: Scene) -> None:
        workflow = scene.started(chain(2))
        node = scene.node(workflow)
        scene.claim(node)

        orders = scene.turn(node, offer=scene.offer(node, wait_ms=30))

        assert (list(orders.jobs), orders.reason) == ([], "no job is ready: 1 running, 1 blocked")


def _held(scene: Scene, node: Node, meanwhile: Callable[[], object], **more: int) -> Orders:
    """What a held turn answers when something happens while it is held."""
    begun = Flag()

    def listen() -> Orders:
        begun.set()
        offer = scene.offer(node, wait_ms=20_000, **more)
        return scene.store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer))

    # Whether the turn is held already or arrives afterwards, it has to say the same.
    with ThreadPoolExecutor(1) as pool:
        answer: Future[Orders] = pool.submit(listen)
        begun.wait(SOON)
        meanwhile()
        return answer.result(SOON)
