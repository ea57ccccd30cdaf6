"""One simulation: a workflow, some machines, people, misfortune, and then a time without faults in which all must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from torc_core.errors import TorcError
from torc_core.model import (
    Initialize,
    Job,
    Json,
    Node,
    NodeState,
    Plan,
    PlannedAction,
    PlannedHandler,
    Query,
    Requirement,
    Reset,
    Resources,
    Result,
    Workflow,
)
from torc_core.model.resources import GIB
from torc_core.protocols import Store
from torc_core.record import record
from torc_core.testing.checker import Call, Evidence, Recording, Violation, check, gathered
from torc_core.testing.checker.executions import within_capacity
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import random_plan
from torc_core.testing.simulator.machine import Machine
from torc_core.testing.simulator.truth import Host, Truth
from torc_core.testing.simulator.world import CALM, Service, Weather, World

ROOM = Resources(cpus=4, memory=8 * GIB)
RULE: dict[str, Json] = {
    "exit_codes": [7], "match_all_exit_codes": False, "recovery_script": None, "max_retries": 3, "delay_seconds": 5,
    "backoff": 2.0, "max_delay_seconds": 60,
}  # fmt: skip
LONGEST = 7_200.0
"""Seconds of a time without faults in which everything has to end."""
SAID_AT_LAST = 900.0
"""Seconds after which a person says that a machine is gone for good."""
LOOK_EVERY = 10
"""Requests from one look at all records to the next."""
AFTERMATH = 300.0
"""Seconds for what comes late."""


@record(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a simulation showed; the same seed shows the same again.

    Parameters
    ----------
    seconds
        Virtual ones, until the last job had ended.
    requests
        Carried out by the store.
    """

    seed: int
    violations: list[Violation]
    seconds: float
    requests: int
    attempts: int


def simulate(seed: int, open_store: Callable[[World], Store] = MemoryStore) -> Outcome:
    """Let a seed happen."""
    return Simulation(seed, open_store).run()


class Simulation:
    """Everything that a seed decides."""

    def __init__(self, seed: int, open_store: Callable[[World], Store]) -> None:
        self.seed = seed
        self.world = World(seed, _weather(Random(f"weather {seed}")))
        self.calls: list[Call] = []
        self.store: Store = Recording(open_store(self.world), self.calls)
        dice = self.world.dice
        plan = _planned(seed, dice)
        self.workflow = self.store.create(plan, "ann").id
        self.store.initialize(self.workflow, Initialize())
        needs = self.store.find(Requirement, Query(workflow=self.workflow)).items
        self._needs = {need.id: need for need in needs}
        self.truth = Truth(self.world, self.store)
        self.service = Service(self.world, self.store, self._watch)
        self.machines = [
            Machine(self.service, self.truth, self.workflow, Host(f"n{at}", ROOM))
            for at in range(dice.randint(2, 4))
        ]
        self._faults = True
        self._next_look = 0
        self._watched: list[Violation] = []

    def run(self) -> Outcome:
        """Misfortune, then calm, then the verdict."""
        world = self.world
        for machine in self.machines:
            world.after(world.dice.uniform(0, 30), machine.start)
        self.service.sweep()
        self._trouble()
        self._people()
        until = world.dice.uniform(100, 900)
        world.run(until, lambda: False)
        self._calm()
        world.run(until + LONGEST, self._over)
        ended = world.time
        world.run(ended + AFTERMATH, lambda: False)
        canceled = self.store.get(Workflow, self.workflow).is_canceled
        evidence = gathered(
            self.store, world.now(), marks=self.truth.marks, calls=self.calls, forced=self.truth.forced
        )
        found = [*self.truth.violations, *self._watched, *check(evidence, ends=not canceled)]
        left = [tree.attempt for machine in self.machines for tree in machine.host.trees]
        found += [Violation(rule="I7", what=f"attempt {attempt} still lives at the end") for attempt in left]
        attempts = sum(mark.what == "start" for mark in self.truth.marks)
        return Outcome(
            seed=self.seed, violations=found, seconds=ended, requests=len(self.calls), attempts=attempts
        )

    def _over(self) -> bool:
        idle = not any(machine.host.trees or machine.spool for machine in self.machines)
        return idle and self.store.totals([self.workflow])[0].complete

    def _watch(self) -> None:
        """What must hold at every moment by the records (I4); every so many requests is often enough."""
        if len(self.calls) < self._next_look:
            return
        self._next_look = len(self.calls) + LOOK_EVERY
        jobs = self.store.find(Job, Query(workflow=self.workflow)).items
        nodes = self.store.find(Node, Query(workflow=self.workflow)).items
        evidence = Evidence(jobs=jobs, nodes=nodes, requirements=self._needs)
        self._watched += [
            replace(one, what=f"at {self.world.time:.1f} s {one.what}") for one in within_capacity(evidence)
        ]

    def _calm(self) -> None:
        """Faults are over: links are whole, the server serves, and every machine but those that are gone has a runner."""
        self._faults = False
        self.world.weather = CALM
        self.service.start()
        for machine in self.machines:
            machine.link.up = machine.link.down = True
        gone = self.world.dice.choice((None, *self.machines))
        if gone is not None:
            gone.crash()
            # What somebody has taken away from a runner that drains waits until that is proven dead.
            self.world.after(SAID_AT_LAST, lambda: self._bury(gone.host.name))
        for machine in self.machines:
            if machine is not gone and machine.runner is None:
                self.world.after(self.world.dice.uniform(0, 20), machine.start)
        for node in self.store.find(Node, Query(workflow=self.workflow)).items:
            if node.draining and node.state is not NodeState.ENDED:
                self.store.drain(node.id, on=False)

    def _bury(self, hostname: str) -> None:
        for node in self.store.find(Node, Query(workflow=self.workflow, where={"hostname": hostname})).items:
            if node.state is not NodeState.ENDED:
                self.store.bury(node.id, "stopped")

    # Misfortune

    def _trouble(self) -> None:
        """Something happens to a machine, a link or the server; again and again."""
        if not self._faults:
            return
        world = self.world
        if world.time > 0:
            world.dice.choice(
                (
                    self._partition,
                    self._partition,
                    self._kill,
                    self._kill,
                    self._vanish,
                    self._freeze,
                    self._die,
                    self._outage,
                )
            )()
        if world.weather.trouble_every:
            world.after(world.dice.expovariate(1 / world.weather.trouble_every), self._trouble)

    def _machine(self) -> Machine:
        return self.world.dice.choice(self.machines)

    def _length(self) -> float:
        """How long something lasts: mostly less than a lease, now and then much more."""
        return self.world.dice.choice((5.0, 30.0, 55.0, 70.0, 150.0, 300.0))

    def _partition(self) -> None:
        link, seconds = self._machine().link, self._length()
        link.up, link.down = self.world.dice.choice(((False, False), (True, False), (False, True)))

        def heal() -> None:
            link.up = link.down = True

        self.world.after(seconds, heal)

    def _kill(self) -> None:
        machine = self._machine()
        if machine.runner is not None and not machine.frozen:
            machine.runner.killed()

    def _vanish(self) -> None:
        machine = self._machine()
        if machine.runner is not None and not machine.frozen:
            machine.runner.vanished()

    def _freeze(self) -> None:
        machine = self._machine()
        if not machine.host.trees:
            machine.freeze(self._length())

    def _die(self) -> None:
        machine = self._machine()
        machine.crash()
        self.world.after(self._length(), machine.start)

    def _outage(self) -> None:
        self.service.crash(self._length())

    # People

    def _people(self) -> None:
        """Somebody does something, now and then."""
        if not self._faults:
            return
        world = self.world
        if self.service.is_up and world.time > 0:
            what = world.dice.choice(
                (self._stop, self._stop, self._retry, self._reset, self._forgive, self._drain, self._prefer)
            )
            try:
                what()
            except TorcError:
                pass  # it was refused, in a sentence
            self._watch()
        world.after(world.dice.expovariate(1 / 60), self._people)

    def _job(self) -> Job:
        return self.world.dice.choice(self.store.find(Job, Query(workflow=self.workflow)).items)

    def _stop(self) -> None:
        self.store.stop([self._job().id], terminate=self.world.chance(0.3))

    def _retry(self) -> None:
        job, force = self._job(), self.world.chance(0.2)
        if force:
            self._note_forced([job])
        self.store.retry(job.id, job.run_id, force=force)

    def _reset(self) -> None:
        force = self.world.chance(0.3)
        if force:
            self._note_forced(list(self.store.find(Job, Query(workflow=self.workflow)).items))
        self.store.reset(self.workflow, Reset(failed_only=True, force=force))
        self.store.initialize(self.workflow, Initialize(only_uninitialized=True, force=True))

    def _forgive(self) -> None:
        self.store.change(Workflow, self.workflow, {"retry_on_node_loss": self.world.dice.randint(0, 2)})

    def _drain(self) -> None:
        nodes = self.store.find(Node, Query(workflow=self.workflow)).items
        if nodes:
            self.store.drain(self.world.dice.choice(nodes).id, on=self.world.chance(0.3))

    def _prefer(self) -> None:
        self.store.change(Job, self._job().id, {"priority": self.world.dice.randint(0, 9)})

    def _note_forced(self, jobs: list[Job]) -> None:
        """Jobs whose node is lost and not proven dead may overlap when a person has them run again by force (I1)."""
        nodes = {node.id: node for node in self.store.find(Node, Query(workflow=self.workflow)).items}
        for job in jobs:
            if job.result_id is None:
                continue
            result = self.store.get(Result, job.result_id)
            node = None if result.node_id is None else nodes.get(result.node_id)
            if result.provisional and node is not None and node.state is not NodeState.ENDED:
                self.truth.forced.add(job.id)


def _weather(dice: Random) -> Weather:
    bad = dice.choice((0.0, 0.05, 0.2))
    return Weather(
        drop_request=dice.choice((0.0, bad)), drop_answer=dice.choice((0.0, bad)), double=dice.choice((0.0, 0.1, 0.3)),
        slowest=dice.choice((0.05, 1.0, 5.0)), crash_after=dice.choice((0.0, 0.0, 0.01)),
        trouble_every=dice.choice((0.0, 60.0, 60.0, 200.0)) or 1e9,
    )  # fmt: skip


def _planned(seed: int, dice: Random) -> Plan:
    """A random workflow that has some of its failures tried again, and things to do at some moments."""
    plan = random_plan(seed, 16)
    rules: list[dict[str, Json]] = [RULE, {**RULE, "exit_codes": [9], "recovery_script": "fix"}]
    if dice.random() < 0.3:
        rules.append({**RULE, "exit_codes": [-128]})
    jobs = [replace(job, handler=dice.choice((None, 0))) for job in plan.jobs]
    actions = [
        PlannedAction(trigger_type="on_workflow_start", action_type="run_commands", config={"commands": ["true"]}),
        PlannedAction(
            trigger_type="on_jobs_complete", action_type="run_commands", config={"commands": ["true"]},
            jobs=tuple(range(0, len(jobs), 2)),
        ),
    ]  # fmt: skip
    workflow = replace(
        plan.workflow,
        compute_node_wait_for_healthy_database_minutes=1,
        retry_on_node_loss=dice.choice((0, 1, 2)),
    )
    return replace(
        plan, workflow=workflow, jobs=jobs, handlers=[PlannedHandler(name="h", rules=rules)],
        actions=actions if dice.random() < 0.5 else [],
    )  # fmt: skip
