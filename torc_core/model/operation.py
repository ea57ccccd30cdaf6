"""Long operations on a workflow that somebody waits for (`engine.md` §12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from torc_core.model.ids import OperationId, WorkflowId
from torc_core.model.plan import Json
from torc_core.record import record


class OperationStatus(StrEnum):
    """Where an operation is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@record(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the wire calls a task; instants in milliseconds since 1970.

    Parameters
    ----------
    name
        `initialize_jobs`, `initialize`, `reinitialize`.
    options
        With what it was asked for; the same request again is the same operation.
    """

    id: OperationId = OperationId(0)
    workflow_id: WorkflowId
    name: str
    options: Mapping[str, Json] = field(default_factory=dict)
    status: OperationStatus = OperationStatus.QUEUED
    created_at: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    error: str | None = None
