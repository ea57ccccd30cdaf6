"""Firings of actions: found, claimed, carried out, given back (`engine.md` §10.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torc_core.engine import telling
from torc_core.engine.triggers import CLAIM_MS, after_loss, claimed, meant, place, stepped
from torc_core.errors import Conflict, NotFound
from torc_core.model import (
    Action,
    ActionClaim,
    ActionId,
    ActionRun,
    ActionRunId,
    ActionState,
    Allocation,
    NodeId,
)
from torc_sql import allocations, rows, triggers
from torc_sql.change import Change
from torc_sql.transaction import Transaction


def due(tx: Transaction, wf: int, run_id: int, wanted: Sequence[str]) -> list[Action]:
    """Actions that have fired and are not executed, or are persistent."""
    waiting = {id for (id,) in tx.rows("TRIGGERED", wf_=wf, run_=run_id)}
    found = []
    for row in tx.rows("ACTIONS", wf_=wf):
        action = rows.action(row, ())
        if wanted and action.trigger_type not in wanted:
            continue
        if action.id in waiting or (action.persistent and action.trigger_count >= action.required_triggers):
            found.append(triggers.seen(tx, triggers.action_of(tx, row), run_id))
    return found


def run_out(tx: Transaction, wf: int) -> list[Any]:
    """Claims whose executor is gone."""
    return tx.rows("RUN_OUT", wf_=wf, before_=tx.now - CLAIM_MS)


def expire(change: Change) -> None:
    """Let claims run out whose executor is gone (`engine.md` §10.3)."""
    for *row, kind in run_out(change.tx, change.wf):
        run = rows.action_run(row)
        state, error = after_loss(kind)
        _write(
            change,
            run,
            replace(run, state=state, error=error, claim_id=None, claimed_by=None, claimed_at=None),
        )
        if state is ActionState.FAILED:
            change.tell(telling.of_action("action_failed", run.action_id, run.run_id, error))


def action(tx: Transaction, id: ActionId) -> Action:
    """An action.

    Raises
    ------
    NotFound
        If there is none.
    """
    row = tx.row("ACTION", action_=id)
    if row is None or tx.row("WORKFLOW_STATE", wf_=row[1]) is None:
        raise NotFound(f"no action {id}")
    return triggers.action_of(tx, row)


def claim(
    change: Change, one: Action, claim_id: str | None, node: NodeId | None, uuid: Callable[[], str]
) -> ActionClaim:
    """Take the firing of an action in the current run."""
    tx, target = change.tx, place(one, node)
    run = triggers.firing(change, one.id, target)
    if one.persistent and one.action_type == "schedule_nodes":
        firings = [rows.action_run(row) for row in tx.rows("FIRINGS", action_=one.id, run_=change.run_id)]
        run = meant(run, firings, claim_id, node)
    repeated = claimed(one, run, claim_id, node)
    if repeated is not None:
        if repeated.state is ActionState.CLAIMED:
            repeated = _write(change, repeated, replace(repeated, claimed_at=tx.now))
        return ActionClaim(run=repeated, allocations=_intents(tx, repeated))
    if run is None:
        id = ActionRunId(tx.ids("action_run", 1))
        run = ActionRun(
            id=id, workflow_id=one.workflow_id, action_id=one.id, run_id=change.run_id, node_id=target
        )
        tx.many("INSERT_ACTION_RUN", [
            (id, change.wf, one.id, change.run_id, target, run.state.value, None, None, None, 0, None)
        ])  # fmt: skip
    # A published client never reports how it went: its claim counts as the end.
    state = ActionState.CLAIMED if claim_id is not None else ActionState.DONE
    run = _write(change, run, replace(
        run, state=state, claim_id=claim_id, claimed_by=node, claimed_at=tx.now, error=None
    ))  # fmt: skip
    intents = _intents(tx, run)
    if one.action_type == "schedule_nodes" and claim_id is not None and not intents:
        intents = _intend(change, one, run, uuid)
    return ActionClaim(run=run, allocations=intents)


def step(change: Change, one: Action, claim_id: str, number: int) -> ActionRun:
    """Record that a command is about to be run."""
    run = _live(_held(change, one, claim_id))
    return _write(change, run, replace(run, progress=stepped(run, number), claimed_at=change.tx.now))


def end(change: Change, one: Action, claim_id: str, ok: bool, message: str | None) -> ActionRun:
    """Record how it went; a second time is no harm."""
    run = _held(change, one, claim_id)
    state = ActionState.DONE if ok else ActionState.FAILED
    if run.state is state:
        return run
    run = _write(change, _live(run), replace(run, state=state, error=message))
    change.tell(telling.of_action("action_done" if ok else "action_failed", one.id, run.run_id, message))
    return run


def release(change: Change, one: Action, claim_id: str) -> ActionRun:
    """Give it back undone."""
    return _free(change, _live(_held(change, one, claim_id)))


def rearm(change: Change, one: Action) -> ActionRun:
    """Put a failed firing back to triggered."""
    runs = [rows.action_run(row) for row in change.tx.rows("FIRINGS", action_=one.id, run_=change.run_id)]
    for run in runs:
        if run.state is ActionState.FAILED:
            return _free(change, run)
    for run in reversed(runs):
        if run.state is ActionState.TRIGGERED:
            return run
    raise Conflict(f"action {one.id} has not failed in this run; there is nothing to put back")


def _held(change: Change, one: Action, claim_id: str) -> ActionRun:
    row = change.tx.row("FIRING_OF_CLAIM", action_=one.id, claim_=claim_id)
    if row is None:
        raise Conflict(f"action {one.id} is no longer claimed under {claim_id!r}")
    return rows.action_run(row)


def _live(run: ActionRun) -> ActionRun:
    if run.state is not ActionState.CLAIMED:
        raise Conflict(f"action {run.action_id} is {run.state}, no longer claimed")
    return run


def _free(change: Change, run: ActionRun) -> ActionRun:
    change.tx.wake(change.wf)
    return _write(change, run, replace(
        run, state=ActionState.TRIGGERED, claim_id=None, claimed_by=None, claimed_at=None, progress=0, error=None
    ))  # fmt: skip


def _intents(tx: Transaction, run: ActionRun) -> list[Allocation]:
    return [rows.allocation(row) for row in tx.rows("INTENTS", run_=run.id)]


def _intend(change: Change, one: Action, run: ActionRun, uuid: Callable[[], str]) -> list[Allocation]:
    config: Any = one.config
    if config.get("scheduler_type") == "local":
        return []
    row = change.tx.row(
        "SCHEDULER_FIELDS", wf_=change.wf, id_=config.get("scheduler_id"), name_=config.get("scheduler")
    )
    if row is None:
        raise Conflict(f"action {one.id} asks for a Slurm scheduler that is gone")
    nodes = rows.value(row[1]).get("nodes") or 1
    return allocations.intend(
        change, row[0], config.get("num_allocations", 1), nodes, uuid, action_run=run.id, holder=run.claim_id
    )


def _write(change: Change, old: ActionRun, new: ActionRun) -> ActionRun:
    """Compare and set: nobody has changed the firing since it was read."""
    written = change.tx.run(
        "WRITE_FIRING", id_=old.id, was_=old.state.value, state_=new.state.value, claim_=new.claim_id,
        by_=new.claimed_by, at_=new.claimed_at, progress_=new.progress, error_=new.error,
    )  # fmt: skip
    if written != 1:
        raise Conflict(f"action {old.action_id} was taken by somebody else meanwhile")
    return new
