"""Allocations of a batch system: intended, submitted, running, over (`engine.md` §15.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from torc_core.model.ids import (
    ActionId,
    ActionRunId,
    AllocationId,
    JobId,
    SchedulerId,
    SlurmStatsId,
    WorkflowId,
)
from torc_core.model.plan import PlannedAction, PlannedScheduler
from torc_core.record import record


class AllocationStatus(StrEnum):
    """Where an allocation is; the wire shows `intended` as pending and `failed` as canceled."""

    INTENDED = "intended"
    PENDING = "pending"
    ACTIVE = "active"
    COMPLETE = "complete"
    CANCELED = "canceled"
    FAILED = "failed"


@record(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What the wire calls a scheduled compute node.

    Parameters
    ----------
    scheduler_id
        The batch system's number of it; None until it is known.
    submission_key
        A unique text that goes into its name and comment, by which it is found again.
    action_run_id, ordinal
        The firing of a `schedule_nodes` action it belongs to, and its place there.
    walltime
        As the batch system was asked, for people.
    submitted_at
        Milliseconds since 1970.
    """

    id: AllocationId = AllocationId(0)
    workflow_id: WorkflowId
    scheduler_config_id: SchedulerId | None = None
    scheduler_type: str = "slurm"
    scheduler_id: str | None = None
    status: AllocationStatus = AllocationStatus.PENDING
    submission_key: str = ""
    action_run_id: ActionRunId | None = None
    ordinal: int = 0
    nodes: int = 1
    walltime: str | None = None
    submitted_by: str | None = None
    submitted_at: int | None = None
    reason: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Intent:
    """How many allocations of a scheduler are wanted, each of so many nodes."""

    scheduler: str
    count: int
    nodes: int = 1


@record(frozen=True, slots=True, kw_only=True)
class Replan:
    """What a planner decided, written in one transaction (`wire.md` §7.6).

    Parameters
    ----------
    schedulers
        To be made; those of a name that exists are taken as they are.
    assign
        Scheduler name to the jobs that are bound to it from now on.
    actions
        To be made; `jobs` are job ids here.
    retire
        Actions whose firing in the current run counts as done.
    newest
        The newest allocation of the workflow when the plan was made, 0 if there was none: a plan made before somebody
        else asked for another one is refused. None: whatever there is.
    """

    schedulers: Sequence[PlannedScheduler] = ()
    assign: Mapping[str, Sequence[JobId]] = field(default_factory=dict)
    actions: Sequence[PlannedAction] = ()
    retire: Sequence[ActionId] = ()
    allocations: Sequence[Intent] = ()
    newest: AllocationId | None = None


@record(frozen=True, slots=True, kw_only=True)
class SlurmStats:
    """What the accounting of Slurm says of an attempt: seconds, bytes; one per (job, run, attempt)."""

    id: SlurmStatsId = SlurmStatsId(0)
    workflow_id: WorkflowId
    job_id: JobId
    run_id: int
    attempt_id: int
    slurm_job_id: str | None = None
    node_list: str | None = None
    ave_cpu_seconds: float | None = None
    max_rss_bytes: int | None = None
    max_vm_size_bytes: int | None = None
    max_disk_read_bytes: int | None = None
    max_disk_write_bytes: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job that runs, and where: derived from jobs, nodes and allocations.

    Parameters
    ----------
    scheduler_type
        The type of its node: `local`, `slurm`.
    scheduler_job_id
        The batch system's number of its allocation.
    """

    workflow_id: WorkflowId
    job_id: JobId
    job_name: str
    compute_node_name: str
    scheduler_type: str
    scheduler_job_id: str | None = None
    start_time: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class SlurmCorrelation:
    """A job and a batch job in which an attempt of it ran or runs."""

    workflow_id: WorkflowId
    job_id: JobId
    job_name: str
    slurm_job_id: str


@record(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An allocation that waits in the queue of a batch system.

    Parameters
    ----------
    reason
        The batch system's own word for why it waits; empty: it has none yet.
    text
        What the word means; the word itself where that is not known.
    start
        When it is estimated to start, in milliseconds since 1970; None: there is no estimate.
    """

    reason: str
    text: str
    start: int | None = None


def shown(status: AllocationStatus) -> str:
    """The status as published clients know it."""
    return {AllocationStatus.INTENDED: "pending", AllocationStatus.FAILED: "canceled"}.get(
        status, status.value
    )
