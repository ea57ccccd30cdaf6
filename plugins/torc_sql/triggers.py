"""How far the actions of a workflow are: hits are counted, actions fire, a run arms them again (`engine.md` §10)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torc_core.engine import telling
from torc_core.engine.triggers import (
    AT_BEGIN,
    JOB_TRIGGERS,
    NOTHING,
    READY,
    armed,
    counted,
    fires,
    hit,
    required,
)
from torc_core.model import Action, ActionId, ActionRun, ActionState, JobId, JobStatus, NodeId
from torc_sql import rows
from torc_sql.transaction import Transaction

if TYPE_CHECKING:
    from torc_sql.change import Change


def watch(change: Change, moves: Mapping[JobId, tuple[JobStatus, JobStatus]]) -> None:
    """Carry moves on to the actions that watch these jobs: one statement for each way of hitting them."""
    if not change.run_id:
        return
    tx, groups = change.tx, dict[str, list[JobId]]()
    for job, (before, after) in moves.items():
        as_ready = hit("on_jobs_ready", before, after)
        if hit("on_jobs_complete", before, after) is not None:
            groups.setdefault("HIT_BOTH" if as_ready == READY else "HIT_ENDED", []).append(job)
        elif as_ready is not None:
            groups.setdefault("HIT_READY", []).append(job)
    ready, every = Counter[int](), Counter[int]()
    for statement, jobs in groups.items():
        for action, run in tx.rows(statement, jobs_=json.dumps(jobs), run_=change.run_id, wf_=change.wf):
            # A job that had ended is counted already; what is new is that it has been ready.
            ready[action] += run >= 0
            every[action] += run != 0
    for action in sorted(every):
        row = tx.row("BUMP", action_=action, ready_=ready[action], all_=every[action])
        one = rows.action(row, ())
        added = ready[action] if one.trigger_mode == "any" else every[action]
        _fire_if_due(change, one, new=one.trigger_count - added < one.required_triggers)


def complete(change: Change) -> None:
    """The last job has ended."""
    for row in change.tx.rows("ON_COMPLETE", wf_=change.wf):
        action = rows.action(row, ())
        change.tx.run("COUNT_ACTION", action_=action.id, count_=1, required_=action.required_triggers)
        fire(change, action)


def arm(change: Change, *, before: int, full: bool, reset_jobs: Collection[JobId] | None) -> None:
    """A run begins: temporary actions go, others are armed or keep their firing; `before` is the run until now.

    `reset_jobs` are the jobs that start over; None: all.
    """
    tx = change.tx
    for row in tx.rows("ACTIONS", wf_=change.wf):
        action = action_of(tx, row)
        if action.is_recovery:
            drop(tx, action.id)
        elif armed(action, full=full, reset_jobs=reset_jobs):
            stand(change, action)
        else:
            tx.run("CARRY_FIRINGS", action_=action.id, before_=before, run_=change.run_id)


def join(change: Change, action: Action) -> None:
    """A new action counts from where the workflow is; what had its moment in this run fires in the next one."""
    if action.trigger_type in JOB_TRIGGERS:
        change.tx.run("WATCHES_JOBS", wf_=change.wf)
    if change.run_id and action.trigger_type not in ("on_workflow_start", "on_workflow_complete"):
        stand(change, action)


def stand(change: Change, action: Action) -> None:
    """Arm an action: its count is that of the present statuses, and it may fire at once."""
    if action.trigger_type in JOB_TRIGGERS:
        change.tx.run("STAND", action_=action.id, trigger_=action.trigger_type, run_=change.run_id)
        _recount(change, replace(action, trigger_count=0))
        return
    begun = action.trigger_type in AT_BEGIN
    change.tx.run("COUNT_ACTION", action_=action.id, count_=int(begun), required_=action.required_triggers)
    if begun:
        fire(change, action)


def forget_job(change: Change, actions: Collection[int]) -> None:
    """A job that these actions watched is gone: they watch the others."""
    for id in actions:
        action = action_of(change.tx, change.tx.row("ACTION", action_=id))
        action = replace(
            action, required_triggers=required(action.trigger_type, action.trigger_mode, len(action.jobs))
        )
        if action.jobs:
            _recount(change, action)
        else:
            change.tx.run("COUNT_ACTION", action_=id, count_=0, required_=1)


def fire(change: Change, action: Action, state: ActionState = ActionState.TRIGGERED) -> None:
    """Note the firing of an action, once per run; one that is persistent fires for each node that claims it."""
    tx, nothing = change.tx, NOTHING if state is ActionState.DONE else None
    if not action.persistent:
        if firing(change, action.id, NodeId(0)) is not None:
            return
        id = tx.ids("action_run", 1)
        tx.many("INSERT_ACTION_RUN", [
            (id, change.wf, action.id, change.run_id, 0, state.value, None, None, None, 0, nothing)
        ])  # fmt: skip
    change.tell(
        telling.of_action("action_done" if nothing else "action_triggered", action.id, change.run_id, nothing)
    )
    change.fired = True
    tx.wake(change.wf)


def firing(change: Change, action: ActionId, node: NodeId) -> ActionRun | None:
    """The firing of an action in the current run."""
    row = change.tx.row("FIRING", action_=action, run_=change.run_id, node_=node)
    return None if row is None else rows.action_run(row)


def action_of(tx: Transaction, row: Any) -> Action:
    """An action with the jobs it watches."""
    return rows.action(row, tuple(job for (job,) in tx.rows("ACTION_JOBS", action_=row[0])))


def seen(tx: Transaction, action: Action, run_id: int) -> Action:
    """An action as it is shown: whether it was executed in the current run."""
    row = tx.row("LAST_FIRING", action_=action.id, run_=run_id)
    if row is None:
        return action
    last = rows.action_run(row)
    return replace(action, executed=True, executed_at=last.claimed_at, executed_by=last.claimed_by)


def drop(tx: Transaction, action: ActionId) -> None:
    """Remove an action with its firings; allocations that it asked for stay."""
    for statement in ("UNLINK_INTENTS", "DROP_FIRINGS", "DROP_ACTION_JOBS", "DROP_ACTION"):
        tx.run(statement, action_=action)


def _recount(change: Change, action: Action) -> None:
    ready, hits, _ = change.tx.row("HITS", action_=action.id)
    count = counted(action.trigger_mode, ready, hits - ready)
    change.tx.run("COUNT_ACTION", action_=action.id, count_=count, required_=action.required_triggers)
    _fire_if_due(
        change, replace(action, trigger_count=count), new=action.trigger_count < action.required_triggers
    )


def _fire_if_due(change: Change, action: Action, *, new: bool = True) -> None:
    if action.trigger_count < action.required_triggers:
        return
    state = fires(action, any_ready=change.tx.row("ANY_READY", action_=action.id) is not None)
    if state is not None and (new or not action.persistent):
        fire(change, action, state)
