"""Talks to the store beside the loop: one turn in flight, and one that only listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import NamedTuple

from torc_core.errors import Unavailable
from torc_core.model import Ending, Orders, Turn
from torc_core.protocols import Clock, Queue


class Answer(NamedTuple):
    """What a turn brought: the store's orders, or what went wrong; `sent` in monotonic seconds."""

    turn: Turn
    orders: Orders | None
    error: BaseException | None
    sent: float = 0.0


class Caller:
    """Two threads, so that a store call never delays the loop. A call is made once: the loop decides what follows.

    Parameters
    ----------
    wake
        Called in one of the threads whenever there is an answer.
    keep
        Called with results before they are sent; None: they need not be kept.
    may_send
        Whether a turn may be sent at this moment, asked just before; None: always.
    """

    def __init__(
        self,
        store: Queue,
        clock: Clock,
        wake: Callable[[], None],
        keep: Callable[[Sequence[Ending]], None] | None = None,
        may_send: Callable[[Turn, float], bool] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._keep = keep
        self._may_send = may_send
        self._closed = Event()
        self._answers: deque[Answer] = deque()
        self._turns: SimpleQueue[Turn | None] = SimpleQueue()
        self._listens: SimpleQueue[Turn | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._serve, args=(queue,), name=f"torc-{name}", daemon=True)
            for name, queue in (("turns", self._turns), ("listens", self._listens))
        ]
        for thread in self._threads:
            thread.start()

    def send(self, turn: Turn) -> None:
        """Send a turn; the caller sends the next when this one is answered."""
        self._turns.put(turn)

    def listen(self, turn: Turn) -> None:
        """Send a turn that may be held; the next `send` ends the wait."""
        self._listens.put(turn)

    def answer(self) -> Answer | None:
        """The oldest answer that has come and was not yet taken."""
        return self._answers.popleft() if self._answers else None

    def close(self, timeout: float) -> None:
        """Send nothing more, and wait up to `timeout` seconds for a turn that is on its way.

        A held turn is not waited for; the store ends it when the node leaves.
        """
        self._closed.set()
        self._turns.put(None)
        self._listens.put(None)
        self._threads[0].join(timeout)

    def join(self, timeout: float) -> None:
        """Wait until nothing of ours is inside the store, so that it may be closed; at most `timeout` seconds."""
        for thread in self._threads:
            thread.join(timeout)

    def _serve(self, queue: SimpleQueue[Turn | None]) -> None:
        while (turn := queue.get()) is not None:
            self._answers.append(self._ask(turn))
            if not self._closed.is_set():
                # Else nobody waits any more, and what would be woken may be gone.
                self._wake()

    def _ask(self, turn: Turn) -> Answer:
        sent = self._clock.monotonic()
        try:
            if self._keep is not None and turn.endings:
                self._keep(turn.endings)
                sent = self._clock.monotonic()
            if self._closed.is_set() or (self._may_send is not None and not self._may_send(turn, sent)):
                return Answer(turn, None, Unavailable("not sent"), sent)
            return Answer(turn, self._store.turn(turn), None, sent)
        except BaseException as error:  # the loop raises it again, in its own thread
            return Answer(turn, None, error, sent)
