"""How often Slurm may be asked: one budget for all processes of a user on a host (`slurm.md` §13.5)."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torc_core.protocols import Clock
from torc_core.record import record
from torc_slurm.scheduler.sharing import folder, opened

log = logging.getLogger(__name__)

QUERIES, SUBMISSIONS = "queries", "submissions"
BURSTS = {QUERIES: 10, SUBMISSIONS: 60}
KEPT = 100
"""Calls that are remembered."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 120.0
"""Seconds without any call after Slurm has complained of too many, doubled each time."""
HALVED = 600.0
"""Seconds for which the budget is half of what it was, after such a complaint."""
TOLD = 5.0
"""Waiting longer than so many seconds is logged."""
OVERLOADED = ("socket timed out", "rate limit exceeded", "unable to contact")
"""Complaints by which Slurm says that it is asked too much."""


@record(frozen=True, slots=True, kw_only=True)
class Called:
    """One call of a command of Slurm.

    Parameters
    ----------
    at
        When it ended, in milliseconds since 1970.
    code
        Its exit code; None: it was killed, since it took too long.
    """

    at: int
    command: str
    seconds: float
    code: int | None
    pid: int = 0


class Budget:
    """A token bucket for questions and one for submissions, shared through a file.

    Parameters
    ----------
    path
        The file; None: this process has a budget of its own.
    per_minute
        By bucket.
    wait
        What sleeps; true: give up waiting.
    """

    def __init__(
        self,
        path: Path | None,
        per_minute: Mapping[str, int],
        clock: Clock,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._path = path
        self._per_minute = dict(per_minute)
        self._clock = clock
        self._wait = wait or threading.Event().wait
        self._lock = threading.Lock()
        self._own: dict[str, Any] = {}

    @property
    def per_minute_allowed(self) -> int:
        """Questions that are answered in a minute, apart from a burst."""
        return self._per_minute[QUERIES]

    def take(self, bucket: str, patience: float | None = None) -> bool:
        """Wait until one more call is in the budget; False: that would take longer than so many seconds.

        Parameters
        ----------
        patience
            None: however long it takes.
        """
        waited = 0.0
        while True:
            with self._state() as state:
                pause = self._pause(state, bucket)
            if pause <= 0:
                return True
            if patience is not None and waited + pause > patience:
                return False
            if waited <= TOLD < waited + pause:
                log.info("slurm_budget bucket=%s waits=%.1f", bucket, waited + pause)
            waited += pause
            self._wait(pause)

    def record(self, command: str, seconds: float, code: int | None, complaint: str = "") -> None:
        """Remember a call, and slow down if Slurm complains of too many."""
        now = self._clock.now()
        with self._state() as state:
            calls = [*state.get("calls", ()), [now, command, round(seconds, 3), code, os.getpid()]]
            # NOTE: `recent` counts the last minute whatever its number; `calls` are the last hundred.
            state["calls"] = calls[-KEPT:]
            recent = [one for one in state.get("recent", ()) if one[0] > now - 60_000]
            state["recent"] = [*recent, [now, command]]
            if any(words in complaint.lower() for words in OVERLOADED):
                pause = min(LONGEST_PAUSE, 2 * state["pause"]) if state.get("pause") else FIRST_PAUSE
                state.update(pause=pause, paused_until=now + pause * 1000, slow_until=now + HALVED * 1000)
            elif code == 0:
                state.pop("pause", None)

    def calls(self) -> list[Called]:
        """The last hundred, oldest first."""
        with self._state(write=False) as state:
            known = list(state.get("calls", ()))
        return [
            Called(at=at, command=command, seconds=seconds, code=code, pid=pid)
            for at, command, seconds, code, pid in known
        ]

    def per_minute(self) -> Mapping[str, int]:
        """Calls of the last minute, by command."""
        now = self._clock.now()
        with self._state(write=False) as state:
            return Counter(command for at, command in state.get("recent", ()) if at > now - 60_000)

    def _pause(self, state: dict[str, Any], bucket: str) -> float:
        """Take a token; seconds to wait if there is none."""
        now = self._clock.now()
        until: int = state.get("paused_until", 0)
        # What lies later than any pause was written before the clock was set back.
        if now < until <= now + LONGEST_PAUSE * 1000:
            return (until - now) / 1000
        slow = now < state.get("slow_until", 0) <= now + HALVED * 1000
        rate = max(1, self._per_minute[bucket]) / 60 / (2 if slow else 1)
        most = float(min(BURSTS[bucket], max(1, self._per_minute[bucket])))
        tokens: float
        tokens, at = state.get(bucket, (most, now))
        # A clock that was set back gives no tokens, and takes none.
        tokens = min(most, tokens + max(0, now - at) / 1000 * rate)
        enough = tokens >= 1
        state[bucket] = [tokens - 1 if enough else tokens, now]
        return 0.0 if enough else (1 - tokens) / rate

    @contextmanager
    def _state(self, *, write: bool = True) -> Iterator[dict[str, Any]]:
        """The state, which nobody else changes meanwhile."""
        with self._lock:
            try:
                file = None if self._path is None else opened(self._path)
            except OSError as error:
                log.debug("slurm_budget path=%s why=%s", self._path, error)
                file = None
            if file is None:
                yield self._own
                return
            with os.fdopen(file, "r+", encoding="utf-8") as text:
                fcntl.flock(text, fcntl.LOCK_EX)
                state = _read(text.read())
                yield state
                if write:
                    text.seek(0)
                    text.truncate()
                    json.dump(state, text)


def shared_file(environ: Mapping[str, str]) -> Path | None:
    """Where the processes of a user on this host share their budget; None: there is no such place."""
    shared = folder(environ)
    return None if shared is None else shared / "slurm-rpc.json"


def _read(text: str) -> dict[str, Any]:
    """The state; one that cannot be read begins anew."""
    try:
        state = json.loads(text) if text else {}
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}
