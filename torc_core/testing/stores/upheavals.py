"""Random things that happen to runners, for sequences of operations: they fall silent, die, come back, leave."""

from __future__ import annotations

from random import Random
from typing import Any

from torc_core.engine.liveness import EVIDENCE
from torc_core.model import (
    Allocation,
    AllocationStatus,
    Assignment,
    JobStatus,
    Node,
    Query,
    Usage,
    Workflow,
    WorkflowId,
)
from torc_core.testing.stores.scene import Scene, ended

ENDS = (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.CANCELED)
STATES = ("COMPLETED", "CANCELLED by 7", "NODE_FAIL", "SUSPENDED")


class Upheavals:
    """What may happen to the runners of a workflow, and what can be seen of it."""

    scene: Scene
    workflow: WorkflowId
    nodes: list[Node]
    given: list[tuple[int, Assignment]]

    def runners(self) -> Any:
        """All that can be seen of nodes and allocations."""
        find, query = self.scene.store.find, Query(workflow=self.workflow)
        nodes = [
            (one.is_active, one.state.value, one.draining, one.on_lost, one.last_beat, one.end_time,
             one.duration_seconds, one.usage, one.allocation_id is None)
            for one in find(Node, query).items
        ]  # fmt: skip
        allocations = [
            (one.status.value, one.scheduler_id, one.reason) for one in find(Allocation, query).items
        ]
        totals = self.scene.store.totals([self.workflow])[0]
        return nodes, allocations, totals.active_nodes, totals.pending_allocations, totals.active_allocations

    def silence(self, dice: Random) -> Any:
        """Nobody, or only some, are heard of for a while."""
        self.scene.move(dice.choice((30, 100, 700, 1_300)))
        if dice.random() < 0.5:
            self.scene.turn(dice.choice(self.nodes))
        return self.scene.store.sweep()

    def forgive(self, dice: Random) -> Any:
        """Somebody allows lost jobs to be run again."""
        fields = {"retry_on_node_loss": dice.randint(0, 2)}
        return self.scene.store.change(Workflow, self.workflow, fields).retry_on_node_loss

    def bury(self, dice: Random) -> Any:
        """A node is known to be dead; another may come."""
        node = self._node(dice)
        return dict(self.scene.store.bury(node.id, dice.choice(EVIDENCE)).moved)

    def depart(self, dice: Random) -> Any:
        """A node leaves, or is closed by a published client."""
        node, usage = self._node(dice), Usage(peak_memory_bytes=7) if dice.random() < 0.5 else None
        if dice.random() < 0.5:
            return self.scene.store.leave(node.id, usage)
        return self.scene.store.close_node(node.id, usage).state

    def drain(self, dice: Random) -> Any:
        """Somebody keeps jobs off a node, or lets it have some again."""
        node = dice.choice(self.nodes)
        return self.scene.store.drain(node.id, dice.random() < 0.4, "hot").draining

    def reconcile(self, dice: Random) -> Any:
        """Results of a node are found that it could not send."""
        if not self.given:
            return None
        some = [one for _, one in dice.choices(self.given, k=2)]
        endings = [ended(one, dice.choice(ENDS)) for one in some]
        return list(self.scene.store.reconcile(self.workflow, endings))

    def supersede(self, dice: Random) -> Any:
        """A host was started anew: all runners that were there are dead."""
        self.nodes.append(self.scene.node(self.workflow, boot_id=f"boot{dice.randint(1, 3)}"))
        return len(self.nodes)

    def ask(self, dice: Random) -> Any:
        """An allocation is recorded, and perhaps a runner comes in it."""
        number = str(dice.randint(1, 3))
        new = Allocation(workflow_id=self.workflow, scheduler_id=number)
        (one,) = self.scene.store.add([new])
        if dice.random() < 0.5:
            self.nodes.append(self.scene.node(self.workflow, scheduler={"slurm_job_id": number}))
        return one.status

    def tell(self, dice: Random) -> Any:
        """The batch system, or a client, says how an allocation is."""
        found = self.scene.store.find(Allocation, Query(workflow=self.workflow)).items
        if not found:
            return None
        one, store = dice.choice(found), self.scene.store
        if dice.random() < 0.4:
            return store.change(Allocation, one.id, {"status": dice.choice(list(AllocationStatus))}).status
        if dice.random() < 0.5:
            return store.withdrawn(one.id, "enough").status
        return store.allocation_ended(one.id, dice.choice(STATES), "sacct").status

    def _node(self, dice: Random) -> Node:
        """A node that is about to go; the last one is followed by another."""
        node = dice.choice(self.nodes)
        if len(self.nodes) < 3:
            self.nodes.append(self.scene.node(self.workflow, hostname=f"n{dice.randint(1, 2)}"))
        return node
