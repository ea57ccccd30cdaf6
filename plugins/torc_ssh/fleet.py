"""One function over many hosts: so many at once, results in the order of the list, no failure stops another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

from torc_core.errors import TorcError

H = TypeVar("H")
R = TypeVar("R")

STARTS_PER_SECOND = 10
"""New connections to one host (`remote.md` RW67)."""

SILENCE = 1.0
"""Seconds after which a host that has not let us in is waited for out of turn."""


class Outcome(Generic[H, R]):
    """What came of one host: a result, or an error of ours."""

    __slots__ = ("_result", "error", "host")

    def __init__(self, host: H, result: R | None, error: TorcError | None) -> None:
        self.host = host
        self.error = error
        self._result = result

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.error is None

    @property
    def result(self) -> R:
        """The result; raises the error when there is none."""
        if self.error:
            raise self.error
        return self._result  # type: ignore[return-value]  # without an error it is what the function gave


class Turns:
    """So many hosts have their turn at once; one that shows no sign of life is waited for out of turn.

    Parameters
    ----------
    begin
        Begins with one more host: called when one has left its turn.
    """

    def __init__(self, count: int, begin: Callable[[], None]) -> None:
        self._free = threading.Semaphore(count)
        self._begin = begin

    def __enter__(self) -> None:
        self._free.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._free.release()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Leave the turn when this takes longer than `SILENCE`, and have it back afterwards."""
        left, over = threading.Lock(), threading.Event()
        gone = False

        def leave() -> None:
            nonlocal gone
            with left:
                if not over.is_set():
                    gone = True
                    self._free.release()
                    self._begin()

        timer = threading.Timer(SILENCE, leave)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with left:
                over.set()
            if gone:
                self._free.acquire()


_TURNS: ContextVar[Turns | None] = ContextVar("turns", default=None)


def waiting() -> AbstractContextManager[None]:
    """In here a host is waited for that may be dead: others have their turn meanwhile, if `over` calls for it."""
    turns = _TURNS.get()
    return nullcontext() if turns is None else turns.waiting()


def over(
    hosts: Sequence[H],
    act: Callable[[H], R],
    *,
    parallel: int = 10,
    progress: Callable[[int, int], None] | None = None,
    first: Callable[[H], float] | None = None,
) -> list[Outcome[H, R]]:
    """Call `act` with every host, at most `parallel` at once; outcomes in the order of `hosts`.

    Those that wait for a sign of life (`waiting`) do not count: some dead hosts take no longer than one.

    What `act` raises as a `TorcError` becomes the outcome of that host; anything else is a bug, and is raised when
    all others have ended. An interrupt is raised at once: hosts that are not yet begun are left out, and nobody waits
    for the others, whose threads end with the process.

    Parameters
    ----------
    progress
        Is told how many have ended, of how many; from this thread.
    first
        Hosts for which it gives less are begun before others; normally in the order of the list.
    """
    order = sorted(range(len(hosts)), key=lambda number: first(hosts[number])) if first else range(len(hosts))
    left = iter(order)
    taking = threading.Lock()
    stopped = threading.Event()
    ended: SimpleQueue[tuple[int, Outcome[H, R] | BaseException]] = SimpleQueue()

    def begin() -> None:
        threading.Thread(target=work, name="torc-host", daemon=True).start()

    turns = Turns(parallel, begin)

    def work() -> None:
        _TURNS.set(turns)
        while not stopped.is_set():
            with turns:
                with taking:
                    number = next(left, None)
                if number is None or stopped.is_set():
                    return
                outcome = _outcome(hosts[number], act)
            ended.put((number, outcome))

    for _ in range(min(parallel, len(hosts))):
        begin()
    found: dict[int, Outcome[H, R] | BaseException] = {}
    try:
        while len(found) < len(hosts):
            number, outcome = ended.get()
            found[number] = outcome
            if progress:
                progress(len(found), len(hosts))
    finally:
        stopped.set()
    outcomes = []
    for number in range(len(hosts)):
        outcome = found[number]
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes.append(outcome)
    return outcomes


def _outcome(host: H, act: Callable[[H], R]) -> Outcome[H, R] | BaseException:
    try:
        return Outcome(host, act(host), None)
    except TorcError as error:
        return Outcome(host, None, error)
    except BaseException as bug:
        return bug


class Pace:
    """At most so many starts in any second for each key: a jump host, a name that is looked up (RW67).

    Parameters
    ----------
    now
        Seconds of a clock that never goes back.
    pause
        Waits so many seconds.
    """

    def __init__(
        self, rate: int, now: Callable[[], float], pause: Callable[[float], object] | None = None
    ) -> None:
        self._rate = rate
        self._now = now
        self._pause = pause or threading.Event().wait
        self._lock = threading.Lock()
        self._starts: dict[str, deque[float]] = {}

    def wait(self, key: str) -> None:
        """Return when one more may start."""
        with self._lock:
            starts = self._starts.setdefault(key, deque(maxlen=self._rate))
            now = self._now()
            at = max(now, starts[0] + 1) if len(starts) == self._rate else now
            starts.append(at)
        if at > now:
            self._pause(at - now)
