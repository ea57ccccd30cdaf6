"""Workflows on the wire, and what is said of their progress."""

from __future__ import annotations

from marshmallow import Schema

from torc_core.model import JobStatus
from torc_http.wire.fields import (
    Choice,
    Env,
    Flag,
    Id,
    Ids,
    Instant,
    Int,
    ListOf,
    Name,
    Number,
    Object,
    Part,
    Text,
    TextOrObject,
)

LONGEST_LEASE = 2**31 - 1
"""Minutes; leases are counted in milliseconds of 64 bits, and no runner could join with a longer one."""


class DynamicJobs(Schema):
    """How far a lineage of spawned jobs may go."""

    model = "DynamicJobsConfig"

    max_iterations = Int(minimum=1)


class WorkflowBody(Schema):
    """A workflow."""

    model = "WorkflowModel"

    id = Id()
    name = Name(required=True)
    user = Text(required=True)
    description = Text()
    project = Text()
    metadata = TextOrObject()
    timestamp = Instant(attribute="created_at")
    run_id = Int(minimum=0)
    is_canceled = Flag()
    is_archived = Flag()
    env = Env()
    execution_config = TextOrObject()
    resource_monitor_config = TextOrObject()
    slurm_defaults = TextOrObject()
    dynamic_jobs = Part(DynamicJobs)
    submission_directory = Text()
    use_pending_failed = Flag()
    enable_ro_crate = Flag()
    compute_node_wait_for_new_jobs_seconds = Int(minimum=0)
    compute_node_ignore_workflow_completion = Flag()
    compute_node_wait_for_healthy_database_minutes = Int(minimum=1, maximum=LONGEST_LEASE)
    compute_node_min_time_for_new_jobs_seconds = Int(minimum=0)
    compute_node_expiration_buffer_seconds = Int(minimum=0)
    slurm_config = Text()
    retry_on_node_loss = Int(minimum=0)
    notify = ListOf(Object())
    report = Flag()
    api_access = Choice("none", "read", "edit")


class AlsoGroups(Schema):
    """What else a workflow shows: the groups that may use it, and an old name of its id."""

    access_groups = ListOf(Name())
    status_id = Id()


class WorkflowModel(WorkflowBody, AlsoGroups):
    """A workflow with all that it shows."""

    model = "WorkflowModel"


SETTINGS = (
    "name", "description", "project", "metadata", "env", "execution_config", "resource_monitor_config", "slurm_defaults",
    "dynamic_jobs", "submission_directory", "use_pending_failed", "enable_ro_crate",
    "compute_node_wait_for_new_jobs_seconds", "compute_node_ignore_workflow_completion",
    "compute_node_wait_for_healthy_database_minutes", "compute_node_min_time_for_new_jobs_seconds",
    "compute_node_expiration_buffer_seconds", "retry_on_node_loss", "notify", "report", "api_access",
)  # fmt: skip
"""What a new workflow takes from its body."""

FIXED = ("dynamic_jobs", "submission_directory")
"""Settings that stay as they were at creation."""


class Archive(Schema):
    """Whether a workflow is archived."""

    model = "ArchiveWorkflowRequest"

    is_archived = Flag(required=True)


class StatusBody(Schema):
    """The state of a workflow as older clients set it."""

    model = "WorkflowStatusModel"

    id = Id()
    run_id = Int(minimum=0, required=True)
    is_canceled = Flag(required=True)
    is_archived = Flag()
    has_detected_need_to_run_completion_script = Flag()


JobStatusCounts = type(
    "JobStatusCounts",
    (Schema,),
    {
        "__doc__": "Jobs by status.",
        "model": "JobStatusCounts",
        **{status.label: Int(minimum=0, required=True) for status in JobStatus},
    },
)


class StatusAnswer(Schema):
    """How far a workflow is: what both generations of clients want."""

    model = "WorkflowStatusResponse"

    workflow_id = Id(required=True)
    workflow_name = Text(required=True)
    workflow_user = Text(required=True)
    total_jobs = Int(required=True)
    jobs_by_status = Part(JobStatusCounts, required=True)
    total_exec_time_minutes = Number(required=True)
    walltime_seconds = Number()
    active_compute_nodes = Int(required=True)
    pending_scheduled_nodes = Int(required=True)
    active_scheduled_nodes = Int(required=True)
    is_complete = Flag(required=True)
    is_canceled = Flag(required=True)
    id = Id(required=True)
    run_id = Int(required=True)
    is_archived = Flag(required=True)
    has_detected_need_to_run_completion_script = Flag(required=True)


class FlagsAnswer(Schema):
    """The flags of a workflow."""

    model = "WorkflowFlags"

    id = Id(required=True)
    run_id = Int(required=True)
    is_canceled = Flag(required=True)
    is_archived = Flag(required=True)
    has_detected_need_to_run_completion_script = Flag(required=True)


class IsComplete(Schema):
    """Whether a workflow is complete."""

    model = "IsCompleteResponse"

    is_complete = Flag(required=True)
    is_canceled = Flag(required=True)
    needs_to_run_completion_script = Flag(required=True)


class IsUninitialized(Schema):
    """Whether no job has been initialised."""

    model = "IsUninitializedResponse"

    is_uninitialized = Flag(required=True)


class ResetAnswer(Schema):
    """How many jobs were set back."""

    model = "ResetJobStatusResponse"

    workflow_id = Id(required=True)
    updated_count = Int(required=True)
    status = Text(required=True)
    reset_type = Text()


class ReadyNeedsAnswer(Schema):
    """Sums and maxima over ready jobs."""

    model = "GetReadyJobRequirementsResponse"

    num_jobs = Int(required=True)
    num_cpus = Int(required=True)
    num_gpus = Int(required=True)
    memory_gb = Number(required=True)
    max_num_nodes = Int(required=True)
    max_runtime = Text(required=True)


class RequiredFiles(Schema):
    """Files that have to exist."""

    model = "ListRequiredExistingFilesResponse"

    files = Ids(required=True)


class MissingUserData(Schema):
    """User data that have to have a value."""

    model = "ListMissingUserDataResponse"

    user_data = Ids(required=True)


class Changed(Schema):
    """Jobs that have to run again."""

    model = "ProcessChangedJobInputsResponse"

    reinitialized_jobs = ListOf(Text(), required=True)


class TaskModel(Schema):
    """A long operation."""

    model = "TaskModel"

    id = Id(required=True)
    workflow_id = Id(required=True)
    operation = Text(attribute="name", required=True)
    status = Choice("queued", "running", "succeeded", "failed", required=True)
    created_at_ms = Int(attribute="created_at", required=True)
    started_at_ms = Int(attribute="started_at")
    finished_at_ms = Int(attribute="finished_at")
    error = Text()


class ActiveTask(Schema):
    """The queued or running operation, if there is one."""

    model = "ActiveTaskResponse"

    task = Part(TaskModel, required=True, allow_none=True)
