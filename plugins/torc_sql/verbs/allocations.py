"""Allocations of a batch system (`Allocations`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torc_core.engine.allocating import OVER, ended, refused, submitted, withdrawn
from torc_core.model import Allocation, AllocationId, AllocationStatus, Replan, SchedulerId, WorkflowId
from torc_sql import allocations, losing, replanning
from torc_sql.change import Change
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

    def take_intents(
        self, workflow: WorkflowId, holder: str, instead: str | None = None
    ) -> Sequence[Allocation]:
        """Take intents in nobody's hands."""
        with self._change(workflow) as change:
            return allocations.take(change, holder, instead)

    def submitted(self, allocation: AllocationId, submission_key: str, scheduler_id: str) -> Allocation:
        """The batch system has taken it and calls it so."""
        with self._write() as tx:
            old = allocations.allocation_of(tx, allocation)
            status = submitted(old, submission_key, scheduler_id)
            if (status, scheduler_id) == (old.status, old.scheduler_id):
                return old
            at = tx.now if old.submitted_at is None or old.scheduler_id is None else old.submitted_at
            change = Change(tx, old.workflow_id, self._shapes)
            new = replace(old, status=status, scheduler_id=scheduler_id, submitted_at=at)
            return allocations.write(change, old, new)

    def refused(self, allocation: AllocationId, message: str) -> Allocation:
        """The batch system does not want it."""
        with self._write() as tx:
            old = allocations.allocation_of(tx, allocation)
            if not refused(old):
                return old
            change = Change(tx, old.workflow_id, self._shapes)
            return allocations.close(change, old, AllocationStatus.FAILED, message)

    def withdrawn(self, allocation: AllocationId, reason: str) -> Allocation:
        """It was called off; what runs in it is ended."""
        with self._write() as tx:
            old = allocations.allocation_of(tx, allocation)
            if not withdrawn(old):
                return old
            change = Change(tx, old.workflow_id, self._shapes)
            for node in allocations.nodes_of(tx, allocation):
                tx.run("WRITE_DRAINING", node_=node.id, draining_=1)
                tx.run("TERMINATE_ALL", node_=node.id)
                tx.wake(old.workflow_id)
            return allocations.close(change, old, AllocationStatus.CANCELED, reason)

    def allocation_ended(self, allocation: AllocationId, state: str, evidence: str) -> Allocation:
        """The batch system says that it is over."""
        with self._write() as tx:
            old = allocations.allocation_of(tx, allocation)
            status = ended(old, state)
            change = Change(tx, old.workflow_id, self._shapes)
            closed = old if old.status in OVER else allocations.close(change, old, status, state)
            for node in allocations.nodes_of(tx, allocation):
                losing.bury(change, node, "allocation_ended", evidence or state)
            change.close()
            return closed

    def replan(self, workflow: WorkflowId, plan: Replan) -> Sequence[Allocation]:
        """Write what a planner decided, in one transaction; the intents."""
        with self._change(workflow) as change:
            return replanning.replan(change, plan, self._clock.uuid)
