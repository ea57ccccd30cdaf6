"""What an end means: from how a process ended to status, return code and reason (`runner.md` §6.1). Pure."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from torc_core.model import JobStatus
from torc_core.protocols import Exit

COULD_NOT_START = 125


class Cause(StrEnum):
    """Why a runner stopped a job."""

    CANCELED = "canceled"
    INTERRUPTED = "interrupted"


class Outcome(NamedTuple):
    """What is reported."""

    status: JobStatus
    return_code: int
    reason: str | None


def outcome(end: Exit, cause: Cause | None, missing: Sequence[str] = ()) -> Outcome:
    """Judge an end.

    Parameters
    ----------
    cause
        Why we had signalled the job before it was reaped; None: we had not.
    missing
        Declared output files that are not there after exit 0, each as `name (path)`.
    """
    if end.error is not None:
        return Outcome(JobStatus.FAILED, COULD_NOT_START, end.error)
    if end.lost:
        return Outcome(JobStatus.TERMINATED, end.return_code, "runner_died")
    if cause is Cause.CANCELED:
        return Outcome(JobStatus.CANCELED, end.return_code, cause.value)
    if cause is Cause.INTERRUPTED:
        return Outcome(JobStatus.TERMINATED, end.return_code, cause.value)
    if end.return_code > 0:
        return Outcome(JobStatus.FAILED, end.return_code, "exit_code")
    if end.return_code < 0:
        return Outcome(JobStatus.FAILED, end.return_code, f"signal:{signal_name(-end.return_code)}")
    if missing:
        return Outcome(JobStatus.FAILED, 1, f"missing_output: {', '.join(missing)}")
    return Outcome(JobStatus.COMPLETED, 0, None)


def signal_name(number: int) -> str:
    """`KILL` for 9; real-time signals, which have no name of their own, by number."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
