"""What an end means: from how a process ended to status, return code and reason (`runner.md` §6.1). Pure."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from torc_core.model import JobStatus
from torc_core.model.resources import memory_text
from torc_core.protocols import Exit
from torc_core.runner.options import Execution

COULD_NOT_START = 125
NORMAL = Execution()
MINUTE = 60.0


class Cause(StrEnum):
    """Why a runner stopped a job."""

    CANCELED = "canceled"
    INTERRUPTED = "interrupted"
    WALLTIME = "walltime"
    RUNTIME = "runtime"
    MEMORY = "oom"
    LEASE = "lease_lost"


OF_ONE_JOB = frozenset((Cause.CANCELED, Cause.RUNTIME, Cause.MEMORY))
"""Nobody but the runner ends jobs for these; who ends a runner, such as Slurm, may end its jobs as well."""


class Outcome(NamedTuple):
    """What is reported."""

    status: JobStatus
    return_code: int
    reason: str | None


def outcome(
    end: Exit,
    cause: Cause | None,
    missing: Sequence[str] = (),
    *,
    killed: bool = False,
    told: str = "",
    execution: Execution = NORMAL,
) -> Outcome:
    """Judge an end.

    Parameters
    ----------
    cause
        Why we had signalled the job before it was reaped; None: we had not.
    missing
        Declared output files that are not there after exit 0, each as `name (path)`.
    killed
        It did not end within its lead.
    told
        What the reason says of the limit that was exceeded.
    """
    if end.error is not None and (cause is None or cause in OF_ONE_JOB):
        return Outcome(JobStatus.FAILED, COULD_NOT_START, end.error)
    if end.lost:
        return Outcome(JobStatus.TERMINATED, end.return_code, "runner_died")
    if cause is Cause.CANCELED:
        return Outcome(JobStatus.CANCELED, end.return_code, cause.value)
    if cause is Cause.MEMORY:
        return Outcome(JobStatus.FAILED, execution.oom_code, f"{cause.value}: {told}")
    if cause in (Cause.INTERRUPTED, Cause.LEASE):
        return Outcome(JobStatus.TERMINATED, end.return_code, cause.value)
    if cause is not None:
        code = execution.timeout_code if killed else end.return_code
        return Outcome(JobStatus.TERMINATED, code, f"{cause.value}: {told}" if told else cause.value)
    if end.timeout:
        return Outcome(JobStatus.TERMINATED, execution.timeout_code, Cause.WALLTIME.value)
    if end.return_code > 0:
        return Outcome(JobStatus.FAILED, end.return_code, "exit_code")
    if end.return_code < 0:
        return Outcome(JobStatus.FAILED, end.return_code, f"signal:{signal_name(-end.return_code)}")
    if missing:
        return Outcome(JobStatus.FAILED, 1, f"missing_output: {', '.join(missing)}")
    return Outcome(JobStatus.COMPLETED, 0, None)


def beyond_memory(peak: int, limit: int) -> str:
    """`peak 10.2g of 8g`."""
    return f"peak {memory_text(peak)} of {memory_text(limit)}"


def beyond_runtime(seconds: float, limit: float) -> str:
    """`31 min of 30 min`; short ones in seconds."""
    seconds = max(
        seconds, limit
    )  # counted from when it is started on record, a moment before its process begins
    if limit < MINUTE:
        return f"{_short(seconds)} s of {_short(limit)} s"
    return f"{_short(seconds / MINUTE)} min of {_short(limit / MINUTE)} min"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def signal_name(number: int) -> str:
    """`KILL` for 9; real-time signals, which have no name of their own, by number."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
