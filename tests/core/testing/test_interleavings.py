"""Completion, claim, loss, cancel and retry of one job in every order: what has completed never changes (C9)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from torc_core.errors import TorcError
from torc_core.model import Job, JobStatus, Result, Turn, Workflow
from torc_core.testing.checker import Call, Recording, check, gathered
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores.scene import Scene, ended, held

LONG = 1_200 + 60 + 10
"""The default W, what is beyond it, and a sweep."""


class Life:
    """A job that a node has started, another node, and everything that may happen to it."""

    def __init__(self, retries: int) -> None:
        self.calls: list[Call] = []
        clock = SetClock()
        self.scene = Scene(Recording(MemoryStore(clock), self.calls), clock)  # type: ignore[arg-type]  # it does what a store does
        self.workflow = self.scene.started(fan(1))
        self.scene.store.change(Workflow, self.workflow, {"retry_on_node_loss": retries})
        self.node, self.other = self.scene.node(self.workflow), self.scene.node(self.workflow, hostname="n2")
        (self.given,) = self.scene.claim(self.node)
        self.offer = self.scene.offer(self.other)

    @property
    def job(self) -> Job:
        """As it is."""
        return self.scene.jobs(self.workflow)[0]

    def completes(self) -> None:
        """Its node says that it completed."""
        self.scene.finish(self.node, [self.given])

    def fails(self) -> None:
        """Its node, or a copy of what it said, says something else."""
        self.scene.finish(self.node, [self.given], JobStatus.FAILED)

    def is_lost(self) -> None:
        """Its node is silent for too long; the other one is not."""
        self.scene.move(LONG / 2)
        self.scene.turn(self.other)
        self.scene.move(LONG / 2)
        self.scene.store.sweep()

    def is_buried(self) -> None:
        """Its node is proven dead."""
        self.scene.store.bury(self.node.id, "boot_id")

    def is_claimed(self) -> None:
        """The other node asks for work, with the same claim each time."""
        self.scene.turn(self.other, offer=self.offer)

    def is_canceled(self) -> None:
        """A person cancels it."""
        self.scene.store.stop([self.given.job.id])

    def is_retried(self) -> None:
        """A person has it tried again."""
        self.scene.store.retry(self.given.job.id, 0)

    def goes_back(self) -> None:
        """Its node says that it never forked it."""
        self.scene.store.turn(Turn(node=self.node.id, epoch=self.node.epoch, give_back=[held(self.given)]))

    def is_reconciled(self) -> None:
        """What its node has left on disk is delivered."""
        self.scene.store.reconcile(self.workflow, [ended(self.given)])


VERBS: list[Callable[[Life], None]] = [
    Life.completes, Life.fails, Life.is_lost, Life.is_buried, Life.is_claimed, Life.is_canceled, Life.is_retried,
    Life.goes_back, Life.is_reconciled,
]  # fmt: skip


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("first", VERBS, ids=lambda verb: verb.__name__)
def test_no_order_of_four_breaks_an_invariant_or_changes_what_has_completed(
    first: Callable[[Life], None], retries: int
) -> None:
    for rest in permutations([verb for verb in VERBS if verb is not first], 3):
        life, orders = Life(retries), (first, *rest)
        completed: Result | None = None
        for verb in orders:
            try:
                verb(life)
            except TorcError:
                pass  # it was refused, in a sentence
            found = {one.attempt_id: one for one in life.scene.results(life.workflow)}
            if completed is not None:
                assert found[completed.attempt_id].status is JobStatus.COMPLETED, [
                    one.__name__ for one in orders
                ]
            completed = next((one for one in found.values() if one.status is JobStatus.COMPLETED), completed)

        scene = life.scene
        wrong = check(gathered(scene.store, scene.clock.now(), calls=life.calls), quiet=False)
        assert not wrong, ([one.__name__ for one in orders], [str(one) for one in wrong])
