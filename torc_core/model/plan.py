"""A workflow as a store inserts it: names have become positions, blocker lists have become groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import IntFlag, StrEnum

from torc_core.record import record

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What JSON can say."""


class Source(IntFlag):
    """Why a job waits for a group of others; the bits are stored."""

    EXPLICIT = 1
    FILE = 2
    USER_DATA = 4
    SPAWN = 8


class InputKind(StrEnum):
    """What an input set is made of."""

    FILE = "file"
    USER_DATA = "user_data"


@record(frozen=True, slots=True, kw_only=True)
class PlannedWorkflow:
    """The settings of a workflow (`workflow-spec.md` §3); durations in the units their names say."""

    name: str
    user: str | None = None
    description: str | None = None
    project: str | None = None
    metadata: Mapping[str, Json] | None = None
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
    """Real path of the spec document, by which the same command finds its unfinished workflow again."""
    source_digest: str | None = None
    """SHA-256 of the spec document, hexadecimal."""
    access_groups: Sequence[str] = ()


@record(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file that jobs read or write."""

    name: str
    path: str
    identifier: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class PlannedUserData:
    """A JSON value that jobs read or write; `data` is the value itself, None when not given."""

    name: str
    data: Json = None
    has_data: bool = False
    is_ephemeral: bool = False


@record(frozen=True, slots=True, kw_only=True)
class PlannedRequirement:
    """What a job needs of each node; `memory` and `runtime` as written, the other two in bytes and seconds."""

    name: str
    num_cpus: int = 1
    num_gpus: int = 0
    num_nodes: int = 1
    memory: str = "1m"
    runtime: str = "P0DT1M"
    memory_bytes: int = 1024**2
    runtime_s: int = 60


@record(frozen=True, slots=True, kw_only=True)
class PlannedHandler:
    """A failure handler; its rules as plain mappings with every default filled in."""

    name: str
    rules: Sequence[Mapping[str, Json]]


@record(frozen=True, slots=True, kw_only=True)
class PlannedScheduler:
    """A Slurm scheduler: `fields` are those of `workflow-spec.md` §10.1 with every default filled in."""

    name: str
    fields: Mapping[str, Json]


@record(frozen=True, slots=True, kw_only=True)
class PlannedAction:
    """Something to do at a moment of the workflow; `jobs` are positions, ascending.

    Parameters
    ----------
    is_recovery
        Temporary: the next initialisation deletes it. Only planners make such.
    """

    trigger_type: str
    action_type: str
    config: Mapping[str, Json]
    jobs: Sequence[int] = ()
    trigger_mode: str = "all"
    persistent: bool = False
    is_recovery: bool = False


@record(frozen=True, slots=True, kw_only=True)
class PlannedInput:
    """One distinct list of files or user data that jobs read.

    Parameters
    ----------
    items
        Positions in the plan's files or user data, ascending.
    group
        Position of the group made of the producers of these items; None when nobody produces them.
    """

    kind: InputKind
    items: Sequence[int]
    group: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job without parameters; every reference is a position in the plan.

    Parameters
    ----------
    command, invocation_script
        May refer to ids of user data, which are known at creation: stores pass them through `with_user_data_ids`.
    groups
        (position of the group, why) for each distinct group of blockers, ascending by position. The groups of
        the job's input sets are among them.
    num_blockers
        Number of distinct jobs it waits for.
    """

    name: str
    command: str
    invocation_script: str | None = None
    env: Mapping[str, str] | None = None
    priority: int = 0
    cancel_on_blocking_job_failure: bool = True
    supports_termination: bool = False
    requirement: int = 0
    handler: int | None = None
    scheduler: int | None = None
    label: str | None = None
    groups: Sequence[tuple[int, Source]] = ()
    inputs: Sequence[int] = ()
    output_files: Sequence[int] = ()
    output_user_data: Sequence[int] = ()
    num_blockers: int = 0


@record(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole workflow, ready to be created in one transaction; ids follow the order of the sequences.

    Parameters
    ----------
    groups
        The distinct blocker lists, each an ascending tuple of job positions.
    inputs
        The distinct lists of files and of user data that jobs read.
    """

    workflow: PlannedWorkflow
    jobs: Sequence[PlannedJob] = ()
    files: Sequence[PlannedFile] = ()
    user_data: Sequence[PlannedUserData] = ()
    requirements: Sequence[PlannedRequirement] = field(
        default_factory=lambda: (PlannedRequirement(name="default"),)
    )
    handlers: Sequence[PlannedHandler] = ()
    schedulers: Sequence[PlannedScheduler] = ()
    actions: Sequence[PlannedAction] = ()
    groups: Sequence[Sequence[int]] = ()
    inputs: Sequence[PlannedInput] = ()


def user_data_mark(position: int) -> str:
    """What stands in a planned command where the id of a user data record will be; no document can hold it."""
    return f"\x00{position}\x00"


def with_user_data_ids(text: str, ids: Sequence[int]) -> str:
    """Put ids where a planned command or script refers to user data records by position."""
    if "\x00" not in text:
        return text
    parts = text.split("\x00")
    parts[1::2] = [str(ids[int(part)]) for part in parts[1::2]]
    return "".join(parts)
