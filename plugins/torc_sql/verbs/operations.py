"""Long verbs that a client does not wait for (`Operations`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torc_core.engine.operations import ACTIVE, asked, check, same, told
from torc_core.errors import NotFound, TorcError
from torc_core.model import Json, Operation, OperationId, OperationStatus, WorkflowId
from torc_sql import rows
from torc_sql.state import workflow_state
from torc_sql.transacting import Transacting
from torc_sql.transaction import Transaction


class OperationVerbs(Transacting):
    """Long verbs that a client does not wait for (`Operations`)."""

    def begin(self, workflow: WorkflowId, name: str, options: Mapping[str, Json]) -> tuple[Operation, bool]:
        """Queue an operation, and whether it is new."""
        check(name, options)
        with self._write() as tx:
            workflow_state(tx, workflow)
            row = tx.row("ACTIVE_OPERATION", wf_=workflow)
            if row is not None:
                running = rows.operation(row)
                same(running, name, options)
                return running, False
            operation = Operation(
                id=OperationId(tx.ids("operation", 1)), workflow_id=workflow, name=name, options=dict(options),
                created_at=tx.now,
            )  # fmt: skip
            tx.many("INSERT_TASK", [rows.operation_row(operation)])
            return operation, True

    def carry_out(self, operation: OperationId) -> Operation:
        """Do a queued operation, or one that a crash interrupted, and record how it ended."""
        with self._write() as tx:
            found = _operation(tx, operation)
            if found.status not in ACTIVE:
                return found
            tx.run("OPERATION_BEGINS", id_=operation, now_=tx.now)
        try:
            with self.together():
                self._do(found)
                return self._over(found, OperationStatus.SUCCEEDED, None)
        except TorcError as error:
            return self._over(found, OperationStatus.FAILED, str(error))

    def active_operation(self, workflow: WorkflowId) -> Operation | None:
        """The queued or running one."""
        with self._read() as tx:
            workflow_state(tx, workflow)
            row = tx.row("ACTIVE_OPERATION", wf_=workflow)
        return None if row is None else rows.operation(row)

    def _do(self, operation: Operation) -> None:
        store: Any = self
        verbs = {"initialize_jobs": "initialize", "initialize": "renew", "reinitialize": "reinitialize"}
        getattr(store, verbs[operation.name])(operation.workflow_id, asked(operation.options))

    def _over(self, operation: Operation, status: OperationStatus, error: str | None) -> Operation:
        with self._write() as tx:
            tx.run("OPERATION_ENDS", id_=operation.id, status_=status.value, now_=tx.now, error_=error)
            over = _operation(tx, operation.id)
            tx.tell(over.workflow_id, *told(over))
            tx.wake(over.workflow_id)
        return over


def _operation(tx: Transaction, id: OperationId) -> Operation:
    row = tx.row("OPERATION", id_=id)
    if row is None or tx.row("WORKFLOW_STATE", wf_=row[1]) is None:
        raise NotFound(f"no task {id}")
    return rows.operation(row)
