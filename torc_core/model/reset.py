"""Opening ended jobs again, and what made it necessary (`engine.md` §6.4, §6.5)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model.artifact import File, UserData
from torc_core.model.ids import JobId, WorkflowId
from torc_core.model.turn import Progress
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Reset:
    """Which jobs become uninitialized.

    Parameters
    ----------
    jobs
        These, and with `downstream` all that wait for them; None: all of the workflow.
    failed_only
        Instead of all: those that ended badly and what is downstream of them.
    force
        Also those that are live: they get a stop order, and are claimable when they are gone.
    """

    jobs: Sequence[JobId] | None = None
    downstream: bool = True
    failed_only: bool = False
    force: bool = False
    reason: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class ChangedJob:
    """A job that has to run again, and why: `input changed: data.csv`, `output missing: model.bin`, `command changed`."""

    id: JobId
    name: str
    reason: str


@record(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What an initialisation would meet (`engine.md` §6.3).

    Parameters
    ----------
    missing_files, missing_user_data
        Required, and not there: the initialisation is refused without force.
    existing_outputs
        Files that are there although the jobs that write them have yet to run.
    """

    missing_files: Sequence[File] = ()
    missing_user_data: Sequence[UserData] = ()
    existing_outputs: Sequence[File] = ()

    @property
    def safe(self) -> bool:
        """Whether nothing is in the way, and nothing would be overwritten."""
        return not (self.missing_files or self.missing_user_data or self.existing_outputs)


@record(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What `initialize` and `reinitialize` did, or would do with `dry_run`.

    Parameters
    ----------
    progress
        None with `dry_run`.
    changed
        Jobs that were set back before the new run, each with its reason.
    """

    inputs: Inputs
    progress: Progress | None = None
    changed: Sequence[ChangedJob] = ()


@record(frozen=True, slots=True, kw_only=True)
class ReadyNeeds:
    """Sums and maxima over ready jobs: bytes, seconds."""

    workflow: WorkflowId
    num_jobs: int = 0
    num_cpus: int = 0
    num_gpus: int = 0
    memory_bytes: int = 0
    max_num_nodes: int = 0
    max_runtime_s: int = 0
