"""A new plan for what is left is written in one transaction, and what is due of it is submitted once (`slurm.md` §7.7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.model import (
    Action,
    Initialize,
    NewNode,
    Offer,
    Plan,
    PlannedAction,
    PlannedScheduler,
    Query,
    Resources,
    Turn,
    Workflow,
)
from torc_core.model.resources import GIB
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.plans import chain, fan
from torc_core.testing.slurm import FakeSlurm
from torc_slurm.batch import SlurmBatch
from torc_slurm.planning.plan import Wishes
from torc_slurm.profiles.model import Partition, Profile
from torc_slurm.regenerating import regenerated

HERE = Profile(
    name="here",
    partitions=[Partition(name="standard", cpus_per_node=1, memory_mb=2000, max_walltime_secs=86_400)],
)
SCHEDULER = PlannedScheduler(
    name="mine",
    fields={"walltime": "00:10:00", "account": "a", "mem": "2000M", "partition": "standard", "nodes": 1},
)
START = PlannedAction(
    trigger_type="on_workflow_start", action_type="schedule_nodes",
    config={"scheduler": "mine", "scheduler_type": "slurm", "num_allocations": 2},
)  # fmt: skip


def bound(plan: Plan) -> Plan:
    """The plan with a scheduler, to which all its jobs are bound."""
    return replace(plan, schedulers=[SCHEDULER], jobs=[replace(job, scheduler=0) for job in plan.jobs])


@pytest.fixture
def made(store: Store, tmp_path):
    """Make a workflow of this plan and start it."""

    def make(plan: Plan, *, begin: bool = True) -> Workflow:
        workflow = store.create(plan, "ana")
        store.change(Workflow, workflow.id, {"submit_options": {"output_dir": str(tmp_path / "out")}})
        if begin:
            store.initialize(workflow.id, Initialize())
        return store.get(Workflow, workflow.id)

    return make


def again(store: Store, workflow: Workflow, account: str | None = "a"):
    """What a planner says now."""
    now = store.get(Workflow, workflow.id)
    return regenerated(store, now, HERE, Wishes(), now=SystemClock().now(), account=account)


def test_what_is_wanted_now_is_submitted_once(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, made
) -> None:
    workflow = made(chain(3))

    first = again(store, workflow)
    store.replan(workflow.id, first.replan(submit=True))
    done = batch.tend(workflow.id)
    second = again(store, workflow)

    assert (first.left, first.served, first.at_once) == (3, 0, 1)
    assert len(done.submitted) == len(slurm.jobs()) == 1
    # The first job runs in the allocation that is queued; the others get theirs when they are ready, as before.
    assert (second.left, second.served, second.plan.allocations, second.at_once) == (3, 1, 2, 0)


def test_a_plan_for_a_workflow_that_has_not_begun_is_its_own(store: Store, made) -> None:
    workflow = made(fan(2), begin=False)

    store.replan(workflow.id, again(store, workflow).replan(submit=True))
    store.initialize(workflow.id, Initialize())

    (action,) = store.find(Action, Query(workflow=workflow.id)).items
    assert (action.trigger_type, action.is_recovery) == ("on_workflow_start", False)
    assert [one.id for one in store.due_actions(workflow.id)] == [action.id]


def test_what_the_old_plan_has_not_asked_for_is_not_asked_for_any_more(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, made
) -> None:
    workflow = made(replace(bound(fan(1)), actions=[START]))

    store.replan(workflow.id, again(store, workflow).replan(submit=True))
    batch.tend(workflow.id)

    assert len(slurm.jobs()) == 1
    assert not store.due_actions(workflow.id)


def test_a_recovery_leaves_nothing_behind(store: Store, made) -> None:
    workflow = made(fan(2))
    store.replan(workflow.id, again(store, workflow).replan(submit=True))

    store.initialize(workflow.id, Initialize(force=True))

    assert not store.find(Action, Query(workflow=workflow.id)).items


def test_what_runs_and_what_will_run_there_is_not_planned_for(store: Store, made) -> None:
    workflow = made(bound(fan(4)))
    scheduler = store.intend(workflow.id, "test", _scheduler(store, workflow), 1, 1)
    node = store.join(
        NewNode(
            workflow_id=workflow.id, epoch="e", hostname="n1", pid=1, boot_id="b", process_start=1, type="slurm",
            capacity=Resources(cpus=1, memory=2 * GIB), submission_key=scheduler[0].submission_key,
            scheduler_id=_scheduler(store, workflow),
        )
    )  # fmt: skip
    offer = Offer(claim_id="c", free=[node.capacity], limit=1, time_limit=600, start=True)
    store.turn(Turn(node=node.id, epoch="e", offer=offer))

    made_now = again(store, workflow, account=None)

    # Ten minutes less what runners keep for themselves are seven rounds of a minute.
    assert (made_now.left, made_now.served, made_now.plan.allocations) == (3, 3, 0)
    assert made_now.account == "a"


def test_an_allocation_that_is_over_counts_no_more(store: Store, made) -> None:
    workflow = made(bound(fan(2)))
    (one,) = store.intend(workflow.id, "test", _scheduler(store, workflow), 1, 1)
    held = again(store, workflow)

    store.withdrawn(one.id, "not needed")

    assert [run.plan.allocations for run in (held, again(store, workflow))] == [0, 2]


def _scheduler(store: Store, workflow: Workflow):
    from torc_core.model import SlurmScheduler

    return store.find(SlurmScheduler, Query(workflow=workflow.id)).items[0].id
