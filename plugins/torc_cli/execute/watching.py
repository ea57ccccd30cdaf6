"""Follows a runner for those who want to know of every job that ends: printing, the job log, `--halt`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from torc_core.model import Assignment, Held, JobId, JobStatus, NewNode, Node, NodeId, Orders, Turn, Usage
from torc_core.protocols import Queue
from torc_core.runner.report import End, Tally

TICK_SECONDS = 0.05


class Consumer(Protocol):
    """Wants to know of every job that ended here; called in one thread, in the order of the ends."""

    def ended(self, end: End) -> None:
        """A job has ended."""
        ...

    def tick(self, running: Mapping[JobId, Assignment]) -> None:
        """Some time has passed; these jobs run or are about to."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


@dataclass(slots=True)
class Work:
    """What a runner has done, in seconds of execution time: as such, and times the CPUs of each job."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Reporter:
    """The watcher of a runner: hands ends to consumers in a thread of its own, so that they cost it next to nothing."""

    def __init__(
        self,
        consumers: Sequence[Consumer],
        failed: Callable[[End], None],
        say: Callable[[str], None],
        counted: Callable[[End], None] | None = None,
    ) -> None:
        """Prepare.

        Parameters
        ----------
        failed, counted
            Called at once, before the store knows: for each job that ended badly, for each job.
        say
            Writes a line for the user.
        """
        self._consumers = tuple(consumers)
        self._failed = failed
        self._say = say
        self._counted = counted
        self._queue: SimpleQueue[End | str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="torc-reporter", daemon=True)
        self._running: Callable[[], Mapping[JobId, Assignment]] | None = None
        self.work = Work()
        self.tally = Tally()
        self.error: OSError | None = None
        """Why consumers are told nothing more."""

    def start(self, running: Callable[[], Mapping[JobId, Assignment]] | None = None) -> None:
        """Begin; with `running` consumers are told twenty times a second what runs."""
        self._running = running
        self._thread.start()

    def tell(self, text: str) -> None:
        """Have a line written soon; callable from a signal handler."""
        self._queue.put(text)

    def ended(self, ends: Sequence[End]) -> None:
        """Jobs ended."""
        work = self.work
        for end in ends:
            seconds = end.ending.exec_minutes * 60
            work.seconds += seconds
            work.cpu_seconds += seconds * end.given.shape.cpus
            if self._counted is not None:
                self._counted(end)
            if end.ending.status is not JobStatus.COMPLETED:
                self._failed(end)
            if self._consumers:
                self._queue.put(end)

    def turned(self, tally: Tally) -> None:
        """The store has answered."""
        self.tally = tally

    def close(self) -> None:
        """Hand over what is left, and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        pause = None if self._running is None else TICK_SECONDS
        while True:
            try:
                end = self._queue.get(timeout=pause)
            except Empty:
                self._tick()
                continue
            if end is None:
                break
            if isinstance(end, str):
                self._say(end)
                continue
            self._each(lambda consumer, end=end: consumer.ended(end))  # type: ignore[misc]  # bound early
            if self._queue.empty():
                self._tick()
        self._each(lambda consumer: consumer.close())

    def _tick(self) -> None:
        if self._running is not None:
            running = self._running()
            self._each(lambda consumer: consumer.tick(running))

    def _each(self, call: Callable[[Consumer], None]) -> None:
        if self.error is not None:
            return
        for consumer in self._consumers:
            try:
                call(consumer)
            except OSError as error:
                # NOTE: a full disk or a closed pipe must not stop the jobs; it is told at the end.
                self.error = error
                return


class Overlooked:
    """The queue of a runner, with a memory of what it gave, and a way to make the runner start nothing more."""

    def __init__(self, queue: Queue, joined: Callable[[Node], None] | None = None) -> None:
        self._queue = queue
        self._joined = joined
        self._held: dict[JobId, Assignment] = {}
        self._halted = False

    @property
    def server_id(self) -> str:
        """As the store says."""
        return self._queue.server_id

    def running(self) -> Mapping[JobId, Assignment]:
        """What this runner holds."""
        return dict(self._held)

    def halt(self) -> None:
        """From the next turn on nothing is claimed, what has not begun goes back, and the runner leaves in the end."""
        self._halted = True

    def join(self, node: NewNode) -> Node:
        """As the store does; who wants to know is told."""
        joined = self._queue.join(node)
        if self._joined is not None:
            self._joined(joined)
        return joined

    def turn(self, turn: Turn) -> Orders:
        """As the store does, until it is halted."""
        if self._halted and turn.offer is not None:
            turn = replace(turn, offer=replace(turn.offer, limit=0, ahead=0))
        orders = self._queue.turn(turn)
        for job in (*(end.job for end in turn.endings), *(back.job for back in turn.give_back)):
            self._held.pop(job, None)
        if self._halted:
            return self._none_more(turn, orders)
        for assignment in orders.jobs:
            self._held[assignment.job.id] = assignment
        return orders

    def leave(self, node: NodeId, usage: Usage | None) -> None:
        """As the store does."""
        self._queue.leave(node, usage)

    def _none_more(self, turn: Turn, orders: Orders) -> Orders:
        """Return what came all the same, and recall what the runner has not begun."""
        if orders.jobs:
            back = [
                Held(job=given.job.id, attempt_id=given.job.attempt_id, lease=given.job.lease or "")
                for given in orders.jobs
            ]
            self._queue.turn(Turn(node=turn.node, epoch=turn.epoch, give_back=back))
        return replace(orders, jobs=(), recall=tuple(self._held), never=True, reason=HALTED)


HALTED = "halted"
