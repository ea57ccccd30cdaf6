"""Things to do at moments of a workflow, and what became of them (`engine.md` §10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from torc_core.model.allocation import Allocation
from torc_core.model.ids import ActionId, ActionRunId, JobId, NodeId, WorkflowId
from torc_core.model.plan import Json
from torc_core.record import record

TRIGGERS = (
    "on_workflow_start", "on_workflow_complete", "on_jobs_ready", "on_jobs_complete", "on_worker_start",
    "on_worker_complete",
)  # fmt: skip
"""Every trigger type."""

ACTION_TYPES = ("run_commands", "schedule_nodes")


class ActionState(StrEnum):
    """Where one firing of an action is (`engine.md` §10.1)."""

    TRIGGERED = "triggered"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"


@record(frozen=True, slots=True, kw_only=True)
class Action:
    """Something to do at a moment of the workflow.

    Parameters
    ----------
    required_triggers, trigger_count
        How many hits it needs to fire, and how many it has had in the current run.
    is_recovery
        Temporary: the next initialisation deletes it.
    executed, executed_at, executed_by
        Of its firing in the current run: claimed, done or failed; when, in milliseconds since 1970, and by which
        node (None: by a person or a command).
    """

    id: ActionId = ActionId(0)
    workflow_id: WorkflowId
    trigger_type: str
    action_type: str
    config: Mapping[str, Json]
    jobs: Sequence[JobId] = ()
    trigger_mode: str = "all"
    persistent: bool = False
    is_recovery: bool = False
    required_triggers: int = 1
    trigger_count: int = 0
    executed: bool = False
    executed_at: int | None = None
    executed_by: NodeId | None = None


@record(frozen=True, slots=True, kw_only=True)
class ActionRun:
    """One firing of an action: once per run, or once per run and node for a persistent one.

    Parameters
    ----------
    node_id
        The node it is for; 0 when it fires once in all.
    claim_id
        Under which claim it is executed.
    claimed_by
        The node that executes it; None: a person or a command.
    progress
        How many of its commands have been begun, or allocations submitted.
    """

    id: ActionRunId = ActionRunId(0)
    workflow_id: WorkflowId
    action_id: ActionId
    run_id: int
    node_id: NodeId = NodeId(0)
    state: ActionState = ActionState.TRIGGERED
    claim_id: str | None = None
    claimed_by: NodeId | None = None
    claimed_at: int | None = None
    progress: int = 0
    error: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class ActionClaim:
    """What a successful claim of an action gives: the firing, and for `schedule_nodes` the intents written with it."""

    run: ActionRun
    allocations: Sequence[Allocation] = ()
