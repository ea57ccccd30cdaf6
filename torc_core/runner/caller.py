"""Talks to the store beside the loop: one turn in flight, and one that only listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from typing import NamedTuple

from torc_core.errors import Unavailable
from torc_core.model import Orders, Turn
from torc_core.protocols import Clock, Queue

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries while the store is away; doubling (`runner.md` §9.1)."""


class Answer(NamedTuple):
    """What a turn brought: the store's orders, or what went wrong."""

    turn: Turn
    orders: Orders | None
    error: BaseException | None


class Caller:
    """Two threads, so that a store call never delays the loop.

    Parameters
    ----------
    wake
        Called in one of the threads whenever there is an answer.
    patience
        So many seconds a turn is repeated while the store is away; every part of a turn is idempotent.
    """

    def __init__(self, store: Queue, clock: Clock, wake: Callable[[], None], patience: float) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._patience = patience
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
            self._wake()

    def _ask(self, turn: Turn) -> Answer:
        began, pause = self._clock.monotonic(), FIRST_PAUSE
        while True:
            try:
                return Answer(turn, self._store.turn(turn), None)
            except Unavailable as error:
                if self._closed.is_set() or self._clock.monotonic() - began + pause > self._patience:
                    return Answer(turn, None, error)
            except BaseException as error:  # the loop raises it again, in its own thread
                return Answer(turn, None, error)
            self._closed.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
