"""What a runner tells those who started it: each batch of ends, how it goes, and why it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from torc_core.model import Assignment, Ending
from torc_core.record import record

MOST_FAILURES = 100
"""So many failed jobs are named in a report; all are counted."""


class Leaving(StrEnum):
    """Why a runner left (`runner.md` §10.1)."""

    COMPLETE = "complete"
    CANCELED = "canceled"
    IDLE = "idle"
    NOTHING_FITS = "nothing_fits"
    SIGNAL = "signal"
    END_TIME = "end_time"
    AWAY = "away"
    FENCED = "fenced"
    DRAINED = "drained"


@record(frozen=True, slots=True, kw_only=True)
class End:
    """A job that ended here: what was claimed, what is reported, and where its output went (None: nowhere)."""

    given: Assignment
    ending: Ending
    stdout: str | None
    stderr: str | None
    delete_on_success: bool = False


@record(frozen=True, slots=True, kw_only=True)
class Tally:
    """How far this runner is: its own jobs by how they ended, and what is left of the whole workflow."""

    running: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    terminated: int = 0
    remaining: int = 0

    @property
    def bad(self) -> int:
        """Jobs that ended here without being completed."""
        return self.failed + self.canceled + self.terminated


class Watcher(Protocol):
    """Follows a runner, in the runner's own thread: an observer must be quick."""

    def ended(self, ends: Sequence[End]) -> None:
        """Jobs ended; called once per batch, at once."""
        ...

    def turned(self, tally: Tally) -> None:
        """The store has answered."""
        ...


@record(frozen=True, slots=True, kw_only=True)
class Report:
    """What a runner did and why it left.

    Parameters
    ----------
    failures
        The first of the jobs that ended badly here; `tally.bad` counts all.
    detail
        One sentence about why it left, where there is something to say.
    signal
        The first signal that made it leave.
    warnings
        Sentences about what else went wrong.
    """

    leaving: Leaving
    tally: Tally
    failures: Sequence[End] = field(default=())
    detail: str | None = None
    signal: int | None = None
    warnings: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of `torc run` (`runner.md` §10.4) as far as this runner can know it.

        Jobs that ended badly elsewhere, or in an earlier life, are for the caller to look up.
        """
        if self.signal is not None:
            return 130 if self.signal == 2 else 143
        if self.leaving in (Leaving.AWAY, Leaving.FENCED):
            return 4
        if self.leaving is Leaving.CANCELED:
            return 7
        return 1 if self.tally.bad or self.leaving is not Leaving.COMPLETE else 0
