"""A runner's right to hold jobs: it lasts as long as the store hears of it (`runner.md` §9.3)."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from threading import Event
from typing import TypeVar

from torc_core.engine.liveness import FENCE, FLAG_MS
from torc_core.errors import Unavailable, Unreached
from torc_core.model import Node, Turn
from torc_core.protocols import Clock
from torc_core.runner.log import log

R = TypeVar("R")

BEAT = 30.0
"""Seconds between two beats, unless the store's settings say otherwise."""
SPREAD = 0.1
"""A beat comes so much earlier or later, so that runners which began together do not stay together."""
BEATS_IN_LEASE = 4
"""A short lease has at least so many beats."""
QUIET = FLAG_MS / 1_000
"""Seconds for which a store that is away is not spoken of."""
LINE_EVERY = 30.0
"""Seconds between two lines about a store that is away."""
RARELY = 2
"""A runner that has nothing to list beats so many times more rarely: its claims are signs of life too."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds within which the first, and any further, repetition lies; doubling."""
NOBODY = 4.0
"""The longest of these where nobody listens, who could be disturbed: a server that is back is found within 5 s (F1)."""


class Lease:
    """How long the store has not answered, and what follows from it.

    Parameters
    ----------
    node
        As the store answered when this runner joined: `lease_seconds` is W, `on_lost` what to do at W.
    sent
        When that request was sent, monotonic seconds.
    distant
        The store is of another process. Else it never runs out: who could give the jobs to others stands still with
        this runner (`runner.md` §1).
    """

    def __init__(
        self, clock: Clock, node: Node, sent: float, beat: float = BEAT, *, distant: bool = True
    ) -> None:
        self._clock = clock
        self._beat = min(beat, node.lease_seconds / BEATS_IN_LEASE)
        self._next_beat = sent + self._beat
        self._next_line = sent + QUIET
        self.length = float(node.lease_seconds) if distant else inf
        self.fences = node.on_lost == FENCE
        self.heard = sent
        """When that call was sent which the store answered last, monotonic seconds."""
        self.lost = False
        """It has run out, and what follows from this has been done."""

    @property
    def until(self) -> float:
        """When it runs out, monotonic seconds."""
        return self.heard + self.length

    def renew(self, sent: float) -> None:
        """The store has answered a call that was sent at this time."""
        if sent > self.heard:
            self.heard = sent
            self._next_line = sent + QUIET

    def over(self, now: float) -> bool:
        """Whether the store may have given this runner up."""
        return now >= self.until

    def allows(self, turn: Turn, now: float) -> bool:
        """Whether this may be said: when it has run out, nothing but a beat (`runner.md` §9.3)."""
        return not self.over(now) or not (turn.endings or turn.starts or turn.offer)

    def begins_to_be_over(self, now: float) -> bool:
        """Whether it has run out just now, or since the last time this was asked."""
        if self.lost or not self.over(now):
            return False
        self.lost = True
        return True

    def is_back(self, now: float) -> bool:
        """Whether it had run out and is good again."""
        if not self.lost or self.over(now):
            return False
        self.lost = False
        return True

    def silence(self, now: float) -> float | None:
        """Seconds for which the store has been away, whenever a line about it is due; else None."""
        if now < self._next_line:
            return None
        self._next_line = now + LINE_EVERY
        return now - self.heard

    def beat_due(self, now: float, *, empty: bool) -> bool:
        """Whether to beat now; `empty`: there is nothing to list."""
        return now >= self.beat_at(empty=empty)

    def beat_at(self, *, empty: bool) -> float:
        """When to beat next, monotonic seconds."""
        return self._next_beat + (self._beat * (RARELY - 1) if empty else 0.0)

    def beaten(self, now: float) -> None:
        """A beat is sent."""
        spread = int(self._clock.uuid()[:4], 16) / 0xFFFF
        self._next_beat = now + self._beat * (1 - SPREAD + 2 * SPREAD * spread)

    def next_time(self) -> float:
        """When to look again, monotonic seconds."""
        return self._next_line if self.lost else min(self._next_line, self.until)


class Pauses:
    """How long to wait before the store is asked again: full jitter, ever longer (`runner.md` §9.1)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._most = 0.0

    def next(self, error: Unavailable) -> float:
        """Seconds to wait after this error; not less than the server has said."""
        longest = min(NOBODY, LONGEST_PAUSE) if isinstance(error, Unreached) else LONGEST_PAUSE
        self._most = min(max(FIRST_PAUSE, 2 * self._most), longest)
        return max(told_pause(error), self._most * int(self._clock.uuid()[:8], 16) / 0xFFFFFFFF)

    def over(self) -> None:
        """The store has answered."""
        self._most = 0.0


def told_pause(error: BaseException) -> float:
    """Seconds that the server asked to be left alone for (`Retry-After`)."""
    told = getattr(error, "details", {}).get("retry_after")
    return min(float(told), LONGEST_PAUSE) if isinstance(told, int | float) else 0.0


def insist(
    call: Callable[[], R], clock: Clock, patience: float, wait: Callable[[float], object] | None = None
) -> tuple[R, float]:
    """Make a call until the store answers it; the answer, and when the call was sent that was answered.

    Parameters
    ----------
    wait
        What sleeps between two tries, and may raise to end them.

    Raises
    ------
    Unavailable
        If it does not within `patience` seconds.
    """
    pauses, begin = Pauses(clock), clock.monotonic()
    while True:
        sent = clock.monotonic()
        try:
            return call(), sent
        except Unavailable as error:
            pause = pauses.next(error)
            if clock.monotonic() + pause - begin > patience:
                raise
            log.info("store_away next_try=%.1f why=%s", pause, error)
        (wait or Event().wait)(pause)
