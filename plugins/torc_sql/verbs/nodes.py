"""What is known of runners besides what they say themselves (`Nodes`)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.engine import telling
from torc_core.engine.liveness import check_evidence, check_open
from torc_core.model import Ending, Held, Node, NodeId, Progress, Turn, Usage, Verdict, WorkflowId
from torc_sql import completion, losing, nodes, retrying, sweeping
from torc_sql.change import Change
from torc_sql.transacting import Transacting


class NodeVerbs(Transacting):
    """What is known of runners besides what they say themselves (`Nodes`)."""

    def recovered(self, node: NodeId, epoch: str, held: Held, ok: bool) -> Verdict:
        """A recovery script has ended (`engine.md` §9, step 4)."""
        with self._write() as tx:
            row = nodes.node_of(tx, node)
            nodes.check_seat(row, Turn(node=node, epoch=epoch))
            change = Change(tx, row.workflow_id, self._shapes)
            verdict, freed = retrying.recovered(change, held, ok)
            if freed is not None:
                completion.fill_place(change, freed)
            change.close()
        return verdict

    def drain(self, node: NodeId, on: bool, reason: str | None = None) -> Node:
        """Give a node no further jobs, or again."""
        with self._write() as tx:
            row = nodes.node_of(tx, node)
            check_open(row)
            if row.draining is not on:
                tx.run("WRITE_DRAINING", node_=node, draining_=int(on))
                row = nodes.node_of(tx, node)
                tx.tell(row.workflow_id, *telling.node_drained(row, reason))
                tx.wake(row.workflow_id)
            return row

    def bury(self, node: NodeId, evidence: str, detail: str = "") -> Progress:
        """Take it that a node is dead."""
        check_evidence(evidence)
        with self._write() as tx:
            row = nodes.node_of(tx, node)
            change = Change(tx, row.workflow_id, self._shapes)
            losing.bury(change, row, evidence, detail)
            change.close()
        self._waiting.forget(node)
        return change.progress

    def reconcile(self, workflow: WorkflowId, endings: Sequence[Ending]) -> Sequence[Verdict]:
        """Results that a runner left in its spool; those without a lease are nobody's."""
        with self._change(workflow) as change:
            judged = completion.finish(change, [ending for ending in endings if ending.lease is not None])
        verdicts = iter([judgement.verdict for judgement in judged])
        return [Verdict.STALE if ending.lease is None else next(verdicts) for ending in endings]

    def close_node(self, node: NodeId, usage: Usage | None = None) -> Node:
        """A node of a published client has gone."""
        with self._write() as tx:
            row = nodes.node_of(tx, node)
            change = Change(tx, row.workflow_id, self._shapes)
            losing.close_node(change, row, usage)
            change.close()
            return nodes.node_of(tx, node)

    def sweep(self, *, keep_days: int = 0, keep_job_events: int = 0, keep_audit_days: int = 0) -> int | None:
        """Let time pass in the store; one that is idle is only read."""
        for part in sweeping.found(self._read, self._clock.now(), self._rules.claim_ms):
            with self._write() as tx:
                sweeping.carry_out(tx, part, self._shapes)
        sweeping.forget_events(self._read, self._write, self._clock.now(), keep_days, keep_job_events)
        sweeping.forget_audit(self._read, self._write, self._clock.now(), keep_audit_days)
        if self._purge_rest():
            return self._clock.now()
        with self._read() as tx:
            (due,) = tx.row("NEXT_DUE")
            return None if due is None else int(due)

    def renew_leases(self) -> None:
        """Every lease begins anew."""
        with self._write() as tx:
            tx.run("RENEW_LEASES", now_=tx.now)
