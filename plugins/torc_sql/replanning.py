"""What a planner decided, written in one transaction (`wire.md` §7.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
)
from torc_sql import actions, adding, allocations, rows, triggers
from torc_sql.change import Change
from torc_sql.job_changes import reclass


def replan(change: Change, plan: Replan, uuid: Callable[[], str]) -> list[Allocation]:
    """Make schedulers, bind jobs to them, make and retire actions, write intents; the intents.

    Raises
    ------
    NotFound
        If the workflow has no such job, action or scheduler.
    Conflict
        If an action that is to be retired is being executed, or there is a newer allocation than the plan knows.
    """
    tx, wf = change.tx, change.wf
    check_newest(wf, plan.newest, tx.row("NEWEST_ALLOCATION", wf_=wf)[0] or 0)
    schedulers: dict[str, SchedulerId] = {}
    for row in tx.rows("SCHEDULERS_OF", wf_=wf):
        schedulers.setdefault(row[2], row[0])
    for new in plan.schedulers:
        if new.name not in schedulers:
            schedulers[new.name] = SchedulerId(tx.ids("scheduler", 1))
            tx.many("INSERT_SLURM_SCHEDULER", [(schedulers[new.name], wf, new.name, rows.text(new.fields))])

    def named(name: str) -> SchedulerId:
        if name not in schedulers:
            raise NotFound(f"workflow {wf} has no Slurm scheduler {name!r}")
        return schedulers[name]

    for name, jobs in plan.assign.items():
        _bind(change, jobs, named(name))
    for planned in plan.actions:
        adding.add_action(change, Action(
            workflow_id=wf, trigger_type=planned.trigger_type, action_type=planned.action_type,
            config=planned.config, jobs=[JobId(job) for job in planned.jobs], trigger_mode=planned.trigger_mode,
            persistent=planned.persistent, is_recovery=planned.is_recovery,
        ))  # fmt: skip
    for id in plan.retire:
        _retire(change, id, uuid)
    intents = [
        one
        for wanted in plan.allocations
        for one in allocations.intend(change, named(wanted.scheduler), wanted.count, wanted.nodes, uuid)
    ]
    change.tell(telling.replanned(wf, len(intents)))
    return intents


def _bind(change: Change, jobs: Sequence[JobId], scheduler: SchedulerId) -> None:
    """Let jobs belong to a scheduler."""
    for id in jobs:
        job = change.job(id)
        if job is None:
            raise NotFound(f"workflow {change.wf} has no job {id}")
        change.tx.run("BIND", job_=id, scheduler_=scheduler)
        reclass(change, job)


def _retire(change: Change, id: ActionId, uuid: Callable[[], str]) -> None:
    """Take the firing of an action in the current run as done; what has failed is done as well then."""
    one = actions.action(change.tx, id)
    if one.workflow_id != change.wf:
        raise NotFound(f"workflow {change.wf} has no action {id}")
    run = triggers.firing(change, id, NodeId(0))
    if run is not None and run.state is ActionState.DONE:
        return
    if run is not None and run.state is ActionState.FAILED:
        actions.rearm(change, one)
    if run is None and not one.persistent:
        # It has not fired, and never will in this run: one firing is all there is.
        triggers.fire(change, one, ActionState.DONE)
        return
    actions.claim(change, one, None, None, uuid)
