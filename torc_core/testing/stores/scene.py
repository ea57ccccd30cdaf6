"""What the tests of a store say in one word: a workflow is started, a node claims, a job ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from torc_core.model import (
    Assignment,
    Beat,
    Ending,
    Event,
    File,
    Held,
    Initialize,
    Job,
    JobId,
    JobStatus,
    NewNode,
    Node,
    Offer,
    Orders,
    Plan,
    Query,
    Resources,
    Result,
    Turn,
    UserData,
    Verdict,
    Workflow,
    WorkflowId,
)
from torc_core.model.resources import GIB
from torc_core.protocols import Store
from torc_core.testing.plugin import SetClock

CODES = {JobStatus.COMPLETED: 0, JobStatus.FAILED: 1, JobStatus.TERMINATED: 143, JobStatus.CANCELED: 143}


class Scene:
    """A store, and short ways to use it."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.store = store
        self.clock = clock

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.move(seconds)

    def created(self, plan: Plan, user: str = "ann") -> Workflow:
        """A workflow, not yet initialised."""
        return self.store.create(plan, user)

    def started(self, plan: Plan) -> WorkflowId:
        """A workflow whose first run has begun."""
        id = self.created(plan).id
        self.store.initialize(id, Initialize())
        return id

    def completed(self, plan: Plan) -> WorkflowId:
        """A workflow whose jobs have all completed in run 1."""
        workflow = self.started(plan)
        node = self.node(workflow, cpus=100_000)
        while given := self.claim(node, limit=10_000):
            self.finish(node, given)
        self.store.leave(node.id, None)
        return workflow

    def all(self, workflow: WorkflowId) -> object:
        """Everything that a call which changes nothing must leave alone."""
        query = Query(workflow=workflow, limit=100_000)
        kinds: tuple[type[Any], ...] = (Job, File, UserData, Event)
        return [list(self.store.find(kind, query).items) for kind in kinds] + [
            self.store.get(Workflow, workflow)
        ]

    def node(
        self, workflow: WorkflowId, cpus: int = 4, *, memory: int = 8 * GIB, gpus: int = 0, **more: Any
    ) -> Node:
        """A runner that has joined."""
        given = {
            "hostname": "n1",
            "pid": 100,
            "boot_id": "boot",
            "process_start": 7,
            "epoch": self.clock.uuid(),
            **more,
        }
        capacity = Resources(cpus=cpus, memory=memory, gpus=gpus)
        return self.store.join(NewNode(workflow_id=workflow, capacity=capacity, **given))

    def offer(self, node: Node, **more: Any) -> Offer:
        """All of a node."""
        return Offer(**{"claim_id": self.clock.uuid(), "free": [node.capacity] * node.num_nodes, **more})

    def turn(self, node: Node, *, offer: Offer | None = None, **parts: Any) -> Orders:
        """A turn of a node."""
        return self.store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer, **parts))

    def claim(self, node: Node, **more: Any) -> Sequence[Assignment]:
        """What a node is given for all that it has."""
        return self.turn(node, offer=self.offer(node, **more)).jobs

    def finish(
        self, node: Node, given: Iterable[Assignment], status: JobStatus = JobStatus.COMPLETED
    ) -> Sequence[Verdict]:
        """Report the end of claimed jobs."""
        return self.turn(node, endings=[ended(one, status) for one in given]).endings

    def end(
        self, workflow: WorkflowId, name: str, status: JobStatus = JobStatus.COMPLETED, **more: Any
    ) -> Verdict:
        """Report the end of a job by hand."""
        job = self.job(workflow, name)
        fields = {
            "run_id": 0,
            "attempt_id": job.attempt_id,
            "lease": None,
            "return_code": CODES.get(status, 1),
            **more,
        }
        return self.store.finish(workflow, [Ending(job=job.id, status=status, **fields)])[0]

    def jobs(self, workflow: WorkflowId) -> list[Job]:
        """All jobs, by id."""
        return list(self.store.find(Job, Query(workflow=workflow, limit=1_000_000)).items)

    def job(self, workflow: WorkflowId, name: str) -> Job:
        """The job of this name."""
        return self.store.find(Job, Query(workflow=workflow, where={"name": name})).items[0]

    def statuses(self, workflow: WorkflowId) -> dict[str, str]:
        """The status of each job, by name."""
        return {job.name: job.status.label for job in self.jobs(workflow)}

    def counts(self, workflow: WorkflowId) -> dict[str, int]:
        """How many jobs are in each status; those without any are left out."""
        counts = self.store.totals([workflow])[0].counts
        return {status.label: count for status, count in sorted(counts.items()) if count}

    def results(self, workflow: WorkflowId) -> list[Result]:
        """All results, by id."""
        return list(self.store.find(Result, Query(workflow=workflow)).items)

    def events(self, workflow: WorkflowId, *names: str) -> list[Event]:
        """The events of these names, in order; all without names."""
        where: dict[str, Any] = {"category": names} if names else {}
        return list(self.store.find(Event, Query(workflow=workflow, where=where)).items)


def names(given: Iterable[Assignment]) -> list[str]:
    """The names of claimed jobs, in their order."""
    return [one.job.name for one in given]


def held(one: Assignment) -> Held:
    """How a node names a job that it holds."""
    return Held(job=one.job.id, attempt_id=one.job.attempt_id, lease=one.job.lease or "")


def ended(one: Assignment, status: JobStatus = JobStatus.COMPLETED, **more: Any) -> Ending:
    """The end of a claimed job."""
    fields = {"run_id": one.job.run_id, "attempt_id": one.job.attempt_id, "lease": one.job.lease, **more}
    return Ending(**{"job": one.job.id, "status": status, "return_code": CODES.get(status, 1), **fields})


def beat(holds: Iterable[Assignment] = (), runs: Iterable[Assignment] = ()) -> Beat:
    """A beat that lists these jobs."""
    return Beat(held=[held(one) for one in holds], running=[held(one) for one in runs])


def ids(jobs: Iterable[Job]) -> list[JobId]:
    """The ids of jobs, in their order."""
    return [job.id for job in jobs]


class SceneContract:
    """The part of the contract that all others stand on.

    A subclass provides the fixture `store`. `shared`: threads may use the store at the same time. `listens`: it tells
    of its commits (`Listening`); one behind a socket leaves that to its owner.
    """

    shared = True
    listens = True

    @pytest.fixture
    def store(self) -> Store:
        """The store to judge, empty, with the fixture `clock` as its clock."""
        raise pytest.UsageError(f"{type(self).__name__} needs a fixture named 'store'")

    @pytest.fixture
    def scene(self, store: Store, clock: SetClock) -> Scene:
        """The store with short ways to use it."""
        return Scene(store, clock)
