"""How long an allocation is asked for, and how much of that jobs can use (`slurm.md` §7.3, ST1)."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.errors import UsageError
from torc_core.model import Json
from torc_core.record import record
from torc_slurm.scheduler.times import written

START_UP = 60
"""Seconds from the begin of an allocation to the first job."""

STRATEGIES = ("max-job-runtime", "max-partition-time")


@record(frozen=True, slots=True, kw_only=True)
class Overhead:
    """What an allocation loses at both of its ends, in seconds.

    Parameters
    ----------
    window
        Over which the runners spread their start.
    before_end
        Before its end no job may still run.
    """

    window: int = 0
    before_end: int = 90

    @property
    def seconds(self) -> int:
        """All of it: O."""
        return self.window + START_UP + self.before_end


def before_end(execution_config: Mapping[str, Json] | None, expiration_buffer: int | None) -> int:
    """Seconds before the end of an allocation that its runner keeps for itself."""
    config = execution_config or {}

    def seconds(key: str, default: int) -> int:
        value = config.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    own = seconds("sigterm_lead_seconds", 30) + seconds("sigkill_headroom_seconds", 60)
    return max(own, expiration_buffer or 0)


def walltime(
    longest: int,
    overhead: int,
    partition_maximum: int,
    *,
    strategy: str = "max-job-runtime",
    multiplier: float = 1.5,
    fixed: int | None = None,
    rounds: int | None = None,
) -> int:
    """The walltime of allocations whose longest job takes `longest` seconds, in seconds (PL9).

    Parameters
    ----------
    fixed
        What the user asks for.
    rounds
        At least so many of the longest job, one after the other.

    Raises
    ------
    UsageError
        If what the user asks for is too short for the longest job, or too long for the partition.
    """
    if fixed is not None:
        if fixed < longest + overhead:
            raise UsageError(
                f"--walltime {written(fixed)} is too short: the longest job takes {written(longest)} and "
                f"{overhead} s are needed around it; give at least {written(minutes(longest + overhead))}"
            )
        if fixed > partition_maximum:
            raise UsageError(
                f"--walltime {written(fixed)} is more than the partition allows: {written(partition_maximum)}"
            )
        return fixed
    if strategy == "max-partition-time":
        return partition_maximum
    wanted = max(round(longest * multiplier, 3), longest * (rounds or 1) + overhead)
    return min(minutes(wanted), partition_maximum)


def minutes(seconds: float) -> int:
    """Rounded up to whole minutes, in seconds."""
    return int(-(-seconds // 60)) * 60
