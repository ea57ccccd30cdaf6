"""Why a job failed, by evidence (`slurm.md` §10, step 3)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from torc_core.engine.utilization import MINUTE, OOM, TOO_LONG
from torc_core.model import Job, JobStatus, Requirement, Result
from torc_core.model.resources import MIB, duration_text, memory_text
from torc_core.record import record

EARLY = 0.8
"""A job that was killed before this part of its runtime was not killed for the time that it took."""

LATE = 0.9
"""A job that was killed after this part of its runtime was killed for the time that it took."""

LOST = -128
"""What the store writes for attempts whose node is gone."""

KILLED = (OOM, -9)
"""SIGKILL, as shells tell it and as runners do."""

ENDED_BY_SIGNAL = (*KILLED, 143, -15, TOO_LONG)

GONE = frozenset({"node_lost", "lease_lost", "runner_died", "interrupted"})
"""Reasons of ends that are no fault of the job."""

BY_ITSELF = frozenset({"", "exit_code", "signal"})
"""Kinds of reasons that name nobody who has ended the job."""

GONE_STATES = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED", "DEADLINE"})
"""States of Slurm that say the same."""

FAILED = frozenset({JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.PENDING_FAILED})
"""Statuses of jobs that are looked at; canceled ones follow those that they waited for."""


class Cause(StrEnum):
    """Why a job failed, in the order in which the evidence is looked at."""

    OOM = "oom"
    TIMEOUT = "timeout"
    NODE_LOST = "node_lost"
    UNKNOWN = "unknown"


@record(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is the matter with a job.

    Parameters
    ----------
    evidence
        What tells so, for people.
    result
        Its latest; None: it has none.
    """

    job: Job
    needs: Requirement
    result: Result | None
    cause: Cause
    evidence: str

    @property
    def peak(self) -> int:
        """Bytes that it is known to have used at once; 0: not measured."""
        return (self.result.usage.peak_memory_bytes or 0) if self.result is not None else 0

    @property
    def used(self) -> float:
        """Seconds that it ran."""
        return self.result.exec_minutes * MINUTE if self.result is not None else 0.0


def diagnose(job: Job, needs: Requirement, result: Result | None, state: str = "") -> Diagnosis:
    """Why a job failed.

    Parameters
    ----------
    result
        Its latest.
    state
        How Slurm says that the allocation or the step ended in which it ran; empty: nothing is known.
    """
    for cause, evidence in _signs(needs, result, state.upper().partition(" ")[0]):
        if evidence is not None:
            return Diagnosis(job=job, needs=needs, result=result, cause=cause, evidence=evidence)
    said = (result.reason if result is not None else job.reason) or ""
    code = "" if result is None else f"return code {result.return_code}"
    told = ", ".join(part for part in (said.partition("\n")[0], code) if part) or "nothing is known"
    return Diagnosis(job=job, needs=needs, result=result, cause=Cause.UNKNOWN, evidence=told)


def by_cause(found: Sequence[Diagnosis], cause: Cause) -> list[Diagnosis]:
    """Those with this cause."""
    return [one for one in found if one.cause is cause]


def _signs(needs: Requirement, result: Result | None, state: str) -> list[tuple[Cause, str | None]]:
    if result is None:
        return [(Cause.NODE_LOST, f"Slurm: {state}" if state in GONE_STATES else None)]
    kind = (result.reason or "").partition(":")[0]
    return [
        (Cause.OOM, _oom(needs, result, kind, state)),
        (Cause.TIMEOUT, _timeout(needs, result, kind, state)),
        (Cause.NODE_LOST, _lost(result, kind, state)),
    ]


def _oom(needs: Requirement, result: Result, kind: str, state: str) -> str | None:
    peak = result.usage.peak_memory_bytes
    if kind == "oom":
        return result.reason
    # NOTE: what asks for no more than 1 MiB has stated nothing, and is held to nothing (`workflow-spec.md` §6).
    if peak is not None and peak > needs.memory_bytes > MIB:
        return f"peak {memory_text(peak)} of {needs.memory}"
    # Whoever ends jobs for another reason, or dies above them, kills them too.
    if kind in BY_ITSELF and result.return_code in KILLED and _part(needs, result) < EARLY:
        ran = f"after {duration_text(result.exec_minutes * MINUTE)} of {duration_text(needs.runtime_s)}"
        return f"killed (return code {result.return_code}) {ran}"
    cut = result.return_code in (*KILLED, LOST) or kind in GONE
    return "Slurm: OUT_OF_MEMORY" if state == "OUT_OF_MEMORY" and cut else None


def _timeout(needs: Requirement, result: Result, kind: str, state: str) -> str | None:
    part = _part(needs, result)
    if kind in ("walltime", "runtime"):
        return result.reason
    if result.return_code == TOO_LONG:
        return f"return code {TOO_LONG}"
    if part > LATE and (result.return_code in ENDED_BY_SIGNAL or kind == "signal"):
        return f"killed after {part:.0%} of its runtime"
    cut = result.return_code in (*ENDED_BY_SIGNAL, LOST) or kind in GONE
    return "Slurm: TIMEOUT" if state == "TIMEOUT" and cut else None


def _lost(result: Result, kind: str, state: str) -> str | None:
    if kind in GONE:
        return f"{kind} ({state})" if state else kind
    if result.return_code == LOST:
        return f"return code {LOST}"
    cut = result.return_code in ENDED_BY_SIGNAL
    return f"Slurm: {state}" if state in GONE_STATES and cut else None


def _part(needs: Requirement, result: Result) -> float:
    """How much of its runtime a job had used."""
    return result.exec_minutes * MINUTE / max(1, needs.runtime_s)
