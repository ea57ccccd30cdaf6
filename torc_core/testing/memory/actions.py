"""Firings of actions: found, claimed, carried out, given back (`engine.md` §10.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torc_core.engine import telling
from torc_core.engine.triggers import after_loss, claimed, expired, meant, place, stepped
from torc_core.errors import Conflict
from torc_core.model import (
    Action,
    ActionClaim,
    ActionRun,
    ActionRunId,
    ActionState,
    Allocation,
    Node,
    NodeId,
    SlurmScheduler,
)
from torc_core.testing.memory import allocations, triggers
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow


def due(flow: Flow, wanted: Sequence[str]) -> list[Action]:
    """Actions that have fired and are not executed, or are persistent."""
    found = []
    for action in flow.tables[Action].values():
        if wanted and action.trigger_type not in wanted:
            continue
        run = triggers.firing(flow, action, NodeId(0))
        fired = action.trigger_count >= action.required_triggers
        if (run is not None and run.state is ActionState.TRIGGERED) or (action.persistent and fired):
            found.append(triggers.seen(flow, action))
    return found


def triggered(flow: Flow) -> list[Any]:
    """The ids of actions that have fired in this run and wait for somebody who executes them."""
    runs = flow.tables[ActionRun].values()
    waiting = {
        run.action_id
        for run in runs
        if run.run_id == flow.workflow.run_id and run.state is ActionState.TRIGGERED
    }
    return sorted(waiting)


def expire(change: Change) -> None:
    """Let claims run out whose executor is gone (`engine.md` §10.3)."""
    flow = change.flow
    for run in list(flow.tables[ActionRun].values()):
        node = flow.tables[Node].get(run.claimed_by)
        alive = node is not None and node.is_active
        if expired(run, change.now, alive=alive):
            action = flow.tables[Action][run.action_id]
            state, error = after_loss(action.action_type)
            _put(
                change,
                replace(run, state=state, error=error, claim_id=None, claimed_by=None, claimed_at=None),
            )
            if state is ActionState.FAILED:
                change.tell(telling.of_action("action_failed", action.id, run.run_id, error))


def claim(
    change: Change, action: Action, claim_id: str | None, node: NodeId | None, uuid: Callable[[], str]
) -> ActionClaim:
    """Take the firing of an action in the current run."""
    flow = change.flow
    target = place(action, node)
    run = triggers.firing(flow, action, target)
    if action.persistent and action.action_type == "schedule_nodes":
        run = meant(run, firings(flow, action), claim_id, node)
    repeated = claimed(action, run, claim_id, node)
    if repeated is not None:
        renewed = (
            repeated
            if repeated.state is not ActionState.CLAIMED
            else replace(repeated, claimed_at=change.now)
        )
        return ActionClaim(run=_put(change, renewed), allocations=intents(flow, repeated))
    if run is None:
        run = ActionRun(
            id=ActionRunId(change.number("action_run")), workflow_id=action.workflow_id, action_id=action.id,
            run_id=flow.workflow.run_id, node_id=target,
        )  # fmt: skip
    # A published client never reports how it went: its claim counts as the end.
    state = ActionState.CLAIMED if claim_id is not None else ActionState.DONE
    run = _put(change, replace(
        run, state=state, claim_id=claim_id, claimed_by=node, claimed_at=change.now, error=None
    ))  # fmt: skip
    if action.action_type == "schedule_nodes" and claim_id is not None and not intents(flow, run):
        _intend(change, action, run, uuid)
    return ActionClaim(run=run, allocations=intents(flow, run))


def firings(flow: Flow, action: Action) -> list[ActionRun]:
    """The firings of an action in the current run."""
    found: list[ActionRun] = [one for one in flow.tables[ActionRun].values() if one.action_id == action.id]
    return [one for one in found if one.run_id == flow.workflow.run_id]


def intents(flow: Flow, run: ActionRun) -> list[Allocation]:
    """The allocations that a firing asked for, in their order."""
    found = [one for one in flow.tables[Allocation].values() if one.action_run_id == run.id]
    return sorted(found, key=lambda one: one.ordinal)


def held(flow: Flow, action: Action, claim_id: str) -> ActionRun:
    """The firing that is executed under a claim, or was.

    Raises
    ------
    Conflict
        If somebody else has it.
    """
    for run in flow.tables[ActionRun].values():
        if run.action_id == action.id and run.claim_id == claim_id:
            return run  # type: ignore[no-any-return]  # tables are keyed by kind
    raise Conflict(f"action {action.id} is no longer claimed under {claim_id!r}")


def step(change: Change, action: Action, claim_id: str, number: int) -> ActionRun:
    """Record that a command is about to be run."""
    run = live(held(change.flow, action, claim_id))
    return _put(change, replace(run, progress=stepped(run, number), claimed_at=change.now))


def end(change: Change, action: Action, claim_id: str, ok: bool, message: str | None) -> ActionRun:
    """Record how it went; a second time is no harm."""
    run = held(change.flow, action, claim_id)
    state = ActionState.DONE if ok else ActionState.FAILED
    if run.state is state:
        return run
    run = _put(change, replace(live(run), state=state, error=message))
    change.tell(telling.of_action("action_done" if ok else "action_failed", action.id, run.run_id, message))
    return run


def release(change: Change, action: Action, claim_id: str) -> ActionRun:
    """Give it back undone."""
    return _free(change, live(held(change.flow, action, claim_id)))


def rearm(change: Change, action: Action) -> ActionRun:
    """Put a failed firing back to triggered."""
    runs = firings(change.flow, action)
    failed = [one for one in runs if one.state is ActionState.FAILED]
    if failed:
        return _free(change, max(failed, key=lambda one: one.id))
    for run in runs:
        if run.state is ActionState.TRIGGERED:
            return run
    raise Conflict(f"action {action.id} has not failed in this run; there is nothing to put back")


def live(run: ActionRun) -> ActionRun:
    """A firing that is being executed.

    Raises
    ------
    Conflict
        If it is over.
    """
    if run.state is not ActionState.CLAIMED:
        raise Conflict(f"action {run.action_id} is {run.state}, no longer claimed")
    return run


def _free(change: Change, run: ActionRun) -> ActionRun:
    return _put(change, replace(
        run, state=ActionState.TRIGGERED, claim_id=None, claimed_by=None, claimed_at=None, progress=0, error=None
    ))  # fmt: skip


def _intend(change: Change, action: Action, run: ActionRun, uuid: Callable[[], str]) -> None:
    flow, config = change.flow, action.config
    if config.get("scheduler_type") == "local":
        return
    by_name = {one.name: id for id, one in flow.tables[SlurmScheduler].items()}
    scheduler: Any = config.get("scheduler_id") or by_name.get(str(config.get("scheduler")))
    if scheduler not in flow.tables[SlurmScheduler]:
        raise Conflict(f"action {action.id} asks for a Slurm scheduler that is gone")
    nodes: Any = flow.tables[SlurmScheduler][scheduler].fields.get("nodes") or 1
    count: Any = config.get("num_allocations", 1)
    allocations.intend(change, scheduler, count, nodes, uuid, action_run=run.id, holder=run.claim_id)


def _put(change: Change, run: ActionRun) -> ActionRun:
    change.flow.tables[ActionRun][run.id] = run
    change.touched = True
    return run
