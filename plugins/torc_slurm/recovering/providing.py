"""Allocations for jobs that have none: planned anew and submitted, within a limit of node-hours (`slurm.md` §10, §11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from torc_core.model import JobId, Json
from torc_core.protocols import Tended
from torc_core.record import record

if TYPE_CHECKING:
    from torc_core.model import WorkflowId


@record(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a planner.

    Parameters
    ----------
    partition, walltime
        Fixed by the user.
    max_node_hours
        What all allocations of the workflow together may use, those that are over included.
    output_dir
        Where runners write; None: as before.
    jobs
        Failed jobs that are to be planned for as well, in a dry run.
    """

    partition: str | None = None
    walltime: str | None = None
    output_dir: str | None = None
    max_node_hours: float | None = None
    jobs: Sequence[JobId] = ()


@record(frozen=True, slots=True, kw_only=True)
class Provided:
    """What came of it.

    Parameters
    ----------
    intended
        How many allocations were asked for.
    tended
        What became of them.
    why_not
        Why none was asked for, in a sentence.
    enough
        Whether what is there, or was asked for, is enough as far as anybody knows.
    document
        The planner's own report.
    """

    intended: int = 0
    tended: Tended = Tended()
    why_not: str | None = None
    enough: bool = True
    document: Mapping[str, Json] | None = None

    @property
    def lines(self) -> list[str]:
        """For people."""
        lines = [self.why_not] if self.why_not else []
        if self.tended.submitted:
            names = ", ".join(str(one.scheduler_id) for one in self.tended.submitted[:5])
            more = len(self.tended.submitted) - 5
            rest = f" and {more} more" if more > 0 else ""
            lines.append(f"Submitted {len(self.tended.submitted)} allocation(s): {names}{rest}")
        lines += [f"Slurm refused an allocation: {one.reason}" for one in self.tended.refused]
        if self.tended.unclear:
            lines.append(
                f"{len(self.tended.unclear)} allocation(s) may or may not be queued; they are looked for again"
            )
        return [*lines, *self.tended.waiting]


class Provider(Protocol):
    """Plans and submits what the ready and blocked jobs of a workflow lack."""

    def __call__(self, workflow: WorkflowId, wanted: Wanted, *, dry_run: bool = False) -> Provided:
        """Do it; what is queued or runs already counts, so that a repetition asks for nothing more."""
        ...
