"""Long verbs that a client does not wait for (`Operations`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torc_core.engine.operations import ACTIVE, asked, check, told
from torc_core.errors import TorcError
from torc_core.model import Json, Operation, OperationId, OperationStatus, WorkflowId
from torc_core.testing.memory import operations
from torc_core.testing.memory.holding import Holding


class OperationVerbs(Holding):
    """Long verbs that a client does not wait for (`Operations`)."""

    def begin(self, workflow: WorkflowId, name: str, options: Mapping[str, Json]) -> tuple[Operation, bool]:
        """Queue an operation, and whether it is new."""
        check(name, options)
        with self._change(workflow) as change:
            return operations.begin(change, name, options)

    def carry_out(self, operation: OperationId) -> Operation:
        """Do a queued operation, or one that a crash interrupted, and record how it ended."""
        with self._locked():
            found: Operation = self._record(Operation, operation)[1]
            if found.status not in ACTIVE:
                return found
            now = self._clock.now()
            self._put(replace(found, status=OperationStatus.RUNNING, started_at=found.started_at or now))
        try:
            with self.together():
                self._do(found)
                return self._over(found, OperationStatus.SUCCEEDED, None)
        except TorcError as error:
            return self._over(found, OperationStatus.FAILED, str(error))

    def active_operation(self, workflow: WorkflowId) -> Operation | None:
        """The queued or running one."""
        with self._locked():
            return operations.active(self._flow(workflow))

    def _do(self, operation: Operation) -> None:
        store: Any = self
        verbs = {"initialize_jobs": "initialize", "initialize": "renew", "reinitialize": "reinitialize"}
        getattr(store, verbs[operation.name])(operation.workflow_id, asked(operation.options))

    def _over(self, operation: Operation, status: OperationStatus, error: str | None) -> Operation:
        now = self._clock.now()
        with self._change(operation.workflow_id) as change:
            begun: Operation = change.flow.tables[Operation][operation.id]
            over = self._put(replace(begun, status=status, finished_at=now, error=error))
            change.tell(told(over))
        return over

    def _put(self, operation: Operation) -> Operation:
        self._flow(operation.workflow_id).tables[Operation][operation.id] = operation
        return operation
