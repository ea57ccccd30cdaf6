"""Jobs, and what they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torc_core.model.ids import (
    FileId,
    HandlerId,
    JobId,
    NodeId,
    RequirementId,
    ResultId,
    SchedulerId,
    UserDataId,
    WorkflowId,
)
from torc_core.model.plan import Json
from torc_core.model.resources import Resources
from torc_core.model.status import JobStatus
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a job needs of each of its nodes."""

    id: RequirementId = RequirementId(0)
    workflow_id: WorkflowId
    name: str
    num_cpus: int = 1
    num_gpus: int = 0
    num_nodes: int = 1
    memory: str = "1m"
    runtime: str = "P0DT1M"
    memory_bytes: int = 1024**2
    runtime_s: int = 60


@record(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decides where and when a job fits; jobs of equal shape form one class (`engine.md` §7.2).

    Parameters
    ----------
    memory
        Bytes on each node.
    nodes
        1: shares a node. More: that many whole nodes.
    runtime
        Seconds.
    """

    cpus: int = 1
    memory: int = 1024**2
    gpus: int = 0
    nodes: int = 1
    runtime: int = 60
    scheduler: SchedulerId | None = None
    label: str | None = None

    @property
    def resources(self) -> Resources:
        """What it takes of one node."""
        return Resources(cpus=self.cpus, memory=self.memory, gpus=self.gpus)


@record(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and its live state; instants are milliseconds since 1970, UTC.

    Parameters
    ----------
    not_before
        A delayed retry is not handed out before this instant.
    losses
        How many of its attempts were lost with their node in this run.
    input_hash
        What the job was made of when it was last made ready or blocked (`engine.md` §6.4).
    origin
        None: declared. `retry`: revived. `spawn`: added by a running job, `spawned_by`, in its `lineage`.
    schedule_compute_nodes
        Kept for published clients; nothing reads it.
    """

    id: JobId
    workflow_id: WorkflowId
    name: str
    command: str
    invocation_script: str | None = None
    env: Mapping[str, str] | None = None
    status: JobStatus = JobStatus.UNINITIALIZED
    priority: int = 0
    cancel_on_blocking_job_failure: bool = True
    supports_termination: bool = False
    requirement_id: RequirementId
    scheduler_id: SchedulerId | None = None
    failure_handler_id: HandlerId | None = None
    label: str | None = None
    unmet: int = 0
    num_blockers: int = 0
    run_id: int = 0
    attempt_id: int = 1
    node_id: NodeId | None = None
    lease: str | None = None
    prefetched: bool = False
    claimed_at: int | None = None
    start_time: int | None = None
    ready_since: int | None = None
    stop: int = 0
    reason: str | None = None
    result_id: ResultId | None = None
    not_before: int | None = None
    losses: int = 0
    input_hash: str | None = None
    origin: str | None = None
    lineage: str | None = None
    spawned_by: JobId | None = None
    schedule_compute_nodes: Mapping[str, Json] | None = None


@record(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to add to an existing workflow; relations are ids of that workflow."""

    workflow_id: WorkflowId
    name: str
    command: str
    invocation_script: str | None = None
    env: Mapping[str, str] | None = None
    priority: int = 0
    cancel_on_blocking_job_failure: bool = True
    supports_termination: bool = False
    requirement_id: RequirementId | None = None
    scheduler_id: SchedulerId | None = None
    failure_handler_id: HandlerId | None = None
    label: str | None = None
    depends_on: Sequence[JobId] = ()
    input_files: Sequence[FileId] = ()
    output_files: Sequence[FileId] = ()
    input_user_data: Sequence[UserDataId] = ()
    output_user_data: Sequence[UserDataId] = ()
    schedule_compute_nodes: Mapping[str, Json] | None = None
