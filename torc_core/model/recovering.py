"""What somebody decided who saw why jobs failed: what they get more of, and that they run again (`slurm.md` §10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from torc_core.model.ids import JobId, RequirementId
from torc_core.model.job import Requirement
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Jobs that had the same requirement and get another one, which is theirs alone.

    Parameters
    ----------
    replaces
        The requirement that they had.
    needs
        The new one, without an id.
    cause
        `oom` or `timeout`.
    """

    jobs: Sequence[JobId]
    replaces: RequirementId
    needs: Requirement
    cause: str


@record(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """Which jobs run again, and with what.

    Parameters
    ----------
    run_id
        The run whose results were looked at; in another one the plan is void.
    jobs
        They and what waits for them are reset; no others.
    counts
        How many jobs of which cause, for the event.
    """

    run_id: int
    jobs: Sequence[JobId]
    adjustments: Sequence[Adjustment] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
