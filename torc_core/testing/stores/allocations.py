"""Allocations: intended once per request, known by their key, over when the batch system or their last node says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.errors import Invalid, NotFound
from torc_core.model import (
    Allocation,
    AllocationStatus,
    Plan,
    PlannedScheduler,
    Query,
    SchedulerId,
    SlurmScheduler,
    WorkflowId,
)
from torc_core.testing.plans import fan
from torc_core.testing.stores.scene import Scene, SceneContract


class AllocationContract(SceneContract):
    """What is known of allocations is right whatever is repeated, lost or late."""

    def test_the_same_request_gives_the_same_intents(self, scene: Scene) -> None:
        workflow, scheduler = _scheduled(scene)

        first = scene.store.intend(workflow, "r1", scheduler, 3, 2)
        again = scene.store.intend(workflow, "r1", scheduler, 3, 2)
        other = scene.store.intend(workflow, "r2", scheduler, 1, 1)

        assert list(again) == list(first)
        assert [(one.status, one.ordinal, one.nodes, one.walltime) for one in first] == [
            (AllocationStatus.INTENDED, 0, 2, "01:00:00"),
            (AllocationStatus.INTENDED, 1, 2, "01:00:00"),
            (AllocationStatus.INTENDED, 2, 2, "01:00:00"),
        ]
        assert len({one.submission_key for one in (*first, *other)}) == 4
        assert all(len(one.submission_key) == 12 for one in first)
        assert scene.store.totals([workflow])[0].pending_allocations == 4

    @pytest.mark.parametrize(("count", "nodes"), [(-1, 1), (10_001, 1), (1, 0)])
    def test_intents_that_make_no_sense_are_refused(self, scene: Scene, count: int, nodes: int) -> None:
        workflow, scheduler = _scheduled(scene)

        with pytest.raises(Invalid):
            scene.store.intend(workflow, "r", scheduler, count, nodes)

        assert not _allocations(scene, workflow)

    def test_intents_need_a_scheduler_of_the_workflow(self, scene: Scene) -> None:
        workflow, _ = _scheduled(scene)
        _, foreign = _scheduled(scene)

        with pytest.raises(NotFound):
            scene.store.intend(workflow, "r", foreign, 1, 1)


def scheduled(count: int = 4) -> Plan:
    """Independent jobs and a Slurm scheduler."""
    scheduler = PlannedScheduler(name="short", fields={"walltime": "01:00:00", "account": "a"})
    return replace(fan(count), schedulers=[scheduler])


def _scheduled(scene: Scene) -> tuple[WorkflowId, SchedulerId]:
    workflow = scene.started(scheduled())
    return workflow, scene.store.find(SlurmScheduler, Query(workflow=workflow)).items[0].id


def _allocations(scene: Scene, workflow: WorkflowId) -> list[Allocation]:
    return list(scene.store.find(Allocation, Query(workflow=workflow)).items)
