"""Scheduled nodes that are asked for once for every runner, and those that only runners ask for (`workflow-spec.md` §11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from torc_core.model import (
    Action,
    ActionRun,
    Allocation,
    Initialize,
    NewNode,
    Node,
    PlannedAction,
    PlannedScheduler,
    Query,
    Resources,
    Workflow,
)
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.plans import fan
from torc_core.testing.slurm import FakeSlurm
from torc_http.tending import Tender
from torc_slurm.batch import SlurmBatch

Make = Callable[..., Workflow]


@pytest.fixture
def asking(store: Store, tmp_path: object) -> Make:
    """Make a workflow whose action asks for one allocation at a trigger."""

    def make(trigger: str, *, persistent: bool = True) -> Workflow:
        scheduler = PlannedScheduler(name="short", fields={"walltime": "00:10:00", "account": "a"})
        action = PlannedAction(
            trigger_type=trigger, action_type="schedule_nodes", persistent=persistent,
            config={"scheduler": "short", "scheduler_type": "slurm", "num_allocations": 1},
        )  # fmt: skip
        workflow = store.create(replace(fan(4), schedulers=[scheduler], actions=[action]), "ana")
        store.change(Workflow, workflow.id, {"submit_options": {"output_dir": f"{tmp_path}/out"}})
        store.initialize(workflow.id, Initialize())
        return store.get(Workflow, workflow.id)

    return make


def runner(store: Store, workflow: Workflow, name: str) -> Node:
    return store.join(
        NewNode(
            workflow_id=workflow.id, epoch=name, hostname=name, pid=1, boot_id=name, process_start=1,
            capacity=Resources(cpus=4, memory=2**33), output_dir="/x",
        )
    )  # fmt: skip


def allocations(store: Store, workflow: Workflow) -> int:
    return len(store.find(Allocation, Query(workflow=workflow.id)).items)


def test_a_persistent_one_is_carried_out_once_without_a_runner_and_once_by_each(
    store: Store, batch: SlurmBatch, slurm: FakeSlurm, asking: Make
) -> None:
    workflow = asking("on_workflow_start")
    nodes = [runner(store, workflow, name) for name in ("n1", "n2")]

    counts = []
    for node in (None, None, nodes[0], nodes[0], nodes[1], None):
        batch.tend(workflow.id, node=None if node is None else node.id)
        counts.append(len(slurm.jobs()))

    assert counts == [1, 1, 2, 2, 3, 3]
    assert len(store.find(ActionRun, Query(workflow=workflow.id)).items) == 3


@pytest.mark.parametrize("persistent", [True, False])
def test_those_at_the_begin_of_runners_are_for_runners_alone(
    store: Store, batch: SlurmBatch, asking: Make, persistent: bool
) -> None:
    workflow = asking("on_worker_start", persistent=persistent)
    nodes = [runner(store, workflow, name) for name in ("n1", "n2")]

    batch.tend(workflow.id)
    without = allocations(store, workflow)
    for node in nodes:
        batch.tend(workflow.id, node=node.id)
        batch.tend(workflow.id, node=node.id, leaving=True)

    assert (without, allocations(store, workflow)) == (0, 2 if persistent else 1)


def test_those_at_the_end_of_runners_wait_for_it(store: Store, batch: SlurmBatch, asking: Make) -> None:
    workflow = asking("on_worker_complete")
    node = runner(store, workflow, "n1")

    batch.tend(workflow.id, node=node.id)
    before = allocations(store, workflow)
    batch.tend(workflow.id, node=node.id, leaving=True)

    assert (before, allocations(store, workflow)) == (0, 1)


@pytest.mark.parametrize("trigger", ["on_workflow_start", "on_worker_start"])
def test_what_a_runner_has_left_undone_is_done_by_whoever_comes(
    store: Store, batch: SlurmBatch, slurm: FakeSlurm, asking: Make, trigger: str
) -> None:
    workflow = asking(trigger)
    node = runner(store, workflow, "n1")
    (action,) = store.find(Action, Query(workflow=workflow.id)).items
    claim = store.claim_action(action.id, "of a runner that dies", node.id)
    store.release_action(action.id, "of a runner that dies")

    batch.tend(workflow.id)

    (job,) = slurm.jobs()
    assert job["name"].endswith(claim.allocations[0].submission_key)


@pytest.mark.parametrize(("trigger", "looks"), [("on_workflow_start", 1), ("on_worker_start", 0)])
def test_a_server_does_not_come_back_to_it_for_ever(
    store: Store, batch: SlurmBatch, asking: Make, trigger: str, looks: int
) -> None:
    asking(trigger)
    tended = []

    class Noting(SlurmBatch):
        def tend(self, workflow, **more):
            tended.append(workflow)
            return super().tend(workflow, **more)

    batch.__class__ = Noting
    tender = Tender(store, SystemClock(), lambda: {"slurm": batch}, "ana", look=3600, grace=0, round=3600)
    tender.start()
    tender._last = SystemClock().monotonic()

    for _ in range(5):
        tender.look()
    tender.close()

    assert len(tended) == looks
