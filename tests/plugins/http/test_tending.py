"""A server does by itself what is due in the queue of its host, for its own user only, and leaves others the first go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.errors import Unavailable
from torc_core.model import Initialize, PlannedAction, PlannedScheduler, Query, SlurmScheduler, WorkflowId
from torc_core.protocols import Store, Synced, Tended
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_http.tending import GRACE, ROUND, Tender


class Asked:
    """A batch system that only notes what it is asked for."""

    def __init__(self) -> None:
        self.tended: list[WorkflowId] = []
        self.synced: list[WorkflowId] = []

    def tend(self, workflow, *, node=None):
        self.tended.append(workflow)
        return Tended()

    def sync(self, workflow, *, dry_run=False, age=0.0):
        self.synced.append(workflow)
        return Synced()

    def calls(self):
        return {"squeue": 3}


@pytest.fixture
def store(clock: SetClock) -> Store:
    return MemoryStore(clock)


@pytest.fixture
def batch() -> Asked:
    return Asked()


@pytest.fixture
def tender(store: Store, clock: SetClock, batch: Asked) -> Tender:
    made = Tender(store, clock, lambda: {"slurm": batch}, "ana")
    made.start()
    made.close()
    return made


def scheduled(store: Store, user: str) -> WorkflowId:
    action = PlannedAction(
        trigger_type="on_workflow_start",
        action_type="schedule_nodes",
        config={"scheduler": "short", "scheduler_type": "slurm", "num_allocations": 1},
    )
    scheduler = PlannedScheduler(name="short", fields={"account": "a", "walltime": "01:00:00"})
    workflow = store.create(replace(fan(1), schedulers=[scheduler], actions=[action]), user).id
    store.initialize(workflow, Initialize())
    return workflow


def test_a_server_that_may_not_submit_finds_ends_all_the_same(
    store: Store, clock: SetClock, batch: Asked
) -> None:
    workflow = scheduled(store, "ana")
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow)).items
    (intent,) = store.intend(workflow, "r", scheduler.id, 1, 1)
    store.submitted(intent.id, intent.submission_key, "7")
    tender = Tender(store, clock, lambda: {"slurm": batch}, "ana", submits=False)
    tender.start()
    tender.close()
    tender._closed.clear()

    for _ in range(3):
        tender.look()
        clock.move(GRACE + ROUND)

    assert (batch.tended, batch.synced) == ([], [workflow] * 3)


def test_a_firing_is_left_to_others_for_a_while(
    tender: Tender, batch: Asked, store: Store, clock: SetClock
) -> None:
    workflow = scheduled(store, "ana")
    scheduled(store, "eve")

    tender._closed.clear()
    tender.look()
    early = list(batch.tended)
    clock.move(GRACE)
    tender.look()

    assert (early, batch.tended) == ([], [workflow])


def test_allocations_are_looked_after_once_a_minute(
    tender: Tender, batch: Asked, store: Store, clock: SetClock
) -> None:
    workflow = scheduled(store, "ana")
    (due,) = store.due_actions(workflow)
    store.claim_action(due.id, "c", None)

    tender._closed.clear()
    for _ in range(5):
        tender.look()
        clock.move(ROUND / 4)

    assert batch.synced == batch.tended == [workflow, workflow]
    assert tender.calls() == {("slurm", "squeue"): 3}


@pytest.mark.parametrize("trouble", [Unavailable("away"), RuntimeError("a bug")])
def test_the_trouble_of_one_workflow_is_not_that_of_others(
    tender: Tender,
    batch: Asked,
    store: Store,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
) -> None:
    first, second = scheduled(store, "ana"), scheduled(store, "ana")
    tend = batch.tend

    def fails(workflow: WorkflowId, *, node: object = None) -> Tended:
        if workflow == first:
            raise trouble
        return tend(workflow)

    monkeypatch.setattr(batch, "tend", fails)
    tender._closed.clear()
    tender.look()
    clock.move(GRACE)

    tender.look()

    assert batch.tended == [second]
