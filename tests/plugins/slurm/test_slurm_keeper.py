"""Ready jobs that have no allocation and will get none are given some, once, and not for ever (PL22)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from torc_core.config import Config
from torc_core.model import Allocation, Job, NewNode, Query, Resources, SlurmScheduler, Workflow
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.slurm import FakeSlurm
from torc_slurm.batch import SlurmBatch

Make = Callable[..., Workflow]
URL = "http://login.cluster:8085/torc-service/v1"


@pytest.fixture
def stranded(store: Store, batch: SlurmBatch, slurm: FakeSlurm, scheduled: Make) -> Workflow:
    """A workflow whose only allocation has ended while its jobs, bound to a scheduler, are ready."""
    workflow = scheduled(1, jobs=3)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    for job in store.find(Job, Query(workflow=workflow.id)).items:
        store.change(Job, job.id, {"scheduler_id": scheduler.id})
    batch.tend(workflow.id)
    slurm.end("1001", "TIMEOUT")
    batch.sync(workflow.id)
    return workflow


def test_what_is_lacking_is_asked_for_once(batch: SlurmBatch, slurm: FakeSlurm, stranded: Workflow) -> None:
    done = batch.tend(stranded.id)
    again = batch.tend(stranded.id)

    # Of a node that nobody has seen each job may need all: three jobs of a minute, one after the other in 10 minutes.
    assert (len(done.submitted), len(again.submitted)) == (1, 0)
    assert len(slurm.jobs()) == 2


def test_many_who_see_it_ask_for_the_same(
    store: Store, config: Config, slurm: FakeSlurm, stranded: Workflow
) -> None:
    each = [SlurmBatch(store, config, SystemClock(), URL) for _ in range(5)]
    threads = [threading.Thread(target=one.tend, args=(stranded.id,)) for one in each]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(slurm.jobs()) == 2


def test_two_who_see_it_in_different_minutes_ask_for_the_same(
    store: Store, config: Config, slurm: FakeSlurm, stranded: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has looked before the other has asked, and asks after the minute is over."""
    early, late = Later(), Later()
    late.minutes = 1
    first, second = SlurmBatch(store, config, early, URL), SlurmBatch(store, config, late, URL)
    intend = store.intend

    def after_the_other(*args: object) -> object:
        monkeypatch.setattr(store, "intend", intend)
        second.tend(stranded.id)
        return intend(*args)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr(store, "intend", after_the_other)
    first.tend(stranded.id)

    assert len(slurm.jobs()) == 2


def test_a_scheduler_is_topped_up_once_in_a_minute(
    batch: SlurmBatch, slurm: FakeSlurm, stranded: Workflow
) -> None:
    (asked,) = batch.tend(stranded.id).submitted
    slurm.end(asked.scheduler_id or "", "FAILED")
    batch.sync(stranded.id)

    again = batch.tend(stranded.id)

    assert not again.submitted


def test_a_server_tops_up_what_its_last_allocation_has_left(
    store: Store, config: Config, slurm: FakeSlurm, stranded: Workflow
) -> None:
    """Its runner has closed the allocation before the server looked again."""
    from torc_http.tending import Tender

    clock = Later()
    batch = SlurmBatch(store, config, clock, URL)
    tender = Tender(store, clock, lambda: {"slurm": batch}, "ana", look=3600)
    tender.start()

    for _ in range(3):
        tender.look()
        clock.minutes += 1
    tender.close()

    assert len(slurm.jobs()) == 2


def test_allocations_that_were_called_off_use_up_no_node_hours(
    store: Store, config: Config, slurm: FakeSlurm, scheduled: Make
) -> None:
    capped = config.over({"client.slurm.max_node_hours": (0.5, "test")})
    batch = SlurmBatch(store, capped, SystemClock(), URL)
    workflow = scheduled(5, jobs=3)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    for job in store.find(Job, Query(workflow=workflow.id)).items:
        store.change(Job, job.id, {"scheduler_id": scheduler.id})
    batch.tend(workflow.id)
    batch.withdraw(workflow.id, running=True, reason="not wanted")

    done = batch.tend(workflow.id)

    assert (len(done.submitted), list(done.waiting)) == (1, [])


def test_what_several_schedulers_lack_is_within_the_node_hours_together(
    store: Store, config: Config, slurm: FakeSlurm, stranded: Workflow
) -> None:
    (short,) = store.find(SlurmScheduler, Query(workflow=stranded.id)).items
    (long,) = store.add([replace(short, name="long")])
    last = store.find(Job, Query(workflow=stranded.id)).items[-1]
    store.change(Job, last.id, {"scheduler_id": long.id})
    batch = SlurmBatch(store, config.over({"client.slurm.max_node_hours": (0.2, "test")}), SystemClock(), URL)

    done = batch.tend(stranded.id)

    assert len(done.submitted) == 1
    assert "0.2 of 0.2 are used or asked for" in done.waiting[0]


def test_a_scheduler_that_is_not_to_be_topped_up_is_left_alone(
    store: Store, batch: SlurmBatch, slurm: FakeSlurm, stranded: Workflow
) -> None:
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=stranded.id)).items
    store.change(SlurmScheduler, scheduler.id, {"fields": {**scheduler.fields, "auto_top_up": False}})

    assert not batch.tend(stranded.id)


def test_jobs_that_would_not_fit_are_told_not_submitted(
    store: Store, batch: SlurmBatch, slurm: FakeSlurm, stranded: Workflow
) -> None:
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=stranded.id)).items
    store.change(SlurmScheduler, scheduler.id, {"fields": {**scheduler.fields, "walltime": "00:03:00"}})

    done = batch.tend(stranded.id)

    assert not done
    assert "torc slurm regenerate" in done.waiting[0]


def test_allocations_that_end_before_a_runner_comes_are_not_asked_for_for_ever(
    store: Store, config: Config, slurm: FakeSlurm, stranded: Workflow
) -> None:
    clock = Later()
    batch = SlurmBatch(store, config, clock, URL)
    for _ in range(9):
        clock.minutes += 1
        batch.tend(stranded.id)
        for job in slurm.jobs():
            slurm.end(job["id"], "FAILED")
        batch.sync(stranded.id)

    done = batch.tend(stranded.id)

    assert len(store.find(Allocation, Query(workflow=stranded.id)).items) == 3
    assert "ended before a runner came" in done.waiting[0]


def test_refusals_are_told_as_refusals(
    store: Store, config: Config, slurm: FakeSlurm, stranded: Workflow
) -> None:
    clock = Later()
    batch = SlurmBatch(store, config, clock, URL)
    slurm.fault(
        "sbatch", "refuses", times=99, message="sbatch: error: Batch job submission failed: Invalid account"
    )
    for _ in range(5):
        clock.minutes += 1
        done = batch.tend(stranded.id)

    assert len(slurm.calls("sbatch")) == 3
    assert "Slurm refuses allocations of scheduler 'short'" in done.waiting[0]
    assert "Invalid account" in done.waiting[0]


def test_what_an_action_will_ask_for_is_left_to_it(
    store: Store, batch: SlurmBatch, slurm: FakeSlurm, scheduled: Make
) -> None:
    workflow = scheduled(2, jobs=3)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    for job in store.find(Job, Query(workflow=workflow.id)).items:
        store.change(Job, job.id, {"scheduler_id": scheduler.id})

    batch.tend(workflow.id)

    assert len(slurm.jobs()) == 2


@pytest.mark.parametrize(("asked", "left"), [(8, 1), (1, 1)])
def test_a_surplus_that_is_certain_leaves_the_queue(
    store: Store, batch: SlurmBatch, slurm: FakeSlurm, scheduled: Make, asked: int, left: int
) -> None:
    """UQ2: three jobs of a minute need a part of one allocation of ten minutes, and eight wait."""
    workflow = scheduled(asked + 1, jobs=3)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    for job in store.find(Job, Query(workflow=workflow.id)).items:
        store.change(Job, job.id, {"scheduler_id": scheduler.id})
    first = batch.tend(workflow.id)
    unseen = list(first.withdrawn)
    store.join(
        NewNode(
            workflow_id=workflow.id, epoch="e", hostname="n1", pid=1, boot_id="b", process_start=1,
            submission_key=first.submitted[0].submission_key, capacity=Resources(cpus=4, memory=2**33), output_dir="/x",
        )
    )  # fmt: skip

    done = batch.tend(workflow.id)

    assert unseen == []
    assert len(done.withdrawn) == asked - left
    assert [one.id for one in done.withdrawn] == [one.id for one in first.submitted[1 + left :]]


class Later(SystemClock):
    """Minutes ahead."""

    minutes = 0

    def now(self) -> int:
        return super().now() + self.minutes * 60_000

    def monotonic(self) -> float:
        return super().monotonic() + self.minutes * 60
