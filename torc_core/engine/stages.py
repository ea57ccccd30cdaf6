"""Sums a workflow up by stages: jobs whose names differ only in their numbers (`observability.md` §1)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from torc_core.model import JobStatus, Stage

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DIGITS = str.maketrans("123456789", "0" * 9)


def stage_name(job: str) -> str:
    """The name of a job's stage, with `{}` for each number: a store keeps names after expansion only."""
    return _NUMBER.sub("{}", job)


def summed(names: str, statuses: Sequence[JobStatus], minutes: Sequence[float | None]) -> Sequence[Stage]:
    """The stages of jobs, in the order of their first jobs.

    Parameters
    ----------
    names
        One in each line; no name holds a line's end (`workflow-spec.md` §4).
    minutes
        How long the current results took; None: there is none.
    """
    # PERF: names of the same form have the same stage, so that a few dozen are looked at and not a hundred thousand; and
    # one long text is translated in a tenth of the time of its parts.
    forms = names.translate(_DIGITS).split("\n")
    stages: dict[str, tuple[Counter[JobStatus], list[float]]] = {}
    members = {}
    for form in dict.fromkeys(forms):
        members[form] = stages.setdefault(stage_name(form), (Counter(), []))
    for (form, status), count in Counter(zip(forms, statuses, strict=True)).items():
        members[form][0][status] += count
    took = {form: found[1].append for form, found in members.items()}
    for form, status, length in zip(forms, statuses, minutes, strict=True):
        if length is not None and status is JobStatus.COMPLETED:
            took[form](length)
    return [_stage(name, counts, lengths) for name, (counts, lengths) in stages.items()]


def stride(jobs: int, most: int) -> int:
    """Every so manyth job is looked at, for about `most` of them; a prime, since names often come round at regular intervals."""
    least = -(-jobs // max(1, most))
    if least <= 1:
        return 1
    number = max(3, least)
    while any(number % part == 0 for part in range(2, math.isqrt(number) + 1)):
        number += 1
    return number


def _stage(name: str, counts: Mapping[JobStatus, int], minutes: Sequence[float]) -> Stage:
    return Stage(
        name=name,
        total=sum(counts.values()),
        done=sum(count for status, count in counts.items() if not status.open),
        running=counts.get(JobStatus.RUNNING, 0),
        failed=counts.get(JobStatus.FAILED, 0) + counts.get(JobStatus.TERMINATED, 0),
        median_seconds=median(minutes) * 60 if minutes else None,
    )
