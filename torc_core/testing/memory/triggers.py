"""How far the actions of a workflow are: hits are counted, actions fire, a run arms them again (`engine.md` §10)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

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
    standing,
)
from torc_core.model import (
    Action,
    ActionId,
    ActionRun,
    ActionRunId,
    ActionState,
    Allocation,
    JobId,
    JobStatus,
    NodeId,
)
from torc_core.testing.memory.flow import Flow

if TYPE_CHECKING:
    from torc_core.testing.memory.change import Change


def watching(flow: Flow) -> bool:
    """Whether any action watches jobs."""
    return any(action.trigger_type in JOB_TRIGGERS for action in flow.tables[Action].values())


def watch(change: Change, moves: Mapping[JobId, tuple[JobStatus, JobStatus]]) -> None:
    """Carry moves on to the actions that watch these jobs."""
    flow = change.flow
    if not flow.workflow.run_id:
        return
    for action in list(flow.tables[Action].values()):
        hits = flow.hits.setdefault(action.id, {})
        before = dict(hits)
        for job in action.jobs:
            if job in moves and (found := hit(action.trigger_type, *moves[job])) is not None:
                hits[job] = max(found, hits.get(job, found))
        if hits != before:
            _count(change, action)


def complete(change: Change) -> None:
    """The last job has ended."""
    for action in list(change.flow.tables[Action].values()):
        if action.trigger_type == "on_workflow_complete":
            fire(change, _put(change.flow, replace(action, trigger_count=1)))


def arm(change: Change, *, before: int, full: bool, reset_jobs: Collection[JobId] | None) -> None:
    """A run begins: temporary actions go, others are armed or keep their firing; `before` is the run until now."""
    flow = change.flow
    for action in list(flow.tables[Action].values()):
        if action.is_recovery:
            drop(flow, action.id)
        elif armed(action, full=full, reset_jobs=reset_jobs):
            stand(change, action)
        else:
            runs: dict[int, ActionRun] = flow.tables[ActionRun]
            for run in [one for one in runs.values() if one.action_id == action.id and one.run_id == before]:
                runs[run.id] = replace(run, run_id=flow.workflow.run_id)


def stand(change: Change, action: Action) -> None:
    """Arm an action: its count is that of the present statuses, and it may fire at once."""
    flow = change.flow
    hits = flow.hits[action.id] = {}
    action = _put(flow, replace(action, trigger_count=0))
    if action.trigger_type in JOB_TRIGGERS:
        for id in action.jobs:
            job = flow.jobs[id]
            this_run = job.run_id == flow.workflow.run_id
            if (found := standing(action.trigger_type, job.status, this_run=this_run)) is not None:
                hits[id] = found
        _count(change, action)
        return
    begun = action.trigger_type in AT_BEGIN
    action = _put(flow, replace(action, trigger_count=int(begun)))
    if begun:
        fire(change, action)


def join(change: Change, action: Action) -> None:
    """A new action counts from where the workflow is; what had its moment in this run fires in the next one."""
    flow = change.flow
    if not flow.workflow.run_id or action.trigger_type in ("on_workflow_start", "on_workflow_complete"):
        return
    stand(change, action)


def forget_jobs(change: Change, jobs: Collection[JobId]) -> None:
    """Jobs are gone: those who watched them watch the others."""
    flow = change.flow
    for id, action in list(flow.tables[Action].items()):
        if any(one in jobs for one in action.jobs):
            left = [one for one in action.jobs if one not in jobs]
            for job in jobs:
                flow.hits.get(ActionId(id), {}).pop(job, None)
            needed = required(action.trigger_type, action.trigger_mode, len(left))
            changed = _put(flow, replace(action, jobs=left, required_triggers=needed))
            if left:
                _count(change, changed)
            else:
                _put(flow, replace(changed, trigger_count=0))


def fire(change: Change, action: Action, state: ActionState = ActionState.TRIGGERED) -> None:
    """Note the firing of an action, once per run; one that is persistent fires for each node that claims it."""
    flow = change.flow
    run = flow.workflow.run_id
    if not action.persistent:
        if firing(flow, action, NodeId(0)) is not None:
            return
        id = ActionRunId(change.number("action_run"))
        error = NOTHING if state is ActionState.DONE else None
        flow.tables[ActionRun][id] = ActionRun(
            id=id, workflow_id=action.workflow_id, action_id=action.id, run_id=run, state=state, error=error
        )
    name = "action_triggered" if state is ActionState.TRIGGERED else "action_done"
    change.tell(telling.of_action(name, action.id, run, NOTHING if state is ActionState.DONE else None))


def firing(flow: Flow, action: Action, node: NodeId) -> ActionRun | None:
    """The firing of an action in the current run."""
    for run in flow.tables[ActionRun].values():
        if (run.action_id, run.run_id, run.node_id) == (action.id, flow.workflow.run_id, node):
            return run  # type: ignore[no-any-return]  # tables are keyed by kind
    return None


def seen(flow: Flow, action: Action) -> Action:
    """An action as it is shown: whether it was executed in the current run."""
    runs = [
        run
        for run in flow.tables[ActionRun].values()
        if run.action_id == action.id
        and run.run_id == flow.workflow.run_id
        and run.state is not ActionState.TRIGGERED
    ]
    if not runs:
        return action
    last = max(runs, key=lambda run: run.id)
    return replace(action, executed=True, executed_at=last.claimed_at, executed_by=last.claimed_by)


def drop(flow: Flow, action: ActionId) -> None:
    """Remove an action with its firings; allocations that it asked for stay."""
    flow.hits.pop(action, None)
    runs = {id for id, run in flow.tables[ActionRun].items() if run.action_id == action}
    for id, allocation in flow.tables[Allocation].items():
        if allocation.action_run_id in runs:
            flow.tables[Allocation][id] = replace(allocation, action_run_id=None)
    for id in runs:
        del flow.tables[ActionRun][id]
    flow.tables[Action].pop(action, None)


def _count(change: Change, action: Action) -> None:
    hits = list(change.flow.hits.get(action.id, {}).values())
    ready = sum(one == READY for one in hits)
    count = counted(action.trigger_mode, ready, len(hits) - ready)
    was = action.trigger_count
    action = _put(change.flow, replace(action, trigger_count=count))
    state = fires(action, any_ready=ready > 0)
    if state is not None and (was < action.required_triggers or not action.persistent):
        fire(change, action, state)


def _put(flow: Flow, action: Action) -> Action:
    flow.tables[Action][action.id] = action
    return action
