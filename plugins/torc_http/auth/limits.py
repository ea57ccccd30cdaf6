"""How often somebody may ask, and how long he waits after wrong passwords (`security.md` §10)."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable

from torc_core.protocols import Clock
from torc_core.record import record

REMEMBERED = 10_000
"""Names and peers; the oldest are forgotten."""

FREE_FAILURES = 5
LONGEST_WAIT = 60.0
FORGIVEN = 3_600.0
"""Seconds after which failures count no more."""

PER_MINUTE = 50
"""Failures of one peer, whatever the names."""


@record(frozen=True, slots=True, kw_only=True)
class _Failures:
    count: int
    last: float


class Failures:
    """After five failures of a name from a peer each further one doubles the wait; a flood of one peer waits too (R1)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._of: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._recent: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, name: str, peer: str) -> float:
        """Seconds that this name has to wait at this peer; 0: none."""
        now = self._clock.monotonic()
        with self._lock:
            return max(self._wait_of_name(name, peer, now), self._wait_of_peer(peer, now))

    def failed(self, name: str, peer: str) -> None:
        """A wrong password, token or signature."""
        now = self._clock.monotonic()
        with self._lock:
            before = self._of.pop((name, peer), None)
            count = before.count if before and now - before.last < FORGIVEN else 0
            self._of[name, peer] = _Failures(count=count + 1, last=now)
            recent = self._recent.pop(peer, None) or deque(maxlen=PER_MINUTE)
            recent.append(now)
            self._recent[peer] = recent
            for table in (self._of, self._recent):
                while len(table) > REMEMBERED:
                    table.popitem(last=False)

    def succeeded(self, name: str, peer: str) -> None:
        """The right one: the name's failures there are forgotten."""
        with self._lock:
            self._of.pop((name, peer), None)

    def _wait_of_name(self, name: str, peer: str, now: float) -> float:
        found = self._of.get((name, peer))
        if found is None or found.count < FREE_FAILURES or now - found.last >= FORGIVEN:
            return 0.0
        # NOTE: the exponent is bounded before the power is taken; counts grow without end.
        pause = min(LONGEST_WAIT, 2.0 ** min(found.count - FREE_FAILURES, 10))
        return max(0.0, found.last + pause - now)

    def _wait_of_peer(self, peer: str, now: float) -> float:
        recent = self._recent.get(peer)
        if recent is None or len(recent) < PER_MINUTE or now - recent[0] >= 60:
            return 0.0
        return min(LONGEST_WAIT, recent[0] + 60 - now)


class Rates:
    """So many requests per second for each key, with a burst (R2)."""

    def __init__(self, per_second: float, burst: float, clock: Clock) -> None:
        self._rate = per_second
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """Ask once; the seconds until it may be asked, 0: now."""
        now = self._clock.monotonic()
        with self._lock:
            left, since = self._left.pop(key, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._rate)
            fine = left >= 1
            self._left[key] = (left - 1 if fine else left, now)
            while len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
            return 0.0 if fine else (1 - left) / self._rate
