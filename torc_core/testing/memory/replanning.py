"""What a planner decided, written in one transaction (`wire.md` §7.6)."""

from __future__ import annotations

from collections.abc import Callable

from torc_core.engine import telling
from torc_core.engine.allocating import check_newest
from torc_core.errors import NotFound
from torc_core.model import (
    Action,
    ActionId,
    ActionState,
    Allocation,
    JobId,
    NodeId,
    Replan,
    SchedulerId,
    SlurmScheduler,
)
from torc_core.testing.memory import actions, allocations, catalog, triggers
from torc_core.testing.memory.change import Change


def replan(change: Change, plan: Replan, uuid: Callable[[], str]) -> list[Allocation]:
    """Make schedulers, bind jobs to them, make and retire actions, write intents; the intents."""
    flow = change.flow
    wf, table = flow.workflow.id, flow.tables[SlurmScheduler]
    check_newest(wf, plan.newest, max(flow.tables[Allocation], default=0))
    schedulers: dict[str, SchedulerId] = {}
    for one in table.values():
        schedulers.setdefault(one.name, one.id)
    for new in plan.schedulers:
        if new.name not in schedulers:
            id = schedulers[new.name] = SchedulerId(change.number("scheduler"))
            table[id] = SlurmScheduler(id=id, workflow_id=wf, name=new.name, fields=new.fields)

    def named(name: str) -> SchedulerId:
        if name not in schedulers:
            raise NotFound(f"workflow {wf} has no Slurm scheduler {name!r}")
        return schedulers[name]

    for name, jobs in plan.assign.items():
        for job in jobs:
            if job not in flow.jobs:
                raise NotFound(f"workflow {wf} has no job {job}")
            change.set(flow.jobs[job], scheduler_id=named(name))
    for planned in plan.actions:
        catalog.add_action(change, Action(
            workflow_id=wf, trigger_type=planned.trigger_type, action_type=planned.action_type,
            config=planned.config, jobs=[JobId(job) for job in planned.jobs], trigger_mode=planned.trigger_mode,
            persistent=planned.persistent, is_recovery=planned.is_recovery,
        ))  # fmt: skip
    for id_ in plan.retire:
        _retire(change, id_, uuid)
    intents = [
        one
        for wanted in plan.allocations
        for one in allocations.intend(change, named(wanted.scheduler), wanted.count, wanted.nodes, uuid)
    ]
    change.tell(telling.replanned(wf, len(intents)))
    return intents


def _retire(change: Change, id: ActionId, uuid: Callable[[], str]) -> None:
    """Take the firing of an action in the current run as done; what has failed is done as well then."""
    flow = change.flow
    action: Action | None = flow.tables[Action].get(id)
    if action is None:
        raise NotFound(f"workflow {flow.workflow.id} has no action {id}")
    run = triggers.firing(flow, action, NodeId(0))
    if run is not None and run.state is ActionState.DONE:
        return
    if run is not None and run.state is ActionState.FAILED:
        actions.rearm(change, action)
    if run is None and not action.persistent:
        # It has not fired, and never will in this run: one firing is all there is.
        triggers.fire(change, action, ActionState.DONE)
        return
    actions.claim(change, action, None, None, uuid)
