"""Allocations of a batch system (`Allocations`)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import Allocation, SchedulerId, WorkflowId
from torc_sql import allocations
from torc_sql.transacting import Transacting


class AllocationVerbs(Transacting):
    """Allocations of a batch system (`Allocations`)."""

    def intend(
        self, workflow: WorkflowId, request_id: str, scheduler: SchedulerId, count: int, nodes: int
    ) -> Sequence[Allocation]:
        """Write intents without an action."""
        with self._change(workflow) as change:
            return allocations.intend(
                change, scheduler, count, nodes, self._clock.uuid, request_id=request_id
            )
