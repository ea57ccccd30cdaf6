"""What is known of runners besides what they say themselves (`Nodes`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.liveness import check_evidence, check_open, seen
from torc_core.model import (
    AuditEntry,
    Ending,
    Held,
    Node,
    NodeId,
    NodeState,
    Progress,
    Turn,
    Usage,
    Verdict,
    WorkflowId,
)
from torc_core.testing.memory import actions, attempts, losing, nodes, operations, retrying
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.holding import Holding

DAY_MS = 86_400_000


class NodeVerbs(Holding):
    """What is known of runners besides what they say themselves (`Nodes`)."""

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        """A recovery script has ended (`engine.md` §9, step 4)."""
        with self._locked():
            flow = self._flow_of(Node, node)
            nodes.seated(flow, Turn(node=node, epoch=epoch))
            with self._change(flow.workflow.id) as change:
                shape = flow.shapes.get(held.job)
                verdict = retrying.recovered(change, held, ok)
                if shape is not None and verdict not in (Verdict.SAME, Verdict.STALE):
                    attempts.fill_place(change, node, shape)
        return verdict

    def drain(self, node: NodeId, on: bool, reason: str | None = None) -> Node:
        """Give a node no further jobs, or again."""
        with self._locked():
            flow = self._flow_of(Node, node)
            table: dict[int, Node] = flow.tables[Node]
            check_open(table[node])
            if table[node].draining is not on:
                with self._change(flow.workflow.id) as change:
                    table[node] = replace(table[node], draining=on)
                    change.tell(telling.node_drained(table[node], reason))
            return table[node]

    def bury(self, node: NodeId, evidence: str, detail: str = "") -> Progress:
        """Take it that a node is dead."""
        check_evidence(evidence)
        with self._locked():
            flow = self._flow_of(Node, node)
            with self._change(flow.workflow.id) as change:
                losing.bury(change, flow.tables[Node][node], evidence, detail)
        return self._progress(change)

    def reconcile(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Results that a runner left in its spool; those without a lease are nobody's."""
        with self._change(workflow) as change:
            return [
                Verdict.STALE if ending.lease is None else attempts.finish(change, ending).verdict
                for ending in endings
            ]

    def close_node(self, node: NodeId, usage: Usage | None = None) -> Node:
        """A node of a published client has gone."""
        with self._locked():
            flow = self._flow_of(Node, node)
            with self._change(flow.workflow.id) as change:
                return losing.close_node(change, flow.tables[Node][node], usage)

    def sweep(self, *, keep_days: int = 0, keep_job_events: int = 0, keep_audit_days: int = 0) -> int | None:
        """Let time pass in the store."""
        with self._locked():
            silent = [
                (flow.workflow.id, node)
                for flow in self._flows.values()
                for node in flow.tables[Node].values()
                if node.is_active and seen(node, self._clock.now()) not in (node.state, NodeState.ACTIVE)
            ]
            for workflow, node in silent:
                with self._change(workflow) as change:
                    _fall_silent(change, node)
            for workflow in list(self._flows):
                with self._change(workflow) as change:
                    _pass_time(change)
            self._forget_events(keep_days, keep_job_events)
            if keep_audit_days > 0:
                before = self._clock.now() - keep_audit_days * DAY_MS
                audit = self._records.get(AuditEntry, {})
                for id in [id for id, one in audit.items() if one.timestamp < before]:
                    del audit[id]
            waiting = [
                job.not_before
                for flow in self._flows.values()
                for job in flow.jobs.values()
                if job.not_before is not None
            ]
        return min(waiting, default=None)

    def _forget_events(self, keep_days: int, keep_job_events: int) -> None:
        """Remove the oldest events, as far as the settings want it."""
        if keep_days > 0:
            before = self._clock.now() - keep_days * DAY_MS
            self._events = {id: one for id, one in self._events.items() if one.timestamp >= before}
        for workflow in self._flows if keep_job_events > 0 else ():
            told = [
                id
                for id, one in self._events.items()
                if one.workflow_id == workflow and one.category.startswith("job_")
            ]
            for id in told[:-keep_job_events]:
                del self._events[id]

    def renew_leases(self) -> None:
        """Every lease begins anew."""
        with self._locked():
            for flow in self._flows.values():
                table: dict[int, Node] = flow.tables[Node]
                for id, node in table.items():
                    if node.is_active and node.beats:
                        table[id] = replace(node, last_beat=self._clock.now())


def _fall_silent(change: Change, node: Node) -> None:
    """A node has not been heard of for some time; for so long, perhaps, that it is lost."""
    lost = seen(node, change.now) is NodeState.LOST
    silent = replace(node, state=seen(node, change.now), is_active=not lost)
    change.flow.tables[Node][node.id] = silent
    change.tell(telling.node_silent(silent))
    if lost:
        losing.lose(change, silent, proven=False)


def _pass_time(change: Change) -> None:
    """Claims run out, and delayed retries are due."""
    flow = change.flow
    attempts.expire_by_hand(change)
    actions.expire(change)
    oldest = change.now - flow.workflow.compute_node_wait_for_healthy_database_minutes * 60_000
    for claim in [claim for claim, at in flow.claims.items() if at < oldest]:
        del flow.claims[claim]
    retrying.free_due(change)
    actions.expire(change)
    operations.forget_old(change)
