"""Jobs that failed get what they lacked, and run again (`slurm.md` §10)."""

from __future__ import annotations

from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.checks import checked
from torc_core.engine.resets import adjusted, check_open, check_recovery
from torc_core.errors import NotFound
from torc_core.model import Adjustment, Initialize, RecoveryPlan, Requirement, Reset
from torc_sql import resets, rows
from torc_sql.adding import named
from torc_sql.change import Change
from torc_sql.job_changes import reclass, update
from torc_sql.lifecycle import initialize


def recover(change: Change, plan: RecoveryPlan) -> None:
    """Write new requirements, reset the jobs of a plan and what waits for them, and begin a run of these.

    Raises
    ------
    Conflict
        If the workflow is in another run, or canceled.
    Invalid
        If it is archived, or somebody works on it.
    NotFound
        If it has no such job or requirement.
    """
    check_open(change.wf, change.state.is_archived == 1, "recovered")
    check_recovery(change.wf, plan.run_id, change.run_id, canceled=change.canceled)
    resets.check_workflow_idle(change, runners=True, force=False)
    change.tell(telling.recovery_started(plan.run_id, plan.jobs))
    for one in plan.adjustments:
        _adjust(change, one)
    resets.reset(change, Reset(jobs=plan.jobs, reason="recover"))
    # NOTE: what is missing of other jobs' files is not looked at: nobody else runs again.
    initialize(change, Initialize(only_uninitialized=True, force=True))
    change.tell(telling.recovery_finished(plan.run_id, plan.counts))


def _adjust(change: Change, one: Adjustment) -> None:
    row = change.tx.row("REQUIREMENT", id_=one.replaces)
    old: Requirement | None = None if row is None else rows.requirement(row)
    if old is None or old.workflow_id != change.wf:
        raise NotFound(f"workflow {change.wf} has no resource requirement {one.replaces}")
    new: Requirement
    (new,) = named(change, Requirement, [checked(replace(one.needs, workflow_id=change.wf))])
    for id in one.jobs:
        job = change.job(id)
        if job is None:
            raise NotFound(f"workflow {change.wf} has no job {id}")
        update(change, "job", id, {"requirement_id": new.id})
        reclass(change, job)
    for field, before, after in adjusted(old, new):
        change.tell(telling.resource_adjusted(one.jobs, field, before, after, one.cause))
