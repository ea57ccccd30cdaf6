"""Sums a workflow up by stages: jobs whose names differ only in their numbers (`observability.md` §1)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from torc_core.model import JobStatus, Stage

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def stage_name(job: str) -> str:
    """The name of a job's stage, with `{}` for each number: a store keeps names after expansion only."""
    return _NUMBER.sub("{}", job)


def summed(jobs: Iterable[tuple[str, JobStatus, float | None]]) -> Sequence[Stage]:
    """The stages of jobs, given as name, status and minutes of the current result; in the order of their first jobs."""
    found: dict[str, tuple[list[JobStatus], list[float]]] = {}
    for name, status, minutes in jobs:
        stage = _NUMBER.sub("{}", name)
        members = found.get(stage)
        if members is None:
            members = found[stage] = ([], [])
        members[0].append(status)
        if minutes is not None and status is JobStatus.COMPLETED:
            members[1].append(minutes)
    return [_stage(name, Counter(statuses), minutes) for name, (statuses, minutes) in found.items()]


def _stage(name: str, counts: Mapping[JobStatus, int], minutes: Sequence[float]) -> Stage:
    return Stage(
        name=name,
        total=sum(counts.values()),
        done=sum(count for status, count in counts.items() if not status.open),
        running=counts.get(JobStatus.RUNNING, 0),
        failed=counts.get(JobStatus.FAILED, 0) + counts.get(JobStatus.TERMINATED, 0),
        median_seconds=median(minutes) * 60 if minutes else None,
    )
