"""When an allocation ends: looked up once, at the start of its runner (`slurm.md` §5, 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torc_slurm.scheduler.times import endless, instant, seconds

ASK = ("-h", "-o", "%e|%L")
"""What squeue is asked for: the end, and the time left."""


def end_of(environ: Mapping[str, str], now: int, ask: Callable[[], str | None]) -> int | None:
    """Milliseconds since 1970; None: it has no end, or nobody knows it.

    Parameters
    ----------
    now
        Milliseconds since 1970.
    ask
        Asks squeue; None: it does not answer.
    """
    if (told := instant(environ.get("SLURM_JOB_END_TIME", ""))) is not None:
        return told or None
    said = ask()
    if said is not None:
        end, _, left = said.strip().partition("|")
        if endless(left):
            return None
        if (at := instant(end)) is not None:
            return at
        if (rest := seconds(left)) is not None:
            return now + int(1000 * rest)
    limit = environ.get("SLURM_TIMELIMIT", "")
    # A plain number counts minutes, as everywhere in Slurm.
    length = 60.0 * int(limit) if limit.isascii() and limit.isdigit() else seconds(limit)
    if length is None:
        return None
    start = instant(environ.get("SLURM_JOB_START_TIME", ""))
    return (now if start is None else start) + int(1000 * length)
