"""What a runner of a simulation is asked for besides jobs: recovery scripts and actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torc_core.errors import TorcError
from torc_core.model import ActionClaim, ActionId, Held, JobId, Recovery
from torc_core.protocols import Store
from torc_core.testing.simulator.world import PATIENCE

if TYPE_CHECKING:
    from torc_core.testing.simulator.runner import Runner


class Errands:
    """Scripts and actions of one runner; each is done once, and told until it is answered."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.recovering: dict[JobId, Recovery] = {}
        self._actions: dict[ActionId, str] = {}
        self._ended: set[JobId] = set()

    def end_scripts(self) -> None:
        """The lease is over: scripts are ended too, and that is said when the store is back."""
        self._ended = set(self.recovering)

    def running(self) -> list[Held]:
        """Attempts whose script runs, as a beat lists them."""
        return [
            Held(job=one.job, attempt_id=one.attempt_id, lease=one.lease) for one in self.recovering.values()
        ]

    def recover(self, order: Recovery) -> None:
        if order.job in self.recovering:
            return
        self.recovering[order.job] = order
        self._runner.machine.truth.effect(
            f"script of job {order.job}, attempt {order.attempt_id}, lease {order.lease}"
        )
        ok = self._runner.world.chance(0.7)
        self._runner.machine.after(self._runner.world.dice.uniform(0, 40), lambda: self._recovered(order, ok))

    def _recovered(self, order: Recovery, ok: bool) -> None:
        """Say how the script ended, until it is answered."""
        if (
            self._runner.over
            or not self._runner.alive
            or order.job not in self.recovering
            or self._runner.node is None
        ):
            return
        ok = ok and order.job not in self._ended
        node, epoch = self._runner.node.id, self._runner.epoch
        one = Held(job=order.job, attempt_id=order.attempt_id, lease=order.lease)

        def answered(answer: Any) -> None:
            if not isinstance(answer, TorcError):
                self._runner.on_machine(lambda: self._told(order))

        if not self._runner.lease_lost:
            self._runner.service.ask(
                self._runner.machine.link, lambda store: store.recovered(node, epoch, one, ok), answered
            )
        self._runner.machine.after(PATIENCE, lambda: self._recovered(order, ok))

    def _told(self, order: Recovery) -> None:
        if self.recovering.get(order.job) is order:
            del self.recovering[order.job]

    def act(self, action: ActionId) -> None:
        """Claim an action, do it, say so; each until it is answered."""
        if action in self._actions or self._runner.node is None:
            return
        self._actions[action] = claim = self._runner.world.uuid()
        node, done = self._runner.node.id, False

        def said(answer: Any) -> None:
            if not isinstance(answer, TorcError):
                self._actions.pop(action, None)

        def claimed(answer: Any) -> None:
            nonlocal done
            if done or not self._runner.alive:
                return
            done = True
            if not isinstance(answer, ActionClaim):
                self._actions.pop(action, None)
                return
            begin(answer)

        def begin(answer: ActionClaim) -> None:
            if self._runner.over or not self._runner.alive:
                return

            acted = False

            def stepped(run: Any) -> None:
                nonlocal acted
                if acted or isinstance(run, TorcError) or not self._runner.alive:
                    return
                acted = True
                self._runner.machine.truth.effect(f"action {action} of run {answer.run.run_id}")
                self._until(lambda store: store.end_action(action, claim, ok=True), said)

            self._until(lambda store: store.step_action(action, claim, 1), stepped)

        self._until(lambda store: store.claim_action(action, claim, node), claimed)

    def _until(self, request: Callable[[Store], Any], answered: Callable[[Any], None]) -> None:
        """Ask until there is an answer."""
        told = False

        def first(answer: Any) -> None:
            nonlocal told
            if not told:
                told = True
                self._runner.on_machine(lambda: answered(answer))

        def again() -> None:
            if not told and not self._runner.over and self._runner.alive:
                self._runner.service.ask(self._runner.machine.link, request, first)
                self._runner.machine.after(PATIENCE, again)

        again()
