"""Operations that run by themselves (`engine.md` §12)."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.engine.operations import ACTIVE, KEPT_MS, same
from torc_core.model import Json, Operation, OperationId
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow


def active(flow: Flow) -> Operation | None:
    """The queued or running one."""
    for operation in flow.tables[Operation].values():
        if operation.status in ACTIVE:
            return operation  # type: ignore[no-any-return]  # tables are keyed by kind
    return None


def begin(change: Change, name: str, options: Mapping[str, Json]) -> tuple[Operation, bool]:
    """Queue an operation; the same one, while it runs, is the same."""
    flow = change.flow
    if (running := active(flow)) is not None:
        same(running, name, options)
        return running, False
    operation = Operation(
        id=OperationId(change.number("operation")), workflow_id=flow.workflow.id, name=name, options=dict(options),
        created_at=change.now,
    )  # fmt: skip
    flow.tables[Operation][operation.id] = operation
    return operation, True


def forget_old(change: Change) -> None:
    """Operations that ended long ago are nobody's business any more."""
    table: dict[int, Operation] = change.flow.tables[Operation]
    for id, operation in list(table.items()):
        if operation.finished_at is not None and operation.finished_at < change.now - KEPT_MS:
            del table[id]
