"""When to stop early: `--halt now,fail=1`, `--halt soon,done=20%`."""

from __future__ import annotations

import re
from math import ceil

from torc_core.errors import UsageError
from torc_core.record import record

_HALT = re.compile(r"(now|soon),(fail|success|done)(?:=([0-9]{1,9})(%)?)?")


@record(frozen=True, slots=True, kw_only=True)
class Halt:
    """A condition on what has ended.

    Parameters
    ----------
    now
        Running jobs are killed too; otherwise they end by themselves and only no new one starts.
    what
        `fail`, `success` or `done`.
    limit
        Jobs, or percent of all jobs.
    """

    now: bool
    what: str
    limit: int
    percent: bool = False

    def reached(self, *, good: int, bad: int, total: int) -> bool:
        """Whether to stop, given how many jobs ended well and badly out of all."""
        seen = {"fail": bad, "success": good, "done": good + bad}[self.what]
        return seen >= (max(1, ceil(total * self.limit / 100)) if self.percent else self.limit)


def parse_halt(text: str) -> Halt | None:
    """Read a halt condition; `never` gives None.

    Raises
    ------
    UsageError
        If the text is not one.
    """
    if text == "never":
        return None
    found = _HALT.fullmatch(text)
    limit = int(found[3] or 1) if found else 0
    if not found or limit < 1 or (found[4] and limit > 100):
        raise UsageError(f"--halt '{text}' is not a condition; write e.g. now,fail=1, soon,fail=10% or never")
    return Halt(now=found[1] == "now", what=found[2], limit=limit, percent=bool(found[4]))
