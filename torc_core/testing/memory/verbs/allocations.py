"""Allocations of a batch system (`Allocations`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torc_core.engine.allocating import OVER, ended, refused, submitted, withdrawn
from torc_core.engine.completion import TERMINATE
from torc_core.model import (
    Allocation,
    AllocationId,
    AllocationStatus,
    JobStatus,
    Node,
    Replan,
    SchedulerId,
    WorkflowId,
)
from torc_core.testing.memory import allocations, losing, replanning
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.holding import Holding


class AllocationVerbs(Holding):
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
        with self._locked():
            flow = self._flow_of(Allocation, allocation)
            old: Allocation = flow.tables[Allocation][allocation]
            status = submitted(old, submission_key, scheduler_id)
            if (status, scheduler_id) == (old.status, old.scheduler_id):
                return old
            with self._change(flow.workflow.id) as change:
                unknown = old.submitted_at is None or old.scheduler_id is None
                at = change.now if unknown else old.submitted_at
                new = replace(old, status=status, scheduler_id=scheduler_id, submitted_at=at)
                return allocations.write(change, old, new)

    def refused(self, allocation: AllocationId, message: str) -> Allocation:
        """The batch system does not want it."""
        with self._locked():
            flow = self._flow_of(Allocation, allocation)
            old: Allocation = flow.tables[Allocation][allocation]
            if not refused(old):
                return old
            with self._change(flow.workflow.id) as change:
                return allocations.close(change, old, AllocationStatus.FAILED, message)

    def withdrawn(self, allocation: AllocationId, reason: str) -> Allocation:
        """It was called off; what runs in it is ended."""
        with self._locked():
            flow = self._flow_of(Allocation, allocation)
            old: Allocation = flow.tables[Allocation][allocation]
            if not withdrawn(old):
                return old
            with self._change(flow.workflow.id) as change:
                for node in allocations.nodes_of(flow, allocation):
                    _clear(change, node)
                return allocations.close(change, old, AllocationStatus.CANCELED, reason)

    def allocation_ended(self, allocation: AllocationId, state: str, evidence: str) -> Allocation:
        """The batch system says that it is over."""
        with self._locked():
            flow = self._flow_of(Allocation, allocation)
            old: Allocation = flow.tables[Allocation][allocation]
            status = ended(old, state)
            with self._change(flow.workflow.id) as change:
                closed = old if old.status in OVER else allocations.close(change, old, status, state)
                for node in allocations.nodes_of(flow, allocation):
                    losing.bury(change, node, "allocation_ended", evidence or state)
                return closed

    def replan(self, workflow: WorkflowId, plan: Replan) -> Sequence[Allocation]:
        """Write what a planner decided, in one transaction; the intents."""
        with self.together(), self._change(workflow) as change:
            return replanning.replan(change, plan, self._clock.uuid)


def _clear(change: Change, node: Node) -> None:
    """Have a node end its jobs and take no more."""
    flow = change.flow
    flow.tables[Node][node.id] = replace(node, draining=True)
    for id in sorted(flow.live.get(node.id, ())):
        if flow.jobs[id].status is JobStatus.RUNNING:
            change.set(flow.jobs[id], stop=TERMINATE)
    change.touched = True
