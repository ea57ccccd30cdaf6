"""How far a workflow is, on one line that is drawn again and again, or as a plain line every half minute."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, TextIO

from torc_core.model import JobStatus, Totals
from torc_core.protocols import Clock

REDRAW_SECONDS = 0.25
PLAIN_SECONDS = 30.0
COST = 50
"""A look at the totals may take one part in so many of the time: at most 2 % of a core."""

RATE_SECONDS = 30.0
"""The rate is that of the last half minute."""

_BAR = 20


def columns(stream: TextIO) -> int:
    """How wide a terminal is; one that does not know, as in a container, is taken for one of 80 columns."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


class Rate:
    """Jobs per second over the last half minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def seen(self, moment: float, done: int) -> float | None:
        """Note how many are done at a moment (seconds); the rate, None while it cannot be told."""
        seen = self._seen
        seen.append((moment, done))
        while len(seen) > 2 and moment - seen[1][0] >= RATE_SECONDS:
            seen.popleft()
        elapsed = moment - seen[0][0]
        return (done - seen[0][1]) / elapsed if elapsed > 0 else None


def line(totals: Totals, rate: float | None, now: datetime | None = None) -> str:
    """One line about a workflow: `[####----] 61/100  8 running  2 failed  1.4 jobs/s  ETA 15:05`.

    Parameters
    ----------
    rate
        Jobs per second; None or 0: neither rate nor ETA is shown.
    now
        Local time, for the ETA.
    """
    done, total = totals.done, totals.total
    filled = _BAR * done // total if total else _BAR
    parts = [f"[{'#' * filled}{'-' * (_BAR - filled)}] {done}/{total}"]
    counts = totals.counts
    for word, number in (
        ("running", counts.get(JobStatus.RUNNING, 0)),
        ("failed", counts.get(JobStatus.FAILED, 0) + counts.get(JobStatus.TERMINATED, 0)),
        ("canceled", counts.get(JobStatus.CANCELED, 0)),
    ):
        if number:
            parts.append(f"{number} {word}")
    if rate:
        parts.append(f"{rate:.1f} jobs/s" if rate < 100 else f"{rate:.0f} jobs/s")
        if now is not None and done < total:
            parts.append(f"ETA {eta(now, (total - done) / rate)}")
    return "  ".join(parts)


def eta(now: datetime, seconds: float) -> str:
    """When something ends that takes so many more seconds; with the date if that is not today."""
    if seconds > 86_400 * 365:
        return "unknown"
    end = now + timedelta(seconds=round(seconds))
    if seconds < 600:
        return f"{end:%H:%M:%S}"
    return f"{end:%H:%M}" if end.date() == now.date() else f"{end:%Y-%m-%d %H:%M}"


class ProgressView:
    """Draws the line while a block runs, in a thread of its own.

    On a terminal it is redrawn in place up to four times a second, rarer where asking for the totals is dear;
    elsewhere a plain line comes every 30 s. Text for the same stream goes through `say`, which keeps it whole.
    """

    def __init__(
        self,
        totals: Callable[[], Totals],
        clock: Clock,
        *,
        live: bool,
        plain: bool,
        stream: TextIO | None = None,
    ) -> None:
        """Prepare a view.

        Parameters
        ----------
        totals
            Asks the store.
        live
            Whether the stream is a terminal to draw on.
        plain
            Whether plain lines may be written instead.
        """
        self._totals = totals
        self._clock = clock
        self._live = live
        self._plain = plain and not live
        self._stream = sys.stderr if stream is None else stream
        self._rate = Rate()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._shown = ""
        self._thread = threading.Thread(target=self._run, name="torc-progress", daemon=True)

    def __enter__(self) -> Self:
        if self._live or self._plain:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock:
            self._clear()
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write a line of its own; a live line makes room for it."""
        with self._lock:
            self._clear()
            self._stream.write(text + "\n")
            self._draw()
            self._stream.flush()

    def hide(self, write: Callable[[], None]) -> None:
        """Call `write`, which writes to the same terminal, while the live line is away."""
        with self._lock:
            self._clear()
            self._stream.flush()
            write()
            self._draw()
            self._stream.flush()

    def _run(self) -> None:
        pause = REDRAW_SECONDS if self._live else PLAIN_SECONDS
        while not self._over.wait(pause):
            started = self._clock.monotonic()
            text = self._line(started)
            cost = self._clock.monotonic() - started
            pause = max(REDRAW_SECONDS if self._live else PLAIN_SECONDS, COST * cost)
            if self._plain:
                self.say(text)
            else:
                with self._lock:
                    self._clear()
                    self._shown = text
                    self._draw()
                    self._stream.flush()

    def _line(self, moment: float) -> str:
        totals = self._totals()
        rate = self._rate.seen(moment, totals.done)
        return line(totals, rate, datetime.fromtimestamp(self._clock.now() / 1000, UTC).astimezone())

    def _clear(self) -> None:
        if self._live and self._shown:
            self._stream.write("\r\x1b[K")

    def _draw(self) -> None:
        if self._live and self._shown:
            self._stream.write(self._shown[: max(20, columns(self._stream) - 1)])
