"""Which fields of which records can be filtered and sorted by, and changed: one list for every store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields as declared
from typing import Any

from torc_core.errors import Invalid, did_you_mean
from torc_core.model import (
    AccessGroup,
    Action,
    ActionRun,
    Allocation,
    AuditEntry,
    Event,
    FailureHandler,
    File,
    GroupLink,
    Job,
    JobDependency,
    JobFile,
    JobUserData,
    LocalScheduler,
    Membership,
    Node,
    Operation,
    Query,
    RemoteWorker,
    Requirement,
    Result,
    RoCrateEntity,
    RunningJob,
    SlurmCorrelation,
    SlurmScheduler,
    SlurmStats,
    Token,
    UserData,
    Workflow,
)
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Fields:
    """What may be done with the fields of a kind of record.

    Parameters
    ----------
    noun
        What users call such a record, in the singular.
    plain
        Fields to filter and sort by.
    related
        Names that only filter: they ask for a relation of the record instead of one of its fields.
    changed
        Fields that `change` sets at any time.
    early
        Fields that `change` sets only while the job is uninitialized.
    """

    noun: str
    plain: tuple[str, ...]
    related: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    early: tuple[str, ...] = ()


FIELDS: Mapping[type[Any], Fields] = {
    Workflow: Fields(
        noun="workflow",
        plain=("id", "name", "user", "description", "project", "created_at", "run_id", "is_canceled", "is_archived",
               "source_path", "source_digest"),
        changed=("name", "user", "description", "project", "metadata", "env", "execution_config",
                 "resource_monitor_config", "slurm_defaults", "report", "compute_node_wait_for_new_jobs_seconds",
                 "compute_node_ignore_workflow_completion", "compute_node_wait_for_healthy_database_minutes",
                 "compute_node_min_time_for_new_jobs_seconds", "compute_node_expiration_buffer_seconds",
                 "use_pending_failed", "enable_ro_crate", "retry_on_node_loss", "notify",
                 "api_access", "slurm_config", "submit_options", "capability_generation"),
    ),
    Job: Fields(
        noun="job",
        plain=("id", "name", "command", "status", "priority", "label", "requirement_id", "scheduler_id",
               "failure_handler_id", "unmet", "num_blockers", "run_id", "attempt_id", "node_id", "start_time",
               "ready_since", "reason", "result_id", "cancel_on_blocking_job_failure", "supports_termination",
               "origin", "lineage", "spawned_by"),
        related=("upstream_job_id", "needs_file_id"),
        changed=("requirement_id", "failure_handler_id", "scheduler_id", "priority", "label",
                 "cancel_on_blocking_job_failure", "supports_termination", "status"),
        early=("name", "command", "invocation_script", "env", "depends_on", "input_files", "output_files",
               "input_user_data", "output_user_data"),
    ),
    File: Fields(
        noun="file",
        plain=("id", "name", "path", "identifier", "st_mtime", "size", "content_hash"),
        related=("produced_by_job_id", "is_output"),
        changed=("name", "path", "identifier", "st_mtime", "size", "content_hash"),
    ),
    UserData: Fields(
        noun="user data record",
        plain=("id", "name", "is_ephemeral", "has_data"),
        related=("producer_job_id", "consumer_job_id"),
        changed=("name", "data", "has_data", "is_ephemeral"),
    ),
    Requirement: Fields(
        noun="resource requirement",
        plain=("id", "name", "num_cpus", "num_gpus", "num_nodes", "memory", "runtime", "memory_bytes", "runtime_s"),
        changed=("name", "num_cpus", "num_gpus", "num_nodes", "memory", "runtime"),
    ),
    FailureHandler: Fields(noun="failure handler", plain=("id", "name"), changed=("name", "rules")),
    SlurmScheduler: Fields(noun="Slurm scheduler", plain=("id", "name"), changed=("name", "fields")),
    Action: Fields(noun="action", plain=("id", "trigger_type", "action_type", "persistent", "is_recovery")),
    Result: Fields(
        noun="result",
        plain=("id", "job_id", "job_name", "run_id", "attempt_id", "node_id", "status", "return_code", "reason",
               "exec_minutes", "completed_at", "provisional", "current", "usage.peak_memory_bytes", "usage.avg_memory_bytes",
               "usage.peak_cpu_percent", "usage.avg_cpu_percent"),
        changed=("status", "return_code", "reason", "exec_minutes", "completed_at", "node_id", "usage"),
    ),
    Event: Fields(noun="event", plain=("id", "timestamp", "category", "severity"), changed=("data",)),
    Node: Fields(
        noun="compute node",
        plain=("id", "epoch", "hostname", "pid", "boot_id", "type", "label", "scheduler_id", "is_active",
               "start_time", "last_beat", "end_time", "state", "allocation_id", "draining"),
        changed=("hostname", "pid", "type", "label", "num_nodes", "scheduler", "scheduler_id", "time_limit", "is_active",
                 "start_time", "duration_seconds", "usage", "capacity"),
    ),
    LocalScheduler: Fields(
        noun="local scheduler",
        plain=("id", "name", "memory", "num_cpus"),
        changed=("name", "memory", "num_cpus"),
    ),
    ActionRun: Fields(noun="action run", plain=("id", "action_id", "run_id", "node_id", "state")),
    Allocation: Fields(
        noun="scheduled compute node",
        plain=("id", "scheduler_config_id", "scheduler_type", "scheduler_id", "status", "submission_key", "action_run_id"),
        changed=("scheduler_id", "status", "reason", "walltime"),
    ),
    SlurmStats: Fields(noun="Slurm stats record", plain=("id", "job_id", "run_id", "attempt_id", "slurm_job_id")),
    RoCrateEntity: Fields(
        noun="RO-Crate entity",
        plain=("id", "entity_id", "entity_type", "file_id"),
        changed=("entity_id", "entity_type", "file_id", "metadata"),
    ),
    RemoteWorker: Fields(noun="remote worker", plain=("id", "worker", "label"), changed=("label", "options")),
    Operation: Fields(noun="task", plain=("id", "name", "status", "created_at")),
    AccessGroup: Fields(noun="access group", plain=("id", "name", "is_system", "created_at")),
    Membership: Fields(noun="membership", plain=("id", "group_id", "user_name", "role"), changed=("role",)),
    GroupLink: Fields(
        noun="group link", plain=("id", "workflow_id", "group_id", "level", "created_at"), changed=("level",)
    ),
    Token: Fields(
        noun="token", plain=("id", "key", "user", "access_class", "created_at", "expires_at", "revoked_at"),
        changed=("revoked_at",),
    ),
    AuditEntry: Fields(
        noun="audit entry",
        plain=("id", "timestamp", "operation", "principal", "established", "peer", "object", "outcome"),
    ),
    RunningJob: Fields(noun="running job", plain=("job_id",)),
    SlurmCorrelation: Fields(noun="Slurm correlation", plain=("job_id", "slurm_job_id")),
    JobDependency: Fields(noun="job relation", plain=("job_id", "depends_on_job_id")),
    JobFile: Fields(noun="file relation", plain=("file_id", "producer_job_id", "consumer_job_id")),
    JobUserData: Fields(noun="user data relation", plain=("user_data_id", "producer_job_id", "consumer_job_id")),
}  # fmt: skip
"""By kind of record. Pairs have no ids: they are sorted by their fields as listed, and by nothing else."""

WITHOUT_WORKFLOW: tuple[type[Any], ...] = (AccessGroup, Membership, Token, AuditEntry)
"""Kinds that belong to no workflow."""

PAIRS = (JobDependency, JobFile, JobUserData, RunningJob, SlurmCorrelation)
"""Kinds that are derived from others: they can be listed, but neither got by id nor changed."""


def known(kind: type[Any]) -> Fields:
    """The fields of a kind.

    Raises
    ------
    Invalid
        If stores keep no such records.
    """
    if kind not in FIELDS:
        raise Invalid(f"no records of kind {getattr(kind, '__name__', kind)!r} are kept")
    return FIELDS[kind]


def check_query(kind: type[Any], query: Query) -> Fields:
    """Refuse a query by fields that are not allowed, without a workflow, or out of range.

    Raises
    ------
    Invalid
        The sentence lists the fields that are allowed.
    """
    allowed = known(kind)
    filters = (*allowed.plain, *allowed.related)
    _check(allowed.noun, "filtered by", query.where, filters)
    _check(allowed.noun, "filtered by the pattern of", query.like, _texts(kind, allowed.plain))
    default_sort = kind in PAIRS and query.sort == "id"
    sortable = () if kind in PAIRS else allowed.plain
    if not default_sort:
        _check(allowed.noun, "sorted by", [query.sort], sortable)
    if query.since is not None and kind is not Event:
        raise Invalid(f"only events can be asked for since an instant, not {allowed.noun}s")
    ids = any(
        name == "id" or name.endswith("_id") for name in query.where if name not in ("run_id", "attempt_id")
    )
    free = kind in (Workflow, Event, Operation) or kind in WITHOUT_WORKFLOW
    if not free and query.workflow is None and not ids:
        raise Invalid(f"a list of {allowed.noun}s needs a workflow")
    if query.offset < 0 or query.limit < 0:
        raise Invalid(f"offset {query.offset} and limit {query.limit} must not be negative")
    return allowed


def check_change(kind: type[Any], names: Iterable[str]) -> None:
    """Refuse a change of fields that cannot be changed.

    Raises
    ------
    Invalid
        The sentence lists those that can.
    """
    allowed = known(kind)
    if not allowed.changed and not allowed.early:
        raise Invalid(f"a {allowed.noun} cannot be changed")
    _check(allowed.noun, "given another", names, (*allowed.changed, *allowed.early))


def _check(noun: str, verb: str, names: Iterable[str], allowed: tuple[str, ...]) -> None:
    for name in names:
        if name not in allowed:
            hint = did_you_mean(name, allowed)
            choices = f" (choose from {', '.join(allowed)})" if allowed else "; there is no choice"
            raise Invalid(f"{noun}s cannot be {verb} {name!r}{hint}{choices}")


def _texts(kind: type[Any], names: tuple[str, ...]) -> tuple[str, ...]:
    texts = {field.name for field in declared(kind) if str(field.type).startswith(("str", "Severity"))}
    return tuple(name for name in names if name in texts)
