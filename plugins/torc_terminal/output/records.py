"""Records as JSON has them, with the field names of the REST models (`wire.md` §4, §7.7)."""

from __future__ import annotations

import json

from torc_core.model import (
    Action,
    Event,
    FailureHandler,
    File,
    Job,
    JobDependency,
    JobFile,
    JobUserData,
    Json,
    Operation,
    Requirement,
    Result,
    UserData,
    Workflow,
)
from torc_terminal.output.cells import instant

Item = dict[str, Json]
"""A record as JSON."""

NODE_SETTINGS = (
    "compute_node_wait_for_new_jobs_seconds",
    "compute_node_ignore_workflow_completion",
    "compute_node_wait_for_healthy_database_minutes",
    "compute_node_min_time_for_new_jobs_seconds",
    "compute_node_expiration_buffer_seconds",
)
"""Fields of a workflow that runners go by."""


def workflow_item(workflow: Workflow) -> Item:
    """A workflow as `WorkflowModel`."""
    return {
        "id": workflow.id,
        "name": workflow.name,
        "user": workflow.user,
        "description": workflow.description,
        "project": workflow.project,
        "metadata": workflow.metadata,
        "timestamp": instant(workflow.created_at),
        "run_id": workflow.run_id,
        "is_canceled": workflow.is_canceled,
        "is_archived": workflow.is_archived,
        "env": workflow.env,
        "execution_config": workflow.execution_config,
        "resource_monitor_config": workflow.resource_monitor_config,
        "slurm_defaults": workflow.slurm_defaults,
        "dynamic_jobs": workflow.dynamic_jobs,
        "notify": workflow.notify,
        "report": workflow.report,
        "api_access": workflow.api_access,
        "use_pending_failed": workflow.use_pending_failed,
        "enable_ro_crate": workflow.enable_ro_crate,
        "retry_on_node_loss": workflow.retry_on_node_loss,
        **{name: getattr(workflow, name) for name in NODE_SETTINGS},
        "submission_directory": workflow.submission_directory,
        "source_path": workflow.source_path,
        "source_digest": workflow.source_digest,
    }


def job_item(job: Job) -> Item:
    """A job as `JobModel`, without its relations."""
    return {
        "id": job.id,
        "workflow_id": job.workflow_id,
        "name": job.name,
        "command": job.command,
        "status": job.status.label,
        "invocation_script": job.invocation_script,
        "env": job.env,
        "priority": job.priority,
        "label": job.label,
        "cancel_on_blocking_job_failure": job.cancel_on_blocking_job_failure,
        "supports_termination": job.supports_termination,
        "resource_requirements_id": job.requirement_id,
        "scheduler_id": job.scheduler_id,
        "failure_handler_id": job.failure_handler_id,
        "run_id": job.run_id,
        "attempt_id": job.attempt_id,
        "compute_node_id": job.node_id,
        "start_time": instant(job.start_time),
        "reason": job.reason,
    }


def file_item(file: File) -> Item:
    """A file as `FileModel`."""
    return {
        "id": file.id,
        "workflow_id": file.workflow_id,
        "name": file.name,
        "path": file.path,
        "st_mtime": file.st_mtime,
        "size": file.size,
        "identifier": file.identifier,
    }


def user_data_item(datum: UserData) -> Item:
    """A user data record as `UserDataModel`."""
    return {
        "id": datum.id,
        "workflow_id": datum.workflow_id,
        "name": datum.name,
        "data": datum.data,
        "is_ephemeral": datum.is_ephemeral,
    }


def requirement_item(requirement: Requirement) -> Item:
    """Resource requirements as `ResourceRequirementsModel`, with both readings of memory and runtime."""
    return {
        "id": requirement.id,
        "workflow_id": requirement.workflow_id,
        "name": requirement.name,
        "num_cpus": requirement.num_cpus,
        "num_gpus": requirement.num_gpus,
        "num_nodes": requirement.num_nodes,
        "memory": requirement.memory,
        "memory_bytes": requirement.memory_bytes,
        "runtime": requirement.runtime,
        "runtime_seconds": float(requirement.runtime_s),
    }


def result_item(result: Result) -> Item:
    """A result as `ResultModel`."""
    return {
        "id": result.id,
        "workflow_id": result.workflow_id,
        "job_id": result.job_id,
        "job_name": result.job_name,
        "run_id": result.run_id,
        "attempt_id": result.attempt_id,
        "compute_node_id": result.node_id,
        "status": result.status.label,
        "return_code": result.return_code,
        "reason": result.reason,
        "exec_time_minutes": result.exec_minutes,
        "completion_time": instant(result.completed_at),
        "peak_memory_bytes": result.usage.peak_memory_bytes,
        "avg_memory_bytes": result.usage.avg_memory_bytes,
        "peak_cpu_percent": result.usage.peak_cpu_percent,
        "avg_cpu_percent": result.usage.avg_cpu_percent,
        "provisional": result.provisional,
        "is_current": result.current,
    }


def event_item(event: Event) -> Item:
    """An event as `EventModel`: `timestamp` in milliseconds as on the wire, `time` the same as text."""
    return {
        "id": event.id,
        "workflow_id": event.workflow_id,
        "timestamp": event.timestamp,
        "time": instant(event.timestamp),
        "category": event.category,
        "severity": event.severity.value,
        "data": event.data,
    }


def handler_item(handler: FailureHandler) -> Item:
    """A failure handler as `FailureHandlerModel`, whose rules are JSON text."""
    rules = json.dumps([dict(rule) for rule in handler.rules], ensure_ascii=False)
    return {"id": handler.id, "workflow_id": handler.workflow_id, "name": handler.name, "rules": rules}


def action_item(action: Action) -> Item:
    """An action as `WorkflowActionModel`."""
    return {
        "id": action.id,
        "workflow_id": action.workflow_id,
        "trigger_type": action.trigger_type,
        "trigger_mode": action.trigger_mode,
        "action_type": action.action_type,
        "action_config": action.config,
        "job_ids": list(action.jobs),
        "persistent": action.persistent,
        "is_recovery": action.is_recovery,
        "required_triggers": action.required_triggers,
        "trigger_count": action.trigger_count,
        "executed": action.executed,
        "executed_at": instant(action.executed_at),
        "executed_by": action.executed_by,
    }


def task_item(task: Operation) -> Item:
    """An operation as `TaskModel`."""
    return {
        "id": task.id,
        "workflow_id": task.workflow_id,
        "operation": task.name,
        "status": task.status.value,
        "created_at_ms": task.created_at,
        "started_at_ms": task.started_at,
        "finished_at_ms": task.finished_at,
        "error": task.error,
    }


def job_dependency_item(pair: JobDependency) -> Item:
    """A dependency as `JobDependencyModel`."""
    return {
        "workflow_id": pair.workflow_id,
        "job_id": pair.job_id,
        "job_name": pair.job_name,
        "depends_on_job_id": pair.depends_on_job_id,
        "depends_on_job_name": pair.depends_on_job_name,
    }


def job_file_item(pair: JobFile) -> Item:
    """A file between two jobs as `JobFileRelationshipModel`."""
    return {
        "workflow_id": pair.workflow_id,
        "file_id": pair.file_id,
        "file_name": pair.file_name,
        "file_path": pair.file_path,
        "producer_job_id": pair.producer_job_id,
        "producer_job_name": pair.producer_job_name,
        "consumer_job_id": pair.consumer_job_id,
        "consumer_job_name": pair.consumer_job_name,
    }


def job_user_data_item(pair: JobUserData) -> Item:
    """User data between two jobs as `JobUserDataRelationshipModel`."""
    return {
        "workflow_id": pair.workflow_id,
        "user_data_id": pair.user_data_id,
        "user_data_name": pair.user_data_name,
        "producer_job_id": pair.producer_job_id,
        "producer_job_name": pair.producer_job_name,
        "consumer_job_id": pair.consumer_job_id,
        "consumer_job_name": pair.consumer_job_name,
    }
