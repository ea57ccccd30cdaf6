"""Records of where jobs run: nodes and allocations of published clients, remote workers, accounting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torc_core.errors import Conflict, Invalid, NotFound
from torc_core.model import (
    Allocation,
    AllocationStatus,
    Job,
    JobId,
    Node,
    NodeState,
    Query,
    RemoteWorker,
    Resources,
    RunningJob,
    SlurmCorrelation,
    SlurmScheduler,
    SlurmStats,
    Usage,
    WorkflowId,
)
from torc_core.testing.plans import fan
from torc_core.testing.stores.allocations import scheduled
from torc_core.testing.stores.scene import Scene, SceneContract


class WhereaboutsContract(SceneContract):
    """What published clients say of nodes and allocations is kept, once, and nothing goes backwards."""

    # Nodes.

    def test_a_node_that_is_added_has_no_lease(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        node = _node(scene, workflow)
        scene.move(86_400)
        scene.store.sweep()

        found = scene.store.get(Node, node.id)
        assert (found.beats, found.is_active, found.state) == (False, True, NodeState.ACTIVE)
        assert len(scene.events(workflow, "compute_node_started")) == 1

    def test_the_same_process_is_the_same_node(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        first, again = _node(scene, workflow, start_time=5), _node(scene, workflow, start_time=5)
        other = _node(scene, workflow, start_time=6)

        assert again == first
        assert other.id != first.id
        assert len(scene.events(workflow, "compute_node_started")) == 2

    def test_a_node_that_is_no_longer_active_is_closed(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = _node(scene, workflow)
        job = scene.job(workflow, "job0").id
        scene.store.claim(workflow, replace(scene.offer(node), limit=1))
        scene.store.start(job, 0, node.id)
        scene.move(60)

        closed = scene.store.change(Node, node.id, {"is_active": False, "usage": Usage(avg_cpu_percent=10.0)})
        scene.store.change(Node, node.id, {"is_active": False})

        assert (closed.state, closed.duration_seconds) == (NodeState.ENDED, 60.0)
        assert closed.usage.avg_cpu_percent == 10.0
        assert scene.counts(workflow) == {"running": 1}
        assert len(scene.events(workflow, "compute_node_stopped")) == 1

    def test_a_duration_that_is_given_is_kept(self, scene: Scene) -> None:
        node = _node(scene, scene.started(fan(1)))

        closed = scene.store.change(Node, node.id, {"duration_seconds": 7.0, "is_active": False})

        assert closed.duration_seconds == 7.0

    def test_fields_of_a_node_are_changed(self, scene: Scene) -> None:
        node = _node(scene, scene.started(fan(1)))
        given = {
            "hostname": "n9",
            "capacity": Resources(cpus=2, memory=3, gpus=1),
            "scheduler": {"a": 1},
            "label": None,
        }

        changed = scene.store.change(Node, node.id, given)

        assert (changed.hostname, changed.capacity) == ("n9", Resources(cpus=2, memory=3, gpus=1))
        assert changed.scheduler == {"a": 1}
        assert changed == scene.store.get(Node, node.id)

    def test_only_a_runner_itself_says_that_it_lives(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node, published = scene.node(workflow), _node(scene, workflow)
        scene.store.leave(node.id, None)
        scene.store.close_node(published.id)

        with pytest.raises(Invalid, match="only its runner"):
            scene.store.change(Node, node.id, {"is_active": True})

        assert scene.store.change(Node, published.id, {"is_active": True}).state is NodeState.ACTIVE

    def test_a_node_that_may_run_jobs_is_not_removed(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = scene.node(workflow)
        scene.claim(node)

        with pytest.raises(Conflict, match="is active"):
            scene.store.remove(Node, [node.id])
        scene.move(20 * 60 + 60)
        scene.store.sweep()
        with pytest.raises(Conflict, match="not known to be dead"):
            scene.store.remove(Node, [node.id])
        scene.store.bury(node.id, "stopped")

        assert scene.store.remove(Node, [node.id]) == 1
        assert [one.node_id for one in scene.results(workflow)] == [node.id]

    def test_starting_a_job_is_a_sign_of_life_of_its_node(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        node = _node(scene, workflow)
        scene.store.claim(workflow, replace(scene.offer(node), limit=1))
        scene.move(100)

        scene.store.start(scene.job(workflow, "job0").id, 0, node.id)

        assert scene.store.get(Node, node.id).last_beat == scene.clock.now()

    # Allocations.

    def test_an_allocation_is_recorded_once(self, scene: Scene) -> None:
        workflow = scene.started(scheduled())
        new = Allocation(
            workflow_id=workflow, scheduler_config_id=_scheduler(scene, workflow), scheduler_id="77"
        )

        (first,), (again,) = scene.store.add([new]), scene.store.add([new])

        assert first == again == scene.store.get(Allocation, first.id)
        assert (first.status, first.scheduler_type) == (AllocationStatus.PENDING, "slurm")
        assert len(scene.events(workflow, "scheduler_node_created")) == 1
        assert scene.store.find(Allocation, Query(workflow=workflow, where={"status": "pending"})).total == 1

    def test_an_allocation_needs_a_scheduler_that_is_there(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        with pytest.raises(NotFound):
            scene.store.add([Allocation(workflow_id=workflow, scheduler_config_id=99, scheduler_id="7")])  # type: ignore[arg-type]  # no such scheduler

    def test_the_status_of_an_allocation_only_goes_forward(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        (one,) = scene.store.add([Allocation(workflow_id=workflow, scheduler_id="7")])

        active = scene.store.change(Allocation, one.id, {"status": "active"})
        same = scene.store.change(Allocation, one.id, {"status": "active"})
        with pytest.raises(Invalid, match="cannot go from active to pending"):
            scene.store.change(Allocation, one.id, {"status": "pending"})
        over = scene.store.change(Allocation, one.id, {"status": AllocationStatus.COMPLETE})
        with pytest.raises(Invalid, match="cannot go from complete to canceled"):
            scene.store.change(Allocation, one.id, {"status": "canceled"})
        with pytest.raises(Invalid, match="no status 'gone'"):
            scene.store.change(Allocation, one.id, {"status": "gone"})

        assert (active.status, same.status, over.status) == ("active", "active", "complete")

    def test_an_allocation_with_an_active_node_is_not_removed(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        (one,) = scene.store.add([Allocation(workflow_id=workflow, scheduler_id="7")])
        node = scene.node(workflow, scheduler={"slurm_job_id": "7"})

        with pytest.raises(Conflict, match="active node"):
            scene.store.remove(Allocation, [one.id])
        scene.store.leave(node.id, None)

        assert scene.store.remove(Allocation, [one.id]) == 1
        assert scene.store.get(Node, node.id).allocation_id is None

    def test_a_scheduler_with_open_allocations_is_not_removed(self, scene: Scene) -> None:
        workflow = scene.started(scheduled())
        scheduler = _scheduler(scene, workflow)
        (one,) = scene.store.intend(workflow, "r", scheduler, 1, 1)

        with pytest.raises(Conflict, match="has an allocation"):
            scene.store.remove(SlurmScheduler, [scheduler])
        scene.store.withdrawn(one.id, "done")

        assert scene.store.remove(SlurmScheduler, [scheduler]) == 1
        assert scene.store.get(Allocation, one.id).scheduler_config_id is None

    # Remote workers.

    def test_a_worker_is_added_once(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))

        first = _workers(scene, workflow, "ann@N1:22", "n2")
        again = _workers(scene, workflow, "ann@n1:22")

        assert [one.worker for one in first] == ["ann@n1:22", "n2"]
        assert again == first[:1]
        assert scene.store.find(RemoteWorker, Query(workflow=workflow)).total == 2

    @pytest.mark.parametrize("other", ["bob@n1", "n1:2222", "N1"])
    def test_a_host_is_a_worker_once_whatever_user_or_port(self, scene: Scene, other: str) -> None:
        workflow = scene.started(fan(1))
        _workers(scene, workflow, "ann@n1:22")

        with pytest.raises(Invalid, match=r"on the same host as 'ann@n1:22'"):
            _workers(scene, workflow, "n3", other)

        assert scene.store.find(RemoteWorker, Query(workflow=workflow)).total == 1

    @pytest.mark.parametrize(
        "address", ["", "-n1", "a b@n1", "n1:0", "n1:99999", "n1;rm", "[::1", "::1::2", "a@b@"]
    )
    def test_an_address_that_is_none_is_refused(self, scene: Scene, address: str) -> None:
        workflow = scene.started(fan(1))

        with pytest.raises(Invalid, match="invalid"):
            _workers(scene, workflow, "n3", address)

        assert scene.store.find(RemoteWorker, Query(workflow=workflow)).total == 0

    def test_workers_keep_a_label_and_options_and_can_be_removed(self, scene: Scene) -> None:
        workflow = scene.started(fan(1))
        (one,) = _workers(scene, workflow, "n1")

        changed = scene.store.change(RemoteWorker, one.id, {"label": "gpu", "options": {"dir": "/x"}})

        assert (changed.label, changed.options) == ("gpu", {"dir": "/x"})
        assert scene.store.remove(RemoteWorker, [one.id]) == 1

    # Accounting, and what runs where.

    def test_later_accounting_replaces_the_earlier(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        job = scene.job(workflow, "job0").id

        (first,) = scene.store.add([_stats(workflow, job, 1)])
        (second,) = scene.store.add([_stats(workflow, job, 2)])

        assert (first.id, first.run_id) == (second.id, 1)
        found = scene.store.find(SlurmStats, Query(workflow=workflow, where={"job_id": job}))
        assert [one.max_rss_bytes for one in found.items] == [2]

    def test_accounting_goes_with_its_job(self, scene: Scene) -> None:
        workflow = scene.started(fan(2))
        job = scene.job(workflow, "job0").id
        scene.store.add([_stats(workflow, job, 1)])

        scene.store.remove(Job, [job])

        assert scene.store.find(SlurmStats, Query(workflow=workflow)).total == 0
        with pytest.raises(NotFound):
            scene.store.add([_stats(workflow, job, 1)])

    def test_running_jobs_are_listed_with_their_places(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        node = scene.node(workflow, cpus=2, type="slurm", scheduler={"slurm_job_id": "77"})
        scene.claim(node)

        page = scene.store.find(RunningJob, Query(workflow=workflow, offset=1, limit=5))
        one = scene.store.find(RunningJob, Query(workflow=workflow, where={"job_id": page.items[0].job_id}))

        assert page.total == 2
        (found,) = page.items
        assert (found.job_name, found.compute_node_name, found.scheduler_type) == ("job1", "n1", "slurm")
        assert (found.scheduler_job_id, found.start_time) == ("77", scene.clock.now())
        assert list(one.items) == [found]

    def test_jobs_are_told_with_the_batch_jobs_they_ran_in(self, scene: Scene) -> None:
        workflow = scene.started(fan(3))
        slurm = scene.node(workflow, cpus=1, scheduler={"slurm_job_id": "77"})
        other = scene.node(workflow, cpus=1, pid=101)
        scene.finish(slurm, scene.claim(slurm))
        scene.claim(other)
        scene.claim(slurm)

        found = scene.store.find(SlurmCorrelation, Query(workflow=workflow)).items

        assert [(one.job_name, one.slurm_job_id) for one in found] == [("job0", "77"), ("job2", "77")]


def _node(scene: Scene, workflow: WorkflowId, **more: Any) -> Node:
    """A runner that registers the published way."""
    given = {"hostname": "n1", "pid": 7, "epoch": "", "boot_id": "", "process_start": 0, **more}
    size = Resources(cpus=4, memory=8 * 1024**3)
    (node,) = scene.store.add([Node(id=0, workflow_id=workflow, capacity=size, **given)])  # type: ignore[arg-type]  # a new one
    return node


def _scheduler(scene: Scene, workflow: WorkflowId) -> Any:
    return scene.store.find(SlurmScheduler, Query(workflow=workflow)).items[0].id


def _workers(scene: Scene, workflow: WorkflowId, *addresses: str) -> list[RemoteWorker]:
    return list(scene.store.add([RemoteWorker(workflow_id=workflow, worker=one) for one in addresses]))


def _stats(workflow: WorkflowId, job: JobId, rss: int) -> SlurmStats:
    return SlurmStats(workflow_id=workflow, job_id=job, run_id=0, attempt_id=1, max_rss_bytes=rss)
