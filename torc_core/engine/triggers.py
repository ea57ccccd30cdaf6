"""When actions fire, how far each is, and which are armed again when a run begins (`engine.md` §10)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torc_core.errors import Conflict, Invalid, did_you_mean
from torc_core.model import (
    ACTION_TYPES,
    TRIGGERS,
    Action,
    ActionRun,
    ActionState,
    JobId,
    JobStatus,
    Json,
    NodeId,
)

JOB_TRIGGERS = ("on_jobs_ready", "on_jobs_complete")
"""Triggers that count jobs."""

AT_BEGIN = ("on_workflow_start", "on_worker_start", "on_worker_complete")
"""Triggers that are due from the beginning of a run on."""

CLAIM_MS = 600_000
"""So long a claim lives that nobody renews."""

NOTHING, EXECUTOR_LOST = "nothing to do", "executor_lost"
"""Why a firing was done without being executed, and why one failed whose executor died."""

READY, ENDED = 1, -1
"""How a watched job was hit in this run: it has been ready, or it ended without; None: not yet."""

_BEEN_READY = frozenset({JobStatus.READY, JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PENDING_FAILED})
_SCHEDULE: Mapping[str, type | tuple[type, ...]] = {
    "scheduler_id": int, "scheduler": str, "scheduler_type": str, "num_allocations": int,
    "start_one_worker_per_node": bool, "max_parallel_jobs": (int, type(None)),
}  # fmt: skip


def hit(trigger: str, before: JobStatus, after: JobStatus) -> int | None:
    """How a move hits an action that watches the job; None: it does not."""
    over = after.ended or after is JobStatus.DISABLED
    if trigger == "on_jobs_complete":
        return READY if over else None
    if after in _BEEN_READY or (over and before in _BEEN_READY):
        return READY
    return ENDED if over else None


def standing(trigger: str, status: JobStatus, *, this_run: bool) -> int | None:
    """How a job in this status counts for an action that is armed now; `this_run`: it became so in this run."""
    if trigger == "on_jobs_complete":
        return hit(trigger, status, status)
    if status in _BEEN_READY:
        return READY
    if not (status.ended or status is JobStatus.DISABLED):
        return None
    return (
        READY
        if this_run and status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TERMINATED)
        else ENDED
    )


def required(trigger: str, mode: str, jobs: int) -> int:
    """How many hits an action needs to fire."""
    return max(1, jobs) if trigger in JOB_TRIGGERS and mode != "any" else 1


def counted(mode: str, ready: int, ended: int) -> int:
    """How many hits count; the first ready job fires an action of mode `any`."""
    return ready if mode == "any" else ready + ended


def fires(action: Action, *, any_ready: bool) -> ActionState | None:
    """What becomes of an action whose count has changed: triggered, done since there is nothing to do, or neither."""
    if action.trigger_count < action.required_triggers:
        return None
    if action.trigger_type == "on_jobs_ready" and not any_ready:
        return ActionState.DONE
    return ActionState.TRIGGERED


def armed(action: Action, *, full: bool, reset_jobs: Collection[JobId] | None) -> bool:
    """Whether an initialisation arms an action again (`engine.md` §10.4); else its firing counts for the new run too.

    Parameters
    ----------
    reset_jobs
        The jobs that start over although they had run or waited elsewhere; None: all.
    """
    if full:
        return True
    if action.trigger_type == "on_workflow_start":
        return False
    if action.trigger_type in JOB_TRIGGERS and reset_jobs is not None:
        return any(job in reset_jobs for job in action.jobs)
    return True


def place(action: Action, node: NodeId | None) -> NodeId:
    """Which firing a claim is about: the node's own, or 0, the only one."""
    return node if action.persistent and node is not None else NodeId(0)


def meant(
    own: ActionRun | None, firings: Iterable[ActionRun], claim_id: str | None, node: NodeId | None
) -> ActionRun | None:
    """Which firing of persistent scheduled nodes a claim is about; None: a new one, in its own place.

    One that is executed under the claim already, its own, else one that was given back or whose runner is gone.
    """
    every = list(firings)
    for one in every:
        if claim_id is not None and one.claim_id == claim_id and one.state is ActionState.CLAIMED:
            return one
    if own.state is ActionState.TRIGGERED if own is not None else node is not None:
        return own
    return next((one for one in every if one.state is ActionState.TRIGGERED), own)


def expired(run: ActionRun, now: int, *, alive: bool) -> bool:
    """Whether a claim has run out; `alive`: a node has it that has given a sign of life since."""
    if run.state is not ActionState.CLAIMED or run.claimed_at is None:
        return False
    if run.claimed_by is not None:
        return not alive
    return run.claimed_at <= now - CLAIM_MS


def after_loss(action_type: str) -> tuple[ActionState, str | None]:
    """What a firing becomes whose executor is lost: commands are never repeated, allocations are resumed (§10.3)."""
    if action_type == "schedule_nodes":
        return ActionState.TRIGGERED, None
    return ActionState.FAILED, EXECUTOR_LOST


def claimed(
    action: Action, run: ActionRun | None, claim_id: str | None, node: NodeId | None
) -> ActionRun | None:
    """Judge a claim: the firing it repeats, None if it is to be taken.

    `run` is the firing in the current run, None if there is none yet.

    Raises
    ------
    Conflict
        If it is not due, somebody else has it, or it has been executed.
    """
    if run is None:
        if not action.persistent or action.trigger_count < action.required_triggers:
            raise Conflict(f"action {action.id} is not due: {_waits(action)}")
        return None
    if run.state is ActionState.TRIGGERED:
        return None
    if claim_id is not None:
        same = run.claim_id == claim_id and run.state is ActionState.CLAIMED
    else:
        same = run.claim_id is None and node is not None and run.claimed_by == node
    if same:
        return run
    if run.state is ActionState.CLAIMED:
        who = "a command" if run.claimed_by is None else f"node {run.claimed_by}"
        raise Conflict(f"action {action.id} is already claimed by {who}", details={"claimed": False})
    raise Conflict(f"action {action.id} has been executed: {run.state}", details={"claimed": False})


def stepped(run: ActionRun, step: int) -> int:
    """The progress of a firing when command number `step` is about to be run.

    Raises
    ------
    Conflict
        If a later one has been begun, so that this one would be run twice.
    """
    if step not in (run.progress, run.progress + 1):
        raise Conflict(
            f"action {run.action_id} has begun command {run.progress}; command {step} is not the next"
        )
    return step


def check_action(action: Action, *, schedulers: Collection[int] = ()) -> None:
    """Refuse an action that could never be executed (`wire.md` §3.10); `schedulers` are those of the workflow.

    Raises
    ------
    Invalid
        The sentence names the field and the value.
    """
    _one_of("trigger_type", action.trigger_type, TRIGGERS)
    _one_of("action_type", action.action_type, ACTION_TYPES)
    _one_of("trigger_mode", action.trigger_mode, ("all", "any"))
    if action.trigger_mode != "all" and action.trigger_type != "on_jobs_ready":
        raise Invalid("trigger_mode belongs to on_jobs_ready")
    if action.trigger_type in JOB_TRIGGERS and not action.jobs:
        raise Invalid(f"an action with {action.trigger_type} needs at least one job")
    if action.trigger_type not in JOB_TRIGGERS and action.jobs:
        raise Invalid(f"jobs do not belong to {action.trigger_type}")
    if action.action_type == "run_commands":
        _check_commands(action.config)
    else:
        _check_schedule(action.config, schedulers)


def _waits(action: Action) -> str:
    if action.trigger_type in JOB_TRIGGERS:
        return f"{action.trigger_count} of {action.required_triggers} jobs have been seen"
    return f"{action.trigger_type} has not come in this run"


def _one_of(field: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        hint = did_you_mean(value, known)
        raise Invalid(f"{field} {value!r} is not known{hint}; choose from {', '.join(known)}")


def _check_commands(config: Mapping[str, Json]) -> None:
    commands: Any = config.get("commands")
    if set(config) != {"commands"}:
        raise Invalid(f"run_commands takes exactly 'commands' in action_config, got {_listed(config)}")
    good = isinstance(commands, (list, tuple)) and all(isinstance(one, str) and one for one in commands)
    if not good or not commands:
        raise Invalid("'commands' in action_config has to be a list of at least one command")
    if any("\0" in one for one in commands):
        raise Invalid("a command in action_config holds a NUL character; no process can be given one")


def _check_schedule(config: Mapping[str, Json], schedulers: Collection[int]) -> None:
    for name, value in config.items():
        kind = _SCHEDULE.get(name)
        if kind is None:
            raise Invalid(
                f"schedule_nodes knows no {name!r} in action_config{did_you_mean(name, _SCHEDULE)}; "
                f"choose from {', '.join(_SCHEDULE)}"
            )
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Invalid(f"{name!r} in action_config cannot be {value!r}")
    kind_ = config.get("scheduler_type", "slurm")
    _one_of("scheduler_type", str(kind_), ("slurm", "local"))
    count: Any = config.get("num_allocations", 1)
    if not 1 <= count <= 10_000:
        raise Invalid(f"'num_allocations' in action_config is {count}; it has to be from 1 to 10,000")
    most: Any = config.get("max_parallel_jobs")
    if most is not None and most < 1:
        raise Invalid(f"'max_parallel_jobs' in action_config is {most}; it has to be at least 1")
    scheduler: Any = config.get("scheduler_id")
    if kind_ == "slurm" and scheduler is None and "scheduler" not in config:
        raise Invalid("schedule_nodes needs 'scheduler_id' in action_config")
    if kind_ == "slurm" and scheduler is not None and scheduler not in schedulers:
        raise Invalid(
            f"the workflow has no Slurm scheduler {scheduler}; 'scheduler_id' in action_config has to name one"
        )


def _listed(config: Mapping[str, Json]) -> str:
    return ", ".join(repr(name) for name in config) or "nothing"
