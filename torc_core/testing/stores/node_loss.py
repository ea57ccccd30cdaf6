"""Lost runners with real processes in mind: what the store gives out never runs twice at once (`engine.md` §19, 9, 16, 19)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import permutations
from random import Random

import pytest

from torc_core.errors import Conflict, Fenced, Invalid, TorcError
from torc_core.model import (
    Assignment,
    Ending,
    Initialize,
    Job,
    JobId,
    JobStatus,
    Node,
    Query,
    Reset,
    Turn,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.testing.plans import chain, fan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene, SceneContract, beat, ended, held

CASES = int(os.environ.get("TORC_TEST_LOSSES", "4"))
"""How many histories of lost nodes are tried; the seeds are 0, 1, 2 and so on."""

LINKS = int(os.environ.get("TORC_TEST_CHAIN", "100"))
"""Jobs of the chain that is run while answers are lost."""

W = 20 * 60
STEPS = 40
BEAT = 60
"""Seconds between two beats, and between two looks of the store."""


class NodeLossContract(SceneContract):
    """A job is executed once, or again only after its former attempt is dead, unless somebody forces it."""

    # Row 9.

    @pytest.mark.parametrize("order", sorted(set(permutations(("expire", "complete", "cancel", "complete")))))
    @pytest.mark.parametrize("times", [0, 1])
    def test_expiry_completion_and_cancellation_agree_in_all_orders(
        self, scene: Scene, order: tuple[str, ...], times: int
    ) -> None:
        plan = fan(1)
        plan = replace(plan, workflow=replace(plan.workflow, retry_on_node_loss=times))
        workflow = scene.started(plan)
        node = scene.node(workflow)
        (one,) = scene.claim(node)
        seen = []

        for step in order:
            if step == "expire":
                scene.move(W + 60)
                scene.store.sweep()
            elif step == "complete":
                scene.store.reconcile(workflow, [ended(one)])
            else:
                _quietly(scene.store.stop, [one.job.id])
            seen.append(scene.job(workflow, "job0").status)

        after = seen[seen.index(JobStatus.COMPLETED) :] if JobStatus.COMPLETED in seen else []
        assert set(after) <= {JobStatus.COMPLETED}
        found = [result for result in scene.results(workflow) if result.attempt_id == 1]
        assert len(found) <= 1
        assert found or "cancel" in order[: order.index("complete")]

    # Row 16.

    def test_a_chain_survives_lost_answers_and_takes_one_turn_for_each_hop(self, scene: Scene) -> None:
        workflow = scene.started(chain(LINKS))
        node, dice = scene.node(workflow), Random(16)
        begun: list[JobId] = []
        endings: list[Assignment] = []
        turns = 0

        while True:
            offer = scene.offer(node)
            turn = Turn(node=node.id, epoch=node.epoch, endings=[ended(one) for one in endings], offer=offer)
            orders = scene.store.turn(turn)
            turns += 1
            while dice.random() < 0.2:
                # The answer is lost: the same turn is sent once more.
                orders = scene.store.turn(turn)
            begun += [one.job.id for one in orders.jobs]
            endings = list(orders.jobs)
            if not endings:
                break

        assert scene.counts(workflow) == {"completed": LINKS}
        assert len(begun) == len(set(begun)) == LINKS
        assert turns == LINKS + 1

    def test_what_a_killed_runner_had_not_forked_is_ready_with_the_same_attempt(self, scene: Scene) -> None:
        workflow = scene.started(fan(4))
        node = scene.node(workflow, cpus=4)
        given = scene.claim(node)
        scene.turn(node, beat=beat(runs=given[:1]))

        # Its guardian gives back what the worker had not forked, and reports the rest.
        scene.turn(
            node,
            give_back=[held(one) for one in given[1:]],
            endings=[ended(given[0], JobStatus.TERMINATED, reason="runner_died")],
        )
        scene.store.leave(node.id, None)

        assert scene.counts(workflow) == {"ready": 3, "terminated": 1}
        assert {job.attempt_id for job in scene.jobs(workflow)} == {1}

    # Row 19.

    @pytest.mark.parametrize("seed", range(CASES))
    def test_no_job_runs_twice_at_once_unless_it_is_forced(
        self, store: Store, clock: SetClock, seed: int
    ) -> None:
        world = World(Scene(store, clock), Random(seed))

        for _ in range(STEPS):
            world.step()
            assert not world.doubles, f"seed {seed}: {world.doubles}"
        world.calm_down()

        left = {job.name: job.status.label for job in world.jobs() if job.status.live}
        assert not left, f"seed {seed}"
        assert not world.doubles, f"seed {seed}: {world.doubles}"

    def test_a_draining_node_has_its_jobs_until_somebody_forces_them(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        (one,) = scene.claim(node)
        scene.move(W + 60)
        scene.store.sweep()
        scene.store.change(Workflow, workflow, {"retry_on_node_loss": 5})

        with pytest.raises((Conflict, Invalid), match="may still be running"):
            scene.store.retry(one.job.id, 0)
        with pytest.raises((Conflict, Invalid), match="may still be running"):
            scene.store.reset(workflow, Reset(jobs=[one.job.id]))
        scene.store.retry(one.job.id, 0, force=True)

        assert scene.counts(workflow) == {"ready": 1}
        assert list(scene.store.reconcile(workflow, [ended(one)])) == [Verdict.STALE]


@dataclass(slots=True)
class Process:
    """A job that runs on a host, whatever the store believes."""

    one: Assignment
    node: Node
    run: int


class World:
    """Runners with their processes, as they are, beside what the store knows of them.

    Nodes obey: they end what they are told to end, and those that fence end all of it when they have not been
    answered for the length of their lease.
    """

    def __init__(self, scene: Scene, dice: Random) -> None:
        self.scene = scene
        self.dice = dice
        plan = fan(6)
        plan = replace(plan, workflow=replace(plan.workflow, retry_on_node_loss=dice.choice((0, 0, 3))))
        self.workflow: WorkflowId = scene.started(plan)
        self.nodes: list[Node] = []
        self.answered: dict[int, int] = {}
        self.cut: set[int] = set()
        self.processes: list[Process] = []
        self.spooled: list[tuple[Node, Ending]] = []
        self.forced: set[int] = set()
        self.doubles: list[str] = []
        self._hosts = 0
        self._join()
        self._join()

    def jobs(self) -> list[Job]:
        """As the store has them."""
        return list(self.scene.store.find(Job, Query(workflow=self.workflow)).items)

    def step(self) -> None:
        """Something happens."""
        happenings = [
            self._speak, self._speak, self._speak, self._speak, self._finish, self._finish, self._cut, self._heal,
            self._wait, self._wait, self._crash, self._again, self._retry, self._reset, self._allow, self._deliver,
        ]  # fmt: skip
        self.dice.choice(happenings)()
        self.scene.store.sweep()

    def calm_down(self) -> None:
        """Faults stop; what is left ends within a lease and a sweep."""
        self.cut.clear()
        for _ in range(3):
            for node in list(self.nodes):
                self._turn(node, claim=False)
            for process in list(self.processes):
                self._end(process)
            for node in list(self.nodes):
                self._turn(node, claim=False)
            self._pass(W + 61)
            self.scene.store.sweep()

    # What nodes do.

    def _join(self) -> None:
        self._hosts += 1
        node = self.scene.node(self.workflow, cpus=3, hostname=f"h{self._hosts}", pid=self._hosts)
        self.nodes.append(node)
        self.answered[node.id] = self.scene.clock.now()

    def _speak(self) -> None:
        for node in self.nodes:
            if node.id not in self.cut:
                self._turn(node, claim=self.dice.random() < 0.7)

    def _turn(self, node: Node, *, claim: bool) -> None:
        mine = [process for process in self.processes if process.node.id == node.id]
        ends = [one for owner, one in self.spooled if owner.id == node.id]
        offer = self.scene.offer(node, limit=3) if claim else None
        try:
            orders = self.scene.turn(
                node,
                endings=ends,
                beat=beat(runs=[one.one for one in mine]),
                offer=offer,
            )
        except Fenced:
            self._kill(mine)
            self.nodes.remove(node)
            return
        self.answered[node.id] = self.scene.clock.now()
        self.spooled = [entry for entry in self.spooled if entry[0].id != node.id]
        dead = {*orders.unknown, *orders.cancel}
        self._kill([process for process in mine if process.one.job.id in dead])
        if orders.cancel:
            stopped = [process.one for process in mine if process.one.job.id in set(orders.cancel)]
            self.scene.turn(node, endings=[ended(one, JobStatus.CANCELED) for one in stopped])
        for one in orders.jobs:
            self._start(node, one)

    def _start(self, node: Node, one: Assignment) -> None:
        same = [process for process in self.processes if process.one.job.id == one.job.id]
        if same and one.job.id not in self.forced:
            hosts = ", ".join(process.node.hostname for process in same)
            self.doubles.append(f"{one.job.name} on {node.hostname} while it runs on {hosts}")
        self.processes.append(Process(one=one, node=node, run=one.job.run_id))

    def _finish(self) -> None:
        if self.processes:
            self._end(self.dice.choice(self.processes))

    def _end(self, process: Process) -> None:
        self.processes.remove(process)
        self.spooled.append((process.node, ended(process.one)))

    def _kill(self, processes: Iterable[Process]) -> None:
        for process in list(processes):
            self.processes.remove(process)

    def _fence(self, node: Node) -> None:
        """The node ends its jobs, and keeps what there is to say of them."""
        for process in [process for process in self.processes if process.node.id == node.id]:
            self.processes.remove(process)
            over = ended(process.one, JobStatus.TERMINATED, reason="lease_lost")
            self.spooled.append((node, over))

    # What happens to them.

    def _cut(self) -> None:
        if self.nodes:
            self.cut.add(self.dice.choice(self.nodes).id)

    def _heal(self) -> None:
        self.cut.clear()

    def _wait(self) -> None:
        self._pass(self.dice.choice((40, 200, W // 2, W, W + 70)))

    def _pass(self, seconds: int) -> None:
        """Time passes in small steps, in which reachable nodes beat and cut ones that fence end their jobs."""
        for _ in range(0, seconds, BEAT):
            self.scene.move(BEAT)
            now = self.scene.clock.now()
            for node in list(self.nodes):
                if node.id not in self.cut:
                    self._turn(node, claim=False)
                elif node.on_lost == "fence" and now - self.answered[node.id] >= W * 1000:
                    self._fence(node)
            self.scene.store.sweep()

    def _crash(self) -> None:
        """A host dies with all that runs on it; somebody may know it, and another host takes its place."""
        if not self.nodes or self.dice.random() < 0.5:
            return
        node = self.nodes.pop(self.dice.randrange(len(self.nodes)))
        self._kill([process for process in self.processes if process.node.id == node.id])
        if self.dice.random() < 0.5:
            self.scene.store.bury(node.id, "boot_id")
        self._join()

    def _deliver(self) -> None:
        """What was spooled is delivered by another."""
        self.scene.store.reconcile(self.workflow, [one for _, one in self.spooled])
        self.spooled.clear()

    # What people do.

    def _again(self) -> None:
        self._person(lambda: self.scene.store.initialize(self.workflow, Initialize(only_uninitialized=True)))

    def _retry(self) -> None:
        job, force = self.dice.choice(self.jobs()), self.dice.random() < 0.2
        if job.status is JobStatus.RUNNING:
            return  # a person who retries what runs says that it is gone
        if force:
            self.forced.add(job.id)
        self._person(lambda: self.scene.store.retry(job.id, 0, force=force))

    def _reset(self) -> None:
        job, force = self.dice.choice(self.jobs()), self.dice.random() < 0.3
        if force:
            self.forced.add(job.id)
        self._person(lambda: self.scene.store.reset(self.workflow, Reset(jobs=[job.id], force=force)))

    def _allow(self) -> None:
        self.scene.store.change(Workflow, self.workflow, {"retry_on_node_loss": self.dice.randint(0, 3)})

    def _person(self, does: object) -> None:
        _quietly(does)


def _quietly(call: object, *args: object) -> None:
    """Call, whatever is answered."""
    assert callable(call)
    try:
        call(*args)
    except TorcError:
        return
