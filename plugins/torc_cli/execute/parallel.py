"""How many commands at once: `-j 8`, `-j 50%`, `-j +2`, `-j -1`."""

from __future__ import annotations

import re

from torc_core.errors import UsageError

_JOBS = re.compile(r"([+-]?)([0-9]{1,7})(%?)")


def parse_jobs(text: str, cpus: int) -> int:
    """The number that is meant on a host with that many CPUs; at least 1, but 0 stays 0: no cap.

    Raises
    ------
    UsageError
        If the text is not a number, a percentage or an offset.
    """
    found = _JOBS.fullmatch(text.strip())
    if not found or (found[1] and found[3]):
        raise UsageError(f"-j '{text}' is not a number of jobs; write e.g. 8, 50%, +2, -1, or 0 for no cap")
    number = int(found[2])
    if found[3]:
        return max(1, cpus * number // 100)
    if found[1]:
        return max(1, cpus + (number if found[1] == "+" else -number))
    return number
