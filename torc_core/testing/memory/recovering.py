"""Jobs that failed get what they lacked, and run again (`slurm.md` §10)."""

from __future__ import annotations

from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.checks import checked
from torc_core.engine.records import COUNTERS, duplicates
from torc_core.engine.resets import adjusted, check_open, check_recovery
from torc_core.errors import NotFound
from torc_core.model import Adjustment, Initialize, RecoveryPlan, Requirement, Reset
from torc_core.store.fields import FIELDS
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.lifecycle import initialize
from torc_core.testing.memory.resets import check_workflow_idle, reset


def recover(change: Change, plan: RecoveryPlan) -> None:
    """Write new requirements, reset the jobs of a plan and what waits for them, and begin a run of these."""
    workflow = change.flow.workflow
    check_open(workflow.id, workflow.is_archived, "recovered")
    check_recovery(workflow.id, plan.run_id, workflow.run_id, canceled=workflow.is_canceled)
    check_workflow_idle(change.flow, runners=True, force=False)
    change.tell(telling.recovery_started(plan.run_id, plan.jobs))
    for one in plan.adjustments:
        _adjust(change, one)
    reset(change, Reset(jobs=plan.jobs, reason="recover"))
    initialize(change, Initialize(only_uninitialized=True, force=True))
    change.tell(telling.recovery_finished(plan.run_id, plan.counts))


def _adjust(change: Change, one: Adjustment) -> None:
    flow = change.flow
    table = flow.tables[Requirement]
    wf = flow.workflow.id
    if one.replaces not in table:
        raise NotFound(f"workflow {wf} has no resource requirement {one.replaces}")
    old, needs = table[one.replaces], checked(replace(one.needs, workflow_id=wf))
    taken: dict[str, list[int]] = {}
    for known in table.values():
        taken.setdefault(known.name, []).append(known.id)
    new = replace(needs, id=change.number(COUNTERS[Requirement]))
    table[new.id] = new
    for told in duplicates(FIELDS[Requirement].noun, taken, [(new.name, new.id)]):
        change.tell(told)
    for id in one.jobs:
        if id not in flow.jobs:
            raise NotFound(f"workflow {wf} has no job {id}")
        change.set(flow.jobs[id], requirement_id=new.id)
    for field, before, after in adjusted(old, new):
        change.tell(telling.resource_adjusted(one.jobs, field, before, after, one.cause))
