"""A host of a simulation, as it is seen from inside: its link, its disk, its clock, and the runner on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torc_core.errors import TorcError
from torc_core.model import Ending, NodeId, WorkflowId
from torc_core.testing.simulator.runner import Runner
from torc_core.testing.simulator.truth import Host, Truth
from torc_core.testing.simulator.world import PATIENCE, Link, Service


class Machine:
    """A host with its link, its disk, and at most one runner at a time."""

    def __init__(self, service: Service, truth: Truth, workflow: WorkflowId, host: Host) -> None:
        self.service = service
        self.truth = truth
        self.workflow = workflow
        self.host = host
        self.link = Link()
        self.runner: Runner | None = None
        self.spool: list[Ending] = []
        """Results on disk that nobody has acknowledged."""
        self.dead: list[NodeId] = []
        """Runners of which nobody is left to say how their jobs ended."""
        self.frozen = False
        self._waiting: list[Callable[[], None]] = []

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something happen on this machine later, and not while it is frozen or after it has died."""
        boot = self.host.boots

        def happen() -> None:
            if boot != self.host.boots:
                return
            if self.frozen:
                self._waiting.append(happen)
            else:
                what()

        self.service.world.after(seconds, happen)

    def start(self) -> None:
        """Start a runner: strays of a dead one are ended, what it left is delivered, then it joins."""
        if self.runner is not None:
            return
        for tree in list(self.host.trees):
            self.truth.died(tree)
        self.runner = Runner(self)
        self.runner.join()
        self._deliver()
        self._tell_of_the_dead()

    def _tell_of_the_dead(self) -> None:
        """Say which runners of this host are known to be dead, as a runner does that starts beside them."""
        if not self.dead:
            return
        node = self.dead[0]

        def answered(answer: Any) -> None:
            if not isinstance(answer, TorcError) and node in self.dead:
                self.dead.remove(node)

        self.service.ask(self.link, lambda store: store.bury(node, "process_gone"), answered)
        self.after(PATIENCE, self._tell_of_the_dead)

    def _deliver(self) -> None:
        """Deliver what dead runners left; again until it is answered."""
        mine = self.runner.outbox if self.runner is not None else []
        left = [one for one in self.spool if one not in mine]
        if not left:
            return

        def answered(verdicts: Any) -> None:
            if isinstance(verdicts, TorcError):
                return
            for ending in left:
                if ending in self.spool:
                    self.spool.remove(ending)

        self.service.ask(self.link, lambda store: store.reconcile(self.workflow, left), answered)
        self.after(PATIENCE, self._deliver)

    def freeze(self, seconds: float) -> None:
        """The machine sleeps with all that is on it."""
        if self.frozen:
            return
        self.frozen = True
        self.service.world.after(seconds, self._wake)

    def _wake(self) -> None:
        self.frozen = False
        if self.runner is not None:
            self.runner.woken()
        waiting, self._waiting = self._waiting, []
        for what in waiting:
            what()

    def crash(self) -> None:
        """The machine dies; when it comes back it is another boot, with the same disk."""
        self.host.boots += 1
        self.frozen = False
        self._waiting.clear()
        for tree in list(self.host.trees):
            self.truth.died(tree)
        if self.runner is not None:
            self.runner.alive, self.runner.over = False, True
            self.runner = None
