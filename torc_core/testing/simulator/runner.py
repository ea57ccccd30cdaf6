"""A model of a runner: its turns, its lease, its outbox, its guardian (`runner.md` §3, §9; `promises.md` P4-P14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torc_core.engine.liveness import FENCE
from torc_core.errors import Fenced, TorcError
from torc_core.model import (
    Assignment,
    Beat,
    Ending,
    Held,
    JobId,
    JobStatus,
    NewNode,
    Node,
    Offer,
    Orders,
    Resources,
    Turn,
    Verdict,
)
from torc_core.testing.simulator.errands import Errands
from torc_core.testing.simulator.truth import Tree
from torc_core.testing.simulator.world import PATIENCE

if TYPE_CHECKING:
    from torc_core.testing.simulator.machine import Machine

BEAT, GRACE, IDLE = 15.0, 10.0, 5.0
"""Seconds between two beats, from TERM to KILL, between two claims that found nothing."""


def held(given: Assignment) -> Held:
    """How a node names an attempt that it has."""
    job = given.job
    return Held(job=job.id, attempt_id=job.attempt_id, lease=job.lease or "")


class Runner:
    """One runner process and its guardian."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.service = machine.service
        self.world = machine.service.world
        self.epoch = self.world.uuid()
        self.node: Node | None = None
        self.alive = True
        self.over = False
        """Nothing will be said by it any more."""
        self.lease_lost = False
        self.heard = 0.0
        self.waiting: dict[JobId, Assignment] = {}
        """Held ahead, or given and not yet forked."""
        self.running: dict[JobId, Tree] = {}
        self.errands = Errands(self)
        self.outbox: list[Ending] = []
        self.starts: list[Held] = []
        self.give_back: list[Held] = []
        self._flight: Turn | None = None
        self._offer: Offer | None = None
        self._next_beat = self._next_claim = 0.0
        self._beats = 0

    # To the server

    def join(self) -> None:
        """Ask to work, until it is answered."""
        if self.node is not None or self.over:
            return
        host, sent = self.machine.host, self.world.time
        new = NewNode(
            workflow_id=self.machine.workflow, epoch=self.epoch, hostname=host.name, pid=1, boot_id=host.boot_id,
            process_start=1, capacity=host.capacity,
        )  # fmt: skip

        def answered(node: Any) -> None:
            self.on_machine(lambda: self._joined(node, sent))

        self.service.ask(self.machine.link, lambda store: store.join(new), answered)
        self.machine.after(PATIENCE, self.join)

    def _joined(self, node: Any, sent: float) -> None:
        if isinstance(node, Node) and self.node is None and not self.over:
            self.node, self.heard = node, sent
            self._tick()

    def on_machine(self, what: Callable[[], None]) -> None:
        """An answer arrives; a frozen machine takes it when it wakes."""
        self.machine.after(0, what)

    def _tick(self) -> None:
        """Look what is due, again and again."""
        if self.over:
            return
        self.check_lease()
        self.send()
        self.machine.after(1.0, self._tick)

    def send(self) -> None:
        """Begin the next turn if none is in flight."""
        if self._flight is not None or self.node is None or self.over:
            return
        now = self.world.time
        beats = now >= self._next_beat
        offer = None
        if self.alive and not self.lease_lost:
            offer = self._offered(now)
        turn = Turn(
            node=self.node.id, epoch=self.epoch, endings=() if self.lease_lost else tuple(self.outbox),
            starts=() if self.lease_lost else tuple(self.starts), give_back=tuple(self.give_back),
            beat=self._beat() if beats else None, offer=offer,
        )  # fmt: skip
        if not (turn.endings or turn.starts or turn.give_back or turn.beat or turn.offer):
            return
        if beats:
            self._next_beat = now + BEAT * self.world.dice.uniform(0.9, 1.1)
        self._flight = turn
        self._insist(turn)

    def _offered(self, now: float) -> Offer | None:
        assert self.node is not None
        free = self.machine.host.capacity
        places = [tree.given.shape for tree in self.running.values()]
        places += [given.shape for given in self.waiting.values() if given.started and not given.ahead]
        for shape in places:
            free = free - shape.resources
        hungry = free.cpus > 0 and now >= self._next_claim
        if not hungry:
            return None
        self._next_claim = now + IDLE
        ahead, begun = self.world.dice.choice((0, 0, 1)), self.world.dice.choice((0, 1))
        return Offer(
            claim_id=self.world.uuid(), free=[free], limit=8, ahead=ahead, start_ahead=begun, busy=places
        )

    def _beat(self) -> Beat:
        starts = {one.job for one in self.starts}
        waits = [held(given) for id, given in self.waiting.items() if id not in self.running or id in starts]
        runs = [held(tree.given) for tree in self.running.values()]
        runs += self.errands.running()
        runs += [
            Held(job=one.job, attempt_id=one.attempt_id, lease=one.lease or "")
            for one in self.outbox
            if one.job not in self.running
        ]
        self._beats += 1
        return Beat(held=waits, running=runs, number=self._beats)

    def _insist(self, turn: Turn) -> None:
        """Send a turn until it is answered, or until it may not be said any more."""
        if self._flight is not turn or self.over:
            return
        if self.lease_lost and (turn.endings or turn.starts or turn.offer):
            self._flight = None
            return
        sent = self.world.time

        def answered(orders: Any) -> None:
            self.on_machine(lambda: self._answered(turn, sent, orders))

        self.service.ask(self.machine.link, lambda store: store.try_turn(turn)[0], answered)  # type: ignore[attr-defined]  # the memory store is `Embedded`
        self.machine.after(PATIENCE, lambda: self._insist(turn))

    def _answered(self, turn: Turn, sent: float, orders: Orders | TorcError) -> None:
        self.check_lease()
        if self._flight is not turn or self.over:
            return
        self._flight = None
        if isinstance(orders, Fenced):
            self._fenced()
            return
        if isinstance(orders, TorcError):
            raise orders
        self.heard = max(self.heard, sent)
        self.lease_lost = self.lease_lost and self._silent() >= self._length()
        for ending, verdict in zip(turn.endings, orders.endings, strict=True):
            self._settled(ending, verdict)
        for one, verdict in zip(turn.starts, orders.starts, strict=True):
            self.starts.remove(one)
            given = self.waiting.pop(one.job, None)
            if given is not None and verdict in (Verdict.DONE, Verdict.SAME) and self.alive:
                self._fork(given)
        for one in turn.give_back:
            self.give_back.remove(one)
        if not self.alive:
            self._guardian_is_done()
            return
        self._obey(turn, orders)
        self.send()

    def _settled(self, ending: Ending, verdict: Verdict) -> None:
        if ending in self.outbox:
            self.outbox.remove(ending)
        if ending in self.machine.spool:
            self.machine.spool.remove(ending)
        del verdict

    def _obey(self, turn: Turn, orders: Orders) -> None:
        listed = (*turn.beat.held, *turn.beat.running) if turn.beat else ()
        for id in orders.unknown:
            self._disown(id, {one.lease for one in listed if one.job == id})
        for id in orders.cancel:
            if id in self.running:
                self._kill(self.running[id], JobStatus.CANCELED)
        for id in orders.recall:
            self._return(id)
        for order in orders.recover:
            self.errands.recover(order)
        for given in orders.jobs:
            if given.job.id in self.running or given.job.id in self.waiting:
                continue
            self.waiting[given.job.id] = given
            if given.started and not given.ahead:
                del self.waiting[given.job.id]
                self._fork(given)
        for action in orders.due:
            self.errands.act(action)
        self._use_room()
        done = not self.running and not self.waiting and not self.outbox and not self.errands.recovering
        if done and (orders.complete or (orders.drain and self.world.chance(0.2))):
            self._leave()

    def _disown(self, id: JobId, leases: set[str]) -> None:
        """The store does not know an attempt that was listed; a newer one of the same job is not meant."""
        if id in self.errands.recovering and self.errands.recovering[id].lease in leases:
            del self.errands.recovering[id]
        if id in self.running and leases == {self.running[id].given.job.lease}:
            self._kill(self.running[id], None)
        if id in self.waiting and leases == {self.waiting[id].job.lease}:
            del self.waiting[id]
            self.starts = [one for one in self.starts if one.job != id]

    def _use_room(self) -> None:
        """Start what is held ahead when there is room, or give it back."""
        for id, given in list(self.waiting.items()):
            if any(one.job == id for one in (*self.starts, *self.give_back)):
                continue
            used = sum((tree.given.shape.resources for tree in self.machine.host.trees), Resources())
            if self.machine.host.capacity.covers(used + given.shape.resources):
                self.starts.append(held(given))
                return
            if self.world.chance(0.1):
                self._return(id)

    def _return(self, id: JobId) -> None:
        if id in self.waiting and not any(one.job == id for one in self.starts):
            self.give_back.append(held(self.waiting.pop(id)))

    # Its jobs

    def _fork(self, given: Assignment) -> None:
        tree = self.machine.truth.born(self.machine.host, given)
        self.running[given.job.id] = tree
        self.machine.after(self.world.dice.choice((0.1, 1, 5, 20, 60, 200)), lambda: self._exited(tree))

    def _exited(self, tree: Tree) -> None:
        """The main process has ended by itself."""
        if tree.ends or not self.machine.truth.died(tree):
            return
        status, code = self.world.dice.choice(
            ((JobStatus.COMPLETED, 0),) * 7
            + ((JobStatus.FAILED, 1), (JobStatus.FAILED, 7), (JobStatus.FAILED, 9))
        )
        self._ended(tree, status, code, None)

    def _ended(self, tree: Tree, status: JobStatus, code: int, reason: str | None) -> None:
        job = tree.given.job
        if self.running.get(job.id) is tree:
            del self.running[job.id]
        ending = Ending(
            job=job.id, run_id=job.run_id, attempt_id=job.attempt_id, lease=job.lease, status=status,
            return_code=code, reason=reason, node=None if self.node is None else self.node.id,
        )  # fmt: skip
        self.outbox.append(ending)
        self.machine.spool.append(ending)
        if self.alive:
            self.check_lease()
            self.send()

    def _kill(
        self, tree: Tree, status: JobStatus | None, reason: str | None = None, grace: float = GRACE
    ) -> None:
        """TERM, and KILL within the grace; `status` None: nobody wants to hear of it."""
        if tree.ends:
            return
        tree.ends = True
        runner = self

        def gone() -> None:
            if not runner.machine.truth.died(tree):
                return
            if status is None:
                runner.running.pop(tree.given.job.id, None)
            else:
                runner._ended(tree, status, 143, reason)

        if grace:
            self.machine.after(self.world.dice.uniform(0, grace), gone)
        else:
            gone()

    # Its lease

    def _length(self) -> float:
        assert self.node is not None
        return float(self.node.lease_seconds)

    def _silent(self) -> float:
        return self.world.time - self.heard

    def check_lease(self) -> None:
        """What follows when the store has not answered for the length of the lease (P10)."""
        if self.node is None or self.over or self.lease_lost or self._silent() < self._length():
            return
        self.lease_lost = True
        flight = self._flight
        if flight is not None and (flight.endings or flight.starts or flight.offer):
            self._flight = None
        self.waiting.clear()
        self.starts.clear()
        if self.node.on_lost == FENCE:
            for tree in list(self.running.values()):
                # Who wakes up late has no time left for a grace.
                late = self._silent() > self._length() + GRACE
                self._kill(tree, JobStatus.TERMINATED, "lease_lost", 0 if late else GRACE)
            self.errands.end_scripts()

    def woken(self) -> None:
        """After a pause: the lease first."""
        self.check_lease()

    def _fenced(self) -> None:
        """The store has given this runner's place away: everything ends, nothing is said."""
        self.over = True
        for tree in list(self.running.values()):
            self._kill(tree, None, grace=0)
        self._forget()

    def _leave(self) -> None:
        assert self.node is not None
        node = self.node.id
        self.over = True
        self.service.ask(self.machine.link, lambda store: store.leave(node, None), lambda _: None)
        self._forget()

    def _forget(self) -> None:
        if self.machine.runner is self:
            self.machine.runner = None
            self.machine.after(self.world.dice.uniform(5, 120), self.machine.start)

    # Its death

    def killed(self) -> None:
        """`kill -9` of the worker: the guardian ends its jobs, says so, and gives back what was not forked (P12)."""
        if not self.alive:
            return
        self.alive = False
        self.errands.recovering.clear()
        if self.node is None:
            self.over = True
            self._forget()
            return
        self._flight = None
        self.starts.clear()
        self.give_back += [held(given) for given in self.waiting.values()]
        self.waiting.clear()
        for tree in list(self.running.values()):
            self._kill(tree, JobStatus.TERMINATED, "runner_died")
        self.machine.after(GRACE + 1, self.send)

    def vanished(self) -> None:
        """Worker and guardian are killed at once: its processes stay until the next runner comes (F5)."""
        self.alive, self.over = False, True
        for tree in self.running.values():
            # Nobody is left who waits for them.
            tree.ends = True
        if self.machine.runner is self:
            self.machine.runner = None
        if self.node is not None:
            self.machine.dead.append(self.node.id)
        self.machine.after(self.world.dice.uniform(1, 20), self.machine.start)

    def _guardian_is_done(self) -> None:
        if self.running or self.outbox or self.give_back:
            self.send()
            return
        self._leave()
