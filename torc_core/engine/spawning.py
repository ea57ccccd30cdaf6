"""Jobs that a running job adds: what is new, what is a repetition, what is refused (`engine.md` §11)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from torc_core.engine.runs import cycle
from torc_core.errors import Invalid, did_you_mean
from torc_core.model import Job, JobId, JobStatus, Json, Spawn

MOST_ITERATIONS = 1_000
"""Generations of one lineage, unless the workflow says otherwise (`dynamic_jobs.max_iterations`)."""

LINEAGE_VARIABLE = "TORC_ORCHESTRATOR_LINEAGE_ID"

ORIGIN = "spawn"


class Caller(Protocol):
    """What the rules look at of the job that calls; a `Job` has it, a database row may."""

    @property
    def id(self) -> JobId: ...
    @property
    def status(self) -> JobStatus: ...
    @property
    def name(self) -> str: ...
    @property
    def lineage(self) -> str | None: ...


def lineage_of(caller: Caller, spawn: Spawn) -> str:
    """The lineage that a call is about: the given one, the caller's own, or its name.

    Raises
    ------
    Invalid
        If the caller does not run, or the lineage is no name.
    """
    if caller.status is not JobStatus.RUNNING:
        raise Invalid(
            f"job {caller.id} ({caller.name}) is {caller.status.label}; only a running job adds jobs"
        )
    lineage = spawn.lineage or caller.lineage or caller.name
    if "\0" in lineage:
        raise Invalid("the lineage holds a NUL character; choose another name")
    return lineage


def record_prefix(lineage: str) -> str:
    """How the names of the records of a lineage begin."""
    return f"__torc_lineage__{lineage}__"


def record_name(lineage: str, generation: int) -> str:
    """The user data record of a generation."""
    return f"{record_prefix(lineage)}g{generation:06d}"


def final_name(lineage: str) -> str:
    """The user data record that says that a lineage has converged."""
    return f"{record_prefix(lineage)}final"


def generations(lineage: str, names: Iterable[str]) -> int:
    """How many generations a lineage has, by the names of user data records."""
    pattern = re.compile(re.escape(record_prefix(lineage)) + r"g\d{6,}")
    return sum(pattern.fullmatch(name) is not None for name in names)


def record_data(generation: int, state: Json, *, final: bool = False) -> Mapping[str, Json]:
    """What the record of a generation holds."""
    data: dict[str, Json] = {"generation": generation, "spawn_count": generation, "state": state}
    return {**data, "final": True} if final else data


def next_iteration(lineage: str, count: int, dynamic_jobs: Mapping[str, Json] | None) -> int:
    """The number of the generation that a call adds to `count` others.

    Raises
    ------
    Invalid
        If the lineage has had its iterations.
    """
    given = (dynamic_jobs or {}).get("max_iterations")
    most = given if isinstance(given, int) else MOST_ITERATIONS
    if count + 1 > most:
        raise Invalid(
            f"Per-lineage iteration cap reached for lineage '{lineage}': attempted iteration {count + 1} exceeds "
            f"dynamic_jobs.max_iterations={most} (current spawn_count={count})"
        )
    return count + 1


def replayed(spawn: Spawn, lineage: str, caller: JobId, existing: Mapping[str, Job]) -> list[JobId] | None:
    """The ids of the jobs if the same call was made before; None: it is new.

    `existing` are the jobs that have one of the names of the call.

    Raises
    ------
    Invalid
        If a name is taken otherwise, or only some of the jobs exist.
    """
    for name, job in existing.items():
        if (job.origin, job.lineage, job.spawned_by) != (ORIGIN, lineage, caller):
            raise Invalid(f"the name {name!r} is taken by job {job.id}; names of added jobs have to be new")
    missing = [job.name for job in spawn.jobs if job.name not in existing]
    if existing and missing:
        known = next(iter(existing))
        raise Invalid(
            f"job {known!r} was added before and job {missing[0]!r} was not; repeat a call as it was"
        )
    return [existing[job.name].id for job in spawn.jobs] if existing else None


def check_spawn(spawn: Spawn) -> None:
    """Refuse jobs that can never run, and siblings that wait for each other.

    Raises
    ------
    Invalid
        The sentence names the job.
    """
    names: dict[str, JobId] = {}
    for position, job in enumerate(spawn.jobs):
        at = f"jobs[{position}]"
        if not job.name:
            raise Invalid(f"{at} has no name")
        if not job.command:
            raise Invalid(f"{at} ({job.name}) has no command")
        if "\0" in job.name or "\0" in job.command:
            raise Invalid(f"{at} ({job.name!r}) holds a NUL character; no process can be given one")
        if job.priority < 0:
            raise Invalid(f"{at} ({job.name}) has priority {job.priority}; it must not be negative")
        if job.name in names:
            raise Invalid(f"{at} has the name {job.name!r} of another job of the call")
        names[job.name] = JobId(position)
    members: dict[int, Sequence[JobId]] = {}
    uses: dict[JobId, Sequence[int]] = {}
    for name, position in names.items():
        siblings = [names[other] for other in spawn.jobs[position].depends_on if other in names]
        if siblings:
            members[position], uses[position] = siblings, [position]
        if position in siblings:
            raise Invalid(f"job {name!r} cannot wait for itself")
    circle = cycle(members, uses)
    if circle is not None:
        around = [spawn.jobs[position].name for position in (*circle, circle[0])]
        raise Invalid(f"added jobs wait for each other: {' -> '.join(around)}")


def unknown(noun: str, name: str, job: str, known: Iterable[str]) -> Invalid:
    """The refusal of a name that an added job refers to."""
    return Invalid(f"job {job!r} refers to no known {noun}: {name!r}{did_you_mean(name, known)}")
