"""What time brings: nodes that are silent, claims that ran out, retries that are due, records that nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torc_core.engine import telling
from torc_core.engine.liveness import BEYOND_MS, seen
from torc_core.engine.operations import KEPT_MS
from torc_core.engine.triggers import CLAIM_MS
from torc_core.errors import NotFound
from torc_core.model import NodeId, NodeState, WorkflowId
from torc_sql import actions, claims, lifecycle, losing, retrying, rows
from torc_sql.change import Change
from torc_sql.dialect import Write
from torc_sql.shapes import Shapes
from torc_sql.transaction import Transaction

KEYS_MS = 24 * 3_600_000
"""How long answers are kept under their idempotency keys."""

DAY_MS = 24 * 3_600_000
BATCH = 10_000
"""Rows that one transaction removes (`promises.md` Q14)."""

Read = Callable[[], AbstractContextManager[Transaction]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One transaction's worth of work: a node to look at, a workflow in which something is due, or old rows."""

    node: NodeId | None = None
    workflow: WorkflowId | None = None
    statement: str = ""
    before: int = 0


def found(read: Read, now: int, claim_ms: int) -> list[Part]:
    """Look what there is to do; nothing is written. Claims without a node are kept for `claim_ms`."""
    with read() as tx:
        nodes = [rows.node(row) for row in tx.rows("SILENT", before_=now - BEYOND_MS)]
        parts = [
            Part(node=node.id) for node in nodes if seen(node, now) not in (node.state, NodeState.ACTIVE)
        ]
        late = {wf for (wf,) in tx.rows("HELD_BY_HAND", before_=now - claim_ms)}
        late |= {wf for (wf,) in tx.rows("DUE", now_=now)}
        late |= {wf for (wf,) in tx.rows("WITH_RUN_OUT", before_=now - CLAIM_MS)}
        parts += [Part(workflow=wf) for wf in sorted(late)]
        if tx.row("ANY_OLD_CLAIM", now_=now) is not None:
            parts.append(Part(statement="FORGET_OLD_CLAIMS"))
        parts += [Part(workflow=wf, statement="SUM_UP") for (wf,) in tx.rows("UNSUMMED")]
        for table, age in (("KEY", KEYS_MS), ("TASK", KEPT_MS)):
            if tx.row(f"ANY_OLD_{table}", before_=now - age) is not None:
                parts.append(Part(statement=f"FORGET_OLD_{table}S", before=now - age))
    return parts


def carry_out(tx: Transaction, part: Part, shapes: Shapes) -> None:
    """Do one part, as things stand now."""
    if part.statement == "FORGET_OLD_CLAIMS":
        tx.run(part.statement, now_=tx.now)
    elif part.statement == "SUM_UP" and part.workflow is not None:
        lifecycle.sum_up(tx, part.workflow)
    elif part.statement:
        tx.run(part.statement, before_=part.before)
    elif part.node is not None:
        _look_at(tx, part.node, shapes)
    elif part.workflow is not None:
        try:
            change = Change(tx, part.workflow, shapes)
        except NotFound:
            return  # it is being deleted
        claims.expire_by_hand(change)
        actions.expire(change)
        retrying.free_due(change)
        change.close()


def _look_at(tx: Transaction, id: NodeId, shapes: Shapes) -> None:
    row = tx.row("NODE", node_=id)
    node = None if row is None else rows.node(row)
    state = None if node is None else seen(node, tx.now)
    if node is None or state in (node.state, NodeState.ACTIVE, None):
        return
    try:
        change = Change(tx, node.workflow_id, shapes)
    except NotFound:
        return  # it is being deleted
    lost = state is NodeState.LOST
    tx.run("WRITE_STATE", node_=id, state_=state.value, active_=int(not lost))
    silent = rows.node(tx.row("NODE", node_=id))
    change.tell(telling.node_silent(silent))
    if lost:
        losing.lose(change, silent, proven=False)
    change.close()


def _last_old(read: Read, oldest: str, before: int) -> int | None:
    """The last record of a batch that is too old; PERF: ids ascend with time, so that the first tells of all."""
    with read() as tx:
        first = tx.row(oldest, limit_=1)
        if first is None or first[1] >= before:
            return None
        batch = tx.rows(oldest, limit_=BATCH)
    return max(int(id) for id, timestamp in batch if timestamp < before)


def forget_events(read: Read, write: Write, now: int, keep_days: int, keep_job_events: int) -> None:
    """Remove the oldest events in batches, as far as the settings want it; 0 keeps all (`engine.md` §13)."""
    if keep_days > 0:
        before = now - keep_days * DAY_MS
        while (last := _last_old(read, "OLDEST_EVENTS", before)) is not None:
            with write() as tx:
                tx.run("DROP_EVENTS_UPTO", id_=last)
    if keep_job_events > 0:
        with read() as tx:
            beyond = [
                (wf, tx.row("JOB_EVENT_BEYOND", wf_=wf, keep_=keep_job_events))
                for (wf,) in tx.rows("VISIBLE")
            ]
        for wf, row in beyond:
            removed = BATCH if row is not None else 0
            while removed == BATCH:
                with write() as tx:
                    removed = tx.run("DROP_JOB_EVENTS", wf_=wf, id_=row[0], limit_=BATCH)


def forget_audit(read: Read, write: Write, now: int, keep_days: int) -> None:
    """Remove the oldest audit entries in batches; 0 keeps all (`security.md` §11)."""
    before = now - keep_days * DAY_MS
    while keep_days > 0 and (last := _last_old(read, "OLDEST_AUDIT", before)) is not None:
        with write() as tx:
            tx.run("DROP_AUDIT_UPTO", id_=last)
