"""What jobs ask for the next time: more of what they lacked, and never more than anybody may have (`slurm.md` §10, step 4)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torc_core.engine.utilization import MINUTE, rounded, runtime_text, size_text
from torc_core.model import Adjustment, RequirementId
from torc_core.model.resources import duration_text, memory_text
from torc_core.record import record
from torc_slurm.recovering.diagnosis import Cause, Diagnosis

_OURS = re.compile(r"(.*)_(?:oom|timeout)_r[0-9]+", re.DOTALL)
"""The name of a requirement that an earlier recovery has made."""

ROOM = 200
"""Characters of a name that are kept where more is put behind it."""


@record(frozen=True, slots=True, kw_only=True)
class Factors:
    """By how much is asked for more."""

    memory: float = 1.5
    runtime: float = 1.4

    def of(self, cause: Cause) -> float:
        """The factor that concerns this cause."""
        return self.memory if cause is Cause.OOM else self.runtime


@record(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much a job may ask for at most, and who says so; bytes, seconds; None: there is no end.

    Parameters
    ----------
    memory_from, runtime_from
        `--max-memory`, or the name of the partition.
    """

    memory: int | None = None
    memory_from: str = ""
    runtime: int | None = None
    runtime_from: str = ""

    def tightened(self, *, memory: int | None, runtime: int | None, by: str) -> Caps:
        """With the limits of somebody else, where those are smaller."""
        caps = self
        if memory is not None and (self.memory is None or memory < self.memory):
            caps = replace(caps, memory=memory, memory_from=by)
        if runtime is not None and (self.runtime is None or runtime < self.runtime):
            caps = replace(caps, runtime=runtime, runtime_from=by)
        return caps


@record(frozen=True, slots=True, kw_only=True)
class Growth:
    """Jobs of one requirement and one cause, and what they get instead.

    Parameters
    ----------
    adjustment
        What the store is told; None: they cannot get more.
    limit
        Why not, in a sentence.
    """

    patients: Sequence[Diagnosis]
    adjustment: Adjustment | None
    limit: str | None = None

    @property
    def cause(self) -> Cause:
        """What they have in common."""
        return self.patients[0].cause

    @property
    def line(self) -> str:
        """Old and new amount: `memory 8g -> 12g`; where it cannot grow, why."""
        if self.adjustment is None:
            return self.limit or ""
        old, new = self.patients[0].needs, self.adjustment.needs
        if self.cause is Cause.OOM:
            return f"memory {old.memory} -> {new.memory}"
        return f"runtime {duration_text(old.runtime_s)} -> {duration_text(new.runtime_s)}"


def grown(
    found: Sequence[Diagnosis], factors: Factors, caps: Mapping[RequirementId, Caps], run: int
) -> list[Growth]:
    """What those that ran out of memory or time get instead, one for all of a requirement and a cause.

    Parameters
    ----------
    caps
        By requirement; one that is missing has none.
    run
        The run that failed; new requirements are named after the next one.
    """
    groups: dict[tuple[RequirementId, Cause], list[Diagnosis]] = {}
    for one in found:
        if one.cause in (Cause.OOM, Cause.TIMEOUT):
            groups.setdefault((one.needs.id, one.cause), []).append(one)
    return [_grown(some, factors, caps.get(id, Caps()), run) for (id, _), some in groups.items()]


def _grown(some: Sequence[Diagnosis], factors: Factors, caps: Caps, run: int) -> Growth:
    needs, cause, factor = some[0].needs, some[0].cause, factors.of(some[0].cause)
    name = f"{_base(needs.name)}_{cause}_r{run + 1}"
    if cause is Cause.OOM:
        peak = max(one.peak for one in some)
        wanted = rounded(max(peak, needs.memory_bytes) * factor)
        new = wanted if caps.memory is None else min(wanted, caps.memory)
        if new <= max(needs.memory_bytes, peak):
            return Growth(patients=some, adjustment=None, limit=_no_memory(some, peak, caps))
        fields = {"memory": _size(new), "memory_bytes": new}
    else:
        longest = max(one.used for one in some)
        wanted = _minutes(max(longest, needs.runtime_s) * factor)
        new = wanted if caps.runtime is None else min(wanted, caps.runtime // MINUTE * MINUTE)
        if new <= max(needs.runtime_s, math.floor(longest)):
            return Growth(patients=some, adjustment=None, limit=_no_time(some, longest, caps))
        fields = {"runtime": runtime_text(new), "runtime_s": new}
    own = replace(needs, id=RequirementId(0), name=name, **fields)  # type: ignore[arg-type]  # by the branch
    told = Adjustment(jobs=[one.job.id for one in some], replaces=needs.id, needs=own, cause=cause.value)
    return Growth(patients=some, adjustment=told)


def _base(name: str) -> str:
    """The name without what earlier recoveries have added, short enough for what this one adds."""
    found = _OURS.fullmatch(name)
    return (found[1] if found else name)[:ROOM]


def _size(size: int) -> str:
    """As a specification has it; a cap may be no whole MiB."""
    return size_text(size) if size % 1024**2 == 0 else str(size)


def _minutes(seconds: float) -> int:
    return max(1, math.ceil(seconds / MINUTE - 1e-9)) * MINUTE


def _no_memory(some: Sequence[Diagnosis], peak: int, caps: Caps) -> str:
    had = some[0].needs.memory
    used = f", used {memory_text(peak)}" if peak else ""
    most = "no end" if caps.memory is None else memory_text(caps.memory)
    return f"asks for {had} of memory{used}, and {caps.memory_from or 'the limit'} allows {most}"


def _no_time(some: Sequence[Diagnosis], longest: float, caps: Caps) -> str:
    had = duration_text(some[0].needs.runtime_s)
    most = "no end" if caps.runtime is None else duration_text(caps.runtime)
    ran = f", ran {duration_text(longest)}" if longest else ""
    return f"asks for {had}{ran}, and {caps.runtime_from or 'the limit'} allows {most}"
