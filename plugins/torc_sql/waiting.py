"""Turns that wait for work: who waits, since when, and what ends it (`engine.md` §7.8, §7.10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Condition

from torc_core.model import ActionId, JobId, NodeId, Orders, WorkflowId


@dataclass(frozen=True, slots=True)
class Told:
    """What a node was last told, so that a held turn is answered early only for what is new."""

    ended: tuple[bool, ...] = (False, False, False, False)
    orders: frozenset[JobId] = frozenset()
    due: frozenset[ActionId] = frozenset()


class Waiting:
    """The turns that are held in this process."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._pulses: dict[WorkflowId, int] = {}
        self._turns: dict[NodeId, int] = {}
        self._told: dict[NodeId, Told] = {}

    def arrive(self, node: NodeId) -> int:
        """A turn has come; one of the same node that is held ends. The number of this one."""
        with self._changed:
            number = self._turns[node] = self._turns.get(node, 0) + 1
            self._changed.notify_all()
        return number

    def pulse(self, workflow: WorkflowId) -> int:
        """How often a workflow has been woken."""
        with self._changed:
            return self._pulses.get(workflow, 0)

    def wake(self, workflows: Iterable[WorkflowId]) -> None:
        """Something has happened in these workflows that those who wait should look at."""
        with self._changed:
            for workflow in workflows:
                self._pulses[workflow] = self._pulses.get(workflow, 0) + 1
            self._changed.notify_all()

    def wait(self, node: NodeId, number: int, workflow: WorkflowId, seen: int, seconds: float) -> bool | None:
        """Wait for the workflow to be woken: whether it was; None: the node's next turn is here."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._pulses.get(workflow, 0) != seen or self._turns[node] != number, seconds
            )
            if self._turns[node] != number:
                return None
            return self._pulses.get(workflow, 0) != seen

    def news(self, node: NodeId, answer: Orders) -> bool:
        """Whether the answer says anything that the node was not told before, so that it must not be held back."""
        told = self._told.get(node, Told())
        now = _told(answer)
        fresh = any(after and not before for after, before in zip(now.ended, told.ended, strict=True))
        return bool(answer.jobs) or fresh or not (now.orders <= told.orders and now.due <= told.due)

    def remember(self, node: NodeId, answer: Orders) -> Orders:
        """Note what a node is told now."""
        self._told[node] = _told(answer)
        return answer

    def forget(self, node: NodeId) -> None:
        """The node has left."""
        with self._changed:
            self._told.pop(node, None)
            if node in self._turns:
                self._turns[node] += 1
                self._changed.notify_all()


def _told(answer: Orders) -> Told:
    return Told(
        ended=(answer.complete, answer.canceled, answer.never, answer.drain),
        orders=frozenset((*answer.cancel, *answer.recall, *answer.unknown)),
        due=frozenset(answer.due),
    )
