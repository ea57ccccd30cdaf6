"""Hosts on which runners are started over SSH (`engine.md` §15.6)."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.model.ids import RemoteWorkerId, WorkflowId
from torc_core.model.plan import Json
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class RemoteWorker:
    """An address `[user@]host[:port]`, IPv6 in brackets; `options`: of its last start."""

    id: RemoteWorkerId = RemoteWorkerId(0)
    workflow_id: WorkflowId
    worker: str
    label: str | None = None
    options: Mapping[str, Json] | None = None
