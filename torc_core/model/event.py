"""What happened, in commit order. Names, severities and fields: `engine.md` §13, `observability.md` OB21-OB22."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from torc_core.model.ids import EventId, WorkflowId
from torc_core.model.plan import Json
from torc_core.record import record


class Severity(StrEnum):
    """How much an event matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


EVENTS: Mapping[str, Severity] = {
    **dict.fromkeys(
        (
            "workflow_created", "workflow_started", "workflow_reinitialized", "workflow_completed",
            "workflow_canceled", "workflow_archived", "workflow_deleted", "task_completed",
            "job_started", "job_completed", "job_terminated", "job_canceled", "job_retried", "jobs_spawned",
            "compute_node_started", "compute_node_stopped", "scheduler_node_created",
            "action_triggered", "action_done", "scheduling_decision", "recovery_started", "recovery_finished",
            "resource_adjusted", "file_changed", "user_action", "user",
        ),
        Severity.INFO,
    ),
    **dict.fromkeys(
        (
            "job_pending_failed", "override", "compute_node_unreachable", "leftover_processes", "action_failed",
            "different_result", "duplicate_name", "repair",
        ),
        Severity.WARNING,
    ),
    **dict.fromkeys(("job_failed", "compute_node_lost"), Severity.ERROR),
    **dict.fromkeys(("job_ready", "job_claimed", "job_given_back"), Severity.DEBUG),
}  # fmt: skip
"""Every stored event name with its severity: the one list of `engine.md` §13."""

OF_COMMANDS = frozenset({"scheduling_decision"})
"""Events that commands write, though nobody changes or removes them afterwards."""

MANY_EQUAL = 1_000
"""More equal moves than this in one transaction are told as one event with a count and an id range."""


@record(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was committed; `timestamp` in milliseconds since 1970, ids ascend over the whole store."""

    id: EventId = EventId(0)
    workflow_id: WorkflowId
    timestamp: int = 0
    category: str = "user"
    severity: Severity = Severity.INFO
    data: Mapping[str, Json]
