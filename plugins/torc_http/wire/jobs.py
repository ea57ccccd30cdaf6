"""Jobs on the wire, their relations, and the bodies of those who claim, spawn and complete them."""

from __future__ import annotations

from marshmallow import Schema

from torc_core.engine.spawning import LINEAGE_VARIABLE
from torc_http.wire.fields import (
    Anything,
    Env,
    Flag,
    Gibibytes,
    Id,
    Ids,
    Instant,
    Int,
    ListOf,
    Name,
    Part,
    Parts,
    Status,
    Text,
)
from torc_http.wire.results import ResultModel


class ComputeNodeSchedule(Schema):
    """Kept for clients; nothing reads it."""

    model = "ComputeNodeSchedule"

    scheduler_id = Int(required=True)
    num_jobs = Int(required=True)
    max_parallel_jobs = Int()
    start_one_worker_per_node = Flag()


class JobModel(Schema):
    """A job."""

    model = "JobModel"

    id = Id()
    workflow_id = Id(required=True)
    name = Name(required=True)
    command = Text(required=True, empty=False)
    invocation_script = Text()
    env = Env(own=LINEAGE_VARIABLE)
    status = Status()
    priority = Int(minimum=0)
    cancel_on_blocking_job_failure = Flag()
    supports_termination = Flag()
    resource_requirements_id = Id(attribute="requirement_id")
    scheduler_id = Id()
    failure_handler_id = Id()
    attempt_id = Int(minimum=1)
    compute_node_id = Id(attribute="node_id")
    start_time = Instant()
    origin = Text()
    schedule_compute_nodes = Part(ComputeNodeSchedule)
    label = Text()
    reason = Text()
    run_id = Int(minimum=0)
    depends_on_job_ids = Ids(attribute="depends_on")
    input_file_ids = Ids(attribute="input_files")
    output_file_ids = Ids(attribute="output_files")
    input_user_data_ids = Ids(attribute="input_user_data")
    output_user_data_ids = Ids(attribute="output_user_data")


RELATIONS = (
    "depends_on_job_ids", "input_file_ids", "output_file_ids", "input_user_data_ids", "output_user_data_ids",
)  # fmt: skip
"""Fields that are no part of the job's record but of its relations."""

GIVEN = (
    "workflow_id", "name", "command", "invocation_script", "env", "priority", "cancel_on_blocking_job_failure",
    "supports_termination", "requirement_id", "scheduler_id", "failure_handler_id", "label", "depends_on", "input_files",
    "output_files", "input_user_data", "output_user_data", "schedule_compute_nodes",
)  # fmt: skip
"""What a new job takes from its body, by the names of the record."""


class Jobs(Schema):
    """Jobs to be created together."""

    model = "JobsModel"

    jobs = Parts(JobModel, required=True)


class CreatedJobs(Schema):
    """Jobs that were created, in the order sent."""

    model = "CreateJobsResponse"

    jobs = Parts(JobModel, required=True)


class JobIds(Schema):
    """The ids of all jobs."""

    model = "ListJobIdsResponse"

    job_ids = Ids(required=True)
    count = Int(required=True)


class JobDependencyModel(Schema):
    """One job waits for another."""

    model = "JobDependencyModel"

    workflow_id = Id(required=True)
    job_id = Id(required=True)
    job_name = Text(required=True)
    depends_on_job_id = Id(required=True)
    depends_on_job_name = Text(required=True)


class JobFileModel(Schema):
    """A file between two jobs."""

    model = "JobFileRelationshipModel"

    workflow_id = Id(required=True)
    file_id = Id(required=True)
    file_name = Text(required=True)
    file_path = Text(required=True)
    producer_job_id = Id()
    producer_job_name = Text()
    consumer_job_id = Id()
    consumer_job_name = Text()


class JobUserDataModel(Schema):
    """User data between two jobs."""

    model = "JobUserDataRelationshipModel"

    workflow_id = Id(required=True)
    user_data_id = Id(required=True)
    user_data_name = Text(required=True)
    producer_job_id = Id()
    producer_job_name = Text()
    consumer_job_id = Id()
    consumer_job_name = Text()


class RunningJobModel(Schema):
    """A job that runs, and where."""

    model = "RunningJobModel"

    job_id = Id(required=True)
    job_name = Text(required=True)
    compute_node_name = Text(required=True)
    scheduler_type = Text(required=True)
    scheduler_job_id = Text()
    start_time = Instant()


class CorrelationModel(Schema):
    """A job and a batch job in which it ran."""

    model = "SlurmJobCorrelationModel"

    job_id = Id(required=True)
    job_name = Text(required=True)
    slurm_job_id = Text(required=True)


class Resources(Schema):
    """What one node offers."""

    model = "ComputeNodesResources"

    id = Id()
    num_cpus = Int(minimum=0, required=True)
    memory_gb = Gibibytes(minimum=0, required=True)
    num_gpus = Int(minimum=0, required=True)
    num_nodes = Int(minimum=0, required=True)
    scheduler_config_id = Id()
    time_limit = Text()


class ClaimedByResources(Schema):
    """Jobs that were handed out."""

    model = "ClaimJobsBasedOnResources"

    jobs = Parts(JobModel, required=True)
    reason = Text()


class ClaimedNext(Schema):
    """Jobs that were handed out."""

    model = "ClaimNextJobsResponse"

    jobs = Parts(JobModel, required=True)
    reason = Text()


class Completion(Schema):
    """The end of one job."""

    model = "JobCompletionEntry"

    job_id = Id(required=True)
    run_id = Int(minimum=0, required=True)
    status = Status(required=True)
    result = Part(ResultModel, required=True)


class Completions(Schema):
    """The ends of many jobs."""

    model = "BatchCompleteJobsRequest"

    completions = Parts(Completion, required=True)


class CompletionError(Schema):
    """Why an end was refused."""

    model = "JobCompletionError"

    job_id = Id(required=True)
    message = Text(required=True)


class Completed(Schema):
    """Which ends were taken."""

    model = "BatchCompleteJobsResponse"

    completed = Ids(required=True)
    errors = Parts(CompletionError, required=True)


class SpawnJobModel(Schema):
    """A job to be spawned."""

    model = "SpawnJobModel"
    strict = True

    name = Name(required=True)
    command = Text(required=True, empty=False)
    resource_requirements = Name()
    depends_on = ListOf(Name())
    priority = Int(minimum=0)
    cancel_on_blocking_job_failure = Flag()
    label = Text()


class SpawnRequest(Schema):
    """The next generation of a lineage."""

    model = "SpawnJobsRequest"
    strict = True

    jobs = Parts(SpawnJobModel, required=True)
    lineage = Name()
    state = Anything(allow_none=True)


class SpawnAnswer(Schema):
    """The number of the generation and the ids of its jobs."""

    model = "SpawnJobsResponse"

    iteration = Int(required=True)
    spawned_job_ids = Ids(required=True)


__all__ = [
    "GIVEN", "RELATIONS", "ClaimedByResources", "ClaimedNext", "Completed", "Completions", "CorrelationModel", "CreatedJobs",
    "JobDependencyModel", "JobFileModel", "JobIds", "JobModel", "JobUserDataModel", "Jobs", "Resources",
    "RunningJobModel", "SpawnAnswer", "SpawnJobModel", "SpawnRequest",
]  # fmt: skip
