"""A workflow as a document that leaves the store (`engine.md` §17, `observability.md` §7)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from hashlib import sha256
from typing import Any

from torc_core.errors import Invalid
from torc_core.model import (
    Action,
    Allocation,
    Event,
    FailureHandler,
    File,
    InputKind,
    Job,
    JobId,
    JobStatus,
    Json,
    LocalScheduler,
    Node,
    Requirement,
    Result,
    RoCrateEntity,
    SlurmScheduler,
    Source,
    UserData,
    Workflow,
)
from torc_core.model.allocation import shown
from torc_core.model.instants import instant_text
from torc_core.record import record

VERSION = "1.0"
SETTINGS = (
    "name", "user", "description", "project", "metadata", "env", "execution_config", "resource_monitor_config",
    "slurm_defaults", "dynamic_jobs", "notify", "report", "api_access", "use_pending_failed", "enable_ro_crate",
    "retry_on_node_loss", "compute_node_wait_for_new_jobs_seconds", "compute_node_ignore_workflow_completion",
    "compute_node_wait_for_healthy_database_minutes", "compute_node_min_time_for_new_jobs_seconds",
    "compute_node_expiration_buffer_seconds", "submission_directory", "source_path", "source_digest",
)  # fmt: skip
"""Fields of a workflow that are planned."""
STANDING = ("run_id", "initialized_run", "is_canceled", "is_archived", "slurm_config", "submit_options")
"""Fields of a workflow that come with its life."""
FILE = ("name", "path", "identifier", "st_mtime", "size", "content_hash")
REQUIREMENT = ("name", "num_cpus", "num_gpus", "num_nodes", "memory", "runtime")
LOCAL = ("name", "memory", "num_cpus")
JOB = (
    "name", "command", "invocation_script", "env", "priority", "cancel_on_blocking_job_failure",
    "supports_termination", "label", "schedule_compute_nodes", "reason", "origin",
)  # fmt: skip
ATTEMPT = ("run_id", "attempt_id", "losses", "input_hash", "lineage")
"""Fields of a job that tell which attempt it is at, and whose it is."""
USAGE = ("peak_memory_bytes", "avg_memory_bytes", "peak_cpu_percent", "avg_cpu_percent")
NODE = ("hostname", "pid", "num_nodes", "label", "output_dir", "duration_seconds", "restart_count")
NODE_USAGE = ("avg_cpu_percent", "peak_cpu_percent", "avg_memory_bytes", "peak_memory_bytes", "sample_count")
ALLOCATION = ("scheduler_type", "scheduler_id", "nodes", "walltime", "submitted_by", "reason")
EVENT_IDS: Mapping[str, str] = {
    "job_id": "jobs", "caller_job_id": "jobs", "first_job_id": "jobs", "last_job_id": "jobs",
    "compute_node_id": "compute_nodes", "action_id": "workflow_actions", "file_id": "files",
}  # fmt: skip
"""Keys in the data of events that name records, and the list of the document in which those stand."""


@record(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What jobs read, write and wait for, as stores keep it.

    Parameters
    ----------
    groups, uses
        The members of each group; (job, group, why) for those who wait.
    inputs, readers
        Kind and items of each input set; (job, input set).
    outputs
        (job, kind, item).
    """

    groups: Mapping[int, Sequence[JobId]] = field(default_factory=dict)
    uses: Sequence[tuple[JobId, int, Source]] = ()
    inputs: Mapping[int, tuple[InputKind, Sequence[int]]] = field(default_factory=dict)
    readers: Sequence[tuple[JobId, int]] = ()
    outputs: Sequence[tuple[JobId, InputKind, int]] = ()


@record(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that belongs to a workflow; `first_data` by id of user data: the value before any job wrote it."""

    workflow: Workflow
    wiring: Wiring
    files: Sequence[File] = ()
    user_data: Sequence[UserData] = ()
    first_data: Mapping[int, UserData] = field(default_factory=dict)
    requirements: Sequence[Requirement] = ()
    handlers: Sequence[FailureHandler] = ()
    schedulers: Sequence[SlurmScheduler] = ()
    local_schedulers: Sequence[LocalScheduler] = ()
    jobs: Sequence[Job] = ()
    actions: Sequence[Action] = ()
    entities: Sequence[RoCrateEntity] = ()
    nodes: Sequence[Node] = ()
    allocations: Sequence[Allocation] = ()
    results: Sequence[Result] | None = None
    events: Sequence[Event] | None = None


def document(contents: Contents, *, now: int, version: str, compact: bool = False) -> dict[str, Json]:
    """The document; `compact`: lists that jobs share stand once."""
    workflow = contents.workflow
    made: dict[str, Json] = {
        "export_version": VERSION,
        "exported_at": instant_text(now),
        "torc_version": version,
        "workflow": {
            "id": workflow.id, "timestamp": instant_text(workflow.created_at),
            **_fields(workflow, (*SETTINGS, *STANDING)),
        },
        "files": [{"id": one.id, **_fields(one, FILE)} for one in contents.files],
        "user_data": [_user_data(one, contents.first_data.get(one.id)) for one in contents.user_data],
        "resource_requirements": [{"id": one.id, **_fields(one, REQUIREMENT)} for one in contents.requirements],
        "slurm_schedulers": [{"id": one.id, "name": one.name, **one.fields} for one in contents.schedulers],
        "local_schedulers": [{"id": one.id, **_fields(one, LOCAL)} for one in contents.local_schedulers],
        "failure_handlers": [
            {"id": one.id, "name": one.name, "rules": json.dumps([dict(rule) for rule in one.rules])}
            for one in contents.handlers
        ],
        **_jobs(contents, compact),
        "workflow_actions": [_action(one) for one in contents.actions],
        "ro_crate_entities": [
            {"id": one.id, **_fields(one, ("entity_id", "entity_type", "file_id", "metadata"))}
            for one in contents.entities
        ],
        "attempts": [_attempt(one) for one in contents.jobs if _attempted(one)],
    }  # fmt: skip
    if contents.results is not None:
        made["compute_nodes"] = [_node(one) for one in contents.nodes]
        made["scheduled_compute_nodes"] = [_allocation(one) for one in contents.allocations]
        made["results"] = [_result(one) for one in contents.results]
    if contents.events is not None:
        made["events"] = [
            {"id": one.id, "timestamp": one.timestamp, "category": one.category, "severity": one.severity.value,
             "data": dict(one.data)}
            for one in contents.events
        ]  # fmt: skip
    made["checksum"] = checksum(made)
    return made


def checksum(document: Mapping[str, Json]) -> str:
    """SHA-256 over all that a document says, but for the instant of its making."""
    said = {key: value for key, value in document.items() if key not in ("checksum", "exported_at")}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


def check_whole(document: Mapping[str, Json]) -> None:
    """Refuse a document that is not as it was exported; one without a checksum is taken as it is.

    Raises
    ------
    Invalid
        Saying what to do.
    """
    if "checksum" in document and document["checksum"] != checksum(document):
        raise Invalid(
            "the checksum of the document is wrong: it was changed or cut off since it was exported; export it anew,"
            " or take the key 'checksum' out to import it all the same"
        )


def _fields(one: Any, names: Sequence[str]) -> dict[str, Json]:
    return {name: getattr(one, name) for name in names}


def _user_data(one: UserData, first: UserData | None) -> dict[str, Json]:
    made: dict[str, Json] = {
        "id": one.id,
        "name": one.name,
        "data": one.data,
        "is_ephemeral": one.is_ephemeral,
    }
    # NOTE: published readers take null for "no value"; a null that was stored is marked.
    if one.has_data and one.data is None:
        made["has_data"] = True
    if first is not None and (first.has_data, first.data) != (one.has_data, one.data):
        made["initial_data"] = first.data
        made["has_initial_data"] = first.has_data
    return made


def _jobs(contents: Contents, compact: bool) -> dict[str, Json]:
    wiring = contents.wiring
    waits: dict[int, list[int]] = {}
    for job, group, source in wiring.uses:
        if source & Source.EXPLICIT:
            waits.setdefault(job, []).append(group)
    reads: dict[int, list[int]] = {}
    for job, entry in wiring.readers:
        reads.setdefault(job, []).append(entry)
    writes: dict[tuple[int, InputKind], list[int]] = {}
    for job, kind, thing in wiring.outputs:
        writes.setdefault((job, kind), []).append(thing)
    groups = _Numbers(wiring.groups)
    inputs = _Numbers(wiring.inputs)
    made: list[Json] = []
    for one in contents.jobs:
        item: dict[str, Json] = {
            "id": one.id, **_fields(one, JOB), "status": one.status.label,
            "resource_requirements_id": one.requirement_id, "scheduler_id": one.scheduler_id,
            "failure_handler_id": one.failure_handler_id,
            "output_file_ids": sorted(writes.get((one.id, InputKind.FILE), ())),
            "output_user_data_ids": sorted(writes.get((one.id, InputKind.USER_DATA), ())),
        }  # fmt: skip
        mine, read = waits.get(one.id, ()), reads.get(one.id, ())
        if compact:
            item["depends_on_groups"] = sorted(groups.of(group) for group in mine)
            item["input_groups"] = sorted(inputs.of(entry) for entry in read)
        else:
            item["depends_on_job_ids"] = sorted({job for group in mine for job in wiring.groups[group]})
            for kind, key in (
                (InputKind.FILE, "input_file_ids"),
                (InputKind.USER_DATA, "input_user_data_ids"),
            ):
                lists = [wiring.inputs[entry] for entry in read]
                item[key] = sorted({thing for sort, items in lists if sort is kind for thing in items})
        made.append(item)
    if not compact:
        return {"jobs": made}
    return {
        "dependency_groups": [sorted(members) for members in groups.used()],
        "input_groups": [{"kind": kind.value, "ids": sorted(items)} for kind, items in inputs.used()],
        "jobs": made,
    }


class _Numbers:
    """Numbers from 0 for those keys that are used, in the order of their first use."""

    def __init__(self, values: Mapping[int, Any]) -> None:
        self._values = values
        self._numbers: dict[int, int] = {}

    def of(self, key: int) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def used(self) -> list[Any]:
        return [self._values[key] for key in self._numbers]


def _action(one: Action) -> dict[str, Json]:
    return {
        "id": one.id, "trigger_type": one.trigger_type, "trigger_mode": one.trigger_mode,
        "action_type": one.action_type, "action_config": dict(one.config), "job_ids": list(one.jobs),
        "persistent": one.persistent, "is_recovery": one.is_recovery, "required_triggers": one.required_triggers,
        "trigger_count": one.trigger_count,
    }  # fmt: skip


def _attempted(one: Job) -> bool:
    return one.status is not JobStatus.UNINITIALIZED or one.attempt_id > 1 or one.spawned_by is not None


def _attempt(one: Job) -> dict[str, Json]:
    return {"job_id": one.id, **_fields(one, ATTEMPT), "spawned_by": one.spawned_by}


def _node(one: Node) -> dict[str, Json]:
    return {
        "id": one.id, **_fields(one, NODE), **_fields(one.usage, NODE_USAGE), "compute_node_type": one.type,
        "num_cpus": one.capacity.cpus, "memory_gb": one.capacity.memory / 1024**3,
        "memory_bytes": one.capacity.memory, "num_gpus": one.capacity.gpus, "gpu_ids": list(one.gpus),
        "start_time": instant_text(one.start_time), "scheduler": one.scheduler,
        "scheduler_config_id": one.scheduler_id, "scheduled_compute_node_id": one.allocation_id, "is_active": False,
        "end_time": None if one.end_time is None else instant_text(one.end_time),
    }  # fmt: skip


def _allocation(one: Allocation) -> dict[str, Json]:
    at = None if one.submitted_at is None else instant_text(one.submitted_at)
    return {
        "id": one.id, **_fields(one, ALLOCATION), "status": shown(one.status), "submitted_at": at,
        "scheduler_config_id": one.scheduler_config_id,
    }  # fmt: skip


def _result(one: Result) -> dict[str, Json]:
    return {
        "id": one.id, "job_id": one.job_id, "job_name": one.job_name, "run_id": one.run_id,
        "attempt_id": one.attempt_id, "compute_node_id": one.node_id, "status": one.status.label,
        "return_code": one.return_code, "reason": one.reason, "exec_time_minutes": one.exec_minutes,
        "completion_time": instant_text(one.completed_at), **_fields(one.usage, USAGE),
        "provisional": one.provisional, "current": one.current,
    }  # fmt: skip
