"""Workflows, their totals, and the things they declare besides jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from torc_core.model.artifact import Fingerprint
from torc_core.model.ids import HandlerId, LocalSchedulerId, SchedulerId, WorkflowId
from torc_core.model.plan import Json
from torc_core.model.status import ENDED, JobStatus
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow and its state; `created_at` in milliseconds since 1970, UTC.

    Parameters
    ----------
    initialized_run
        The run that the last initialisation began; smaller than `run_id` when a client raised that by hand.
    slurm_config
        Kept for old published clients; nothing reads it.
    submit_options
        What every runner of the workflow is started with (`slurm.md` SB7).
    capability_generation
        Raising it revokes every capability of the workflow (`security.md` O2).
    """

    id: WorkflowId
    name: str
    user: str
    description: str | None = None
    project: str | None = None
    metadata: Mapping[str, Json] | None = None
    created_at: int = 0
    run_id: int = 0
    is_canceled: bool = False
    is_archived: bool = False
    env: Mapping[str, str] | None = None
    execution_config: Mapping[str, Json] | None = None
    resource_monitor_config: Mapping[str, Json] | None = None
    slurm_defaults: Mapping[str, Json] | None = None
    dynamic_jobs: Mapping[str, Json] | None = None
    notify: Sequence[Mapping[str, Json]] | None = None
    report: bool = False
    api_access: str = "edit"
    use_pending_failed: bool = False
    enable_ro_crate: bool = False
    retry_on_node_loss: int = 0
    compute_node_wait_for_new_jobs_seconds: int = 90
    compute_node_ignore_workflow_completion: bool = False
    compute_node_wait_for_healthy_database_minutes: int = 20
    compute_node_min_time_for_new_jobs_seconds: int = 300
    compute_node_expiration_buffer_seconds: int | None = None
    submission_directory: str | None = None
    source_path: str | None = None
    source_digest: str | None = None
    uses_gpus: bool = False
    initialized_run: int = 0
    slurm_config: str | None = None
    submit_options: Mapping[str, Json] | None = None
    capability_generation: int = 0


@record(frozen=True, slots=True, kw_only=True)
class Totals:
    """How far a workflow is, in one snapshot (`observability.md` §1).

    Parameters
    ----------
    counts
        Jobs by status; statuses without jobs may be missing.
    exec_minutes
        Sum over the current results.
    first_start, last_end
        Milliseconds since 1970, of the current run.
    failures
        Failed jobs by kind of reason: the part of `reason` before the first colon.
    """

    workflow: Workflow
    counts: Mapping[JobStatus, int] = field(default_factory=dict)
    active_nodes: int = 0
    pending_allocations: int = 0
    active_allocations: int = 0
    exec_minutes: float = 0.0
    first_start: int | None = None
    last_end: int | None = None
    failures: Mapping[str, int] = field(default_factory=dict)

    def elapsed_seconds(self, now: int) -> float | None:
        """From the first start of the run to its last end, or to now while something is left to do."""
        if self.first_start is None:
            return None
        over = self.complete or not self.active_nodes
        end = self.last_end if over and self.last_end is not None else now
        return max(0, end - self.first_start) / 1000

    @property
    def walltime_seconds(self) -> float | None:
        """From the first start to the last end of the run."""
        if self.first_start is None or self.last_end is None:
            return None
        return max(0, self.last_end - self.first_start) / 1000

    @property
    def total(self) -> int:
        """All jobs."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """Jobs that have ended or are disabled."""
        return sum(self.counts.get(status, 0) for status in (*ENDED, JobStatus.DISABLED))

    @property
    def initialized(self) -> bool:
        """No job waits to be initialised; an empty workflow is initialised by its first run."""
        return self.workflow.run_id > 0 and not self.counts.get(JobStatus.UNINITIALIZED)

    @property
    def complete(self) -> bool:
        """Canceled, or nothing is left to do (`engine.md` §4)."""
        return self.workflow.is_canceled or (self.initialized and self.done == self.total)

    @property
    def good(self) -> bool:
        """Every job completed or is disabled, and nobody canceled."""
        fine = self.counts.get(JobStatus.COMPLETED, 0) + self.counts.get(JobStatus.DISABLED, 0)
        return not self.workflow.is_canceled and fine == self.total


@record(frozen=True, slots=True, kw_only=True)
class Stage:
    """Jobs whose names differ only in their numbers, counted.

    Parameters
    ----------
    name
        The common name, with `{}` for each number.
    done
        Jobs that have ended or are disabled.
    median_seconds
        Execution time of those that completed; None: none has.
    """

    name: str
    total: int = 0
    done: int = 0
    running: int = 0
    failed: int = 0
    median_seconds: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class FailureHandler:
    """Which exit codes are tried again, and how."""

    id: HandlerId = HandlerId(0)
    workflow_id: WorkflowId
    name: str
    rules: Sequence[Mapping[str, Json]]


@record(frozen=True, slots=True, kw_only=True)
class SlurmScheduler:
    """How allocations are asked for; `fields` as in `workflow-spec.md` §10.1."""

    id: SchedulerId = SchedulerId(0)
    workflow_id: WorkflowId
    name: str
    fields: Mapping[str, Json]


@record(frozen=True, slots=True, kw_only=True)
class LocalScheduler:
    """Kept for published clients; nothing reads it."""

    id: LocalSchedulerId = LocalSchedulerId(0)
    workflow_id: WorkflowId
    name: str | None = None
    memory: str | None = None
    num_cpus: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class Initialize:
    """How a workflow is to be initialised (`engine.md` §6.2, §6.3).

    Parameters
    ----------
    only_uninitialized
        The partial form: jobs in status uninitialized, and all that is downstream of them.
    clear_ephemeral
        Ephemeral user data goes back to its first value.
    force
        Go on although jobs are live or inputs are missing.
    unchecked
        Neither inputs nor runners are looked at: the operation of published clients, which refuses only a partial
        form above live jobs (§6.2).
    if_needed
        Nothing happens if another has initialised it meanwhile: several runners may start at the same moment.
    fingerprints
        What the required files look like.
    """

    only_uninitialized: bool = False
    clear_ephemeral: bool = True
    force: bool = False
    unchecked: bool = False
    if_needed: bool = False
    fingerprints: Sequence[Fingerprint] = ()
