"""Allocations are submitted once, whatever becomes of the answers of sbatch (`slurm.md` §3)."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.engine.allocating import HELD_MS
from torc_core.errors import Unavailable
from torc_core.model import (
    ActionRun,
    Allocation,
    AllocationId,
    AllocationStatus,
    Query,
    SlurmScheduler,
    Workflow,
)
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.slurm import FakeSlurm
from torc_slurm.batch import SlurmBatch
from torc_slurm.recovering.providing import Wanted as Needed
from torc_slurm.recovering.serving import of_scheduler
from torc_slurm.scheduler.answers import Unclear
from torc_slurm.scheduler.slurm import LONGEST_SUBMISSION, Slurm
from torc_slurm.submission.due import RENEWAL, rearm_failed, schedulers_of
from torc_slurm.submission.holding import end_leftover
from torc_slurm.submission.submitting import Result
from torc_slurm.submission.telling import told

URL = "http://login.cluster:8085/torc-service/v1"
Make = Callable[..., Workflow]
UNSURE = "error: Unexpected message received"
"""A complaint that leaves everything open, and is no reason to ask less often."""


def rows(store: Store, workflow: Workflow) -> list[Allocation]:
    return list(store.find(Allocation, Query(workflow=workflow.id)).items)


def firing(store: Store, workflow: Workflow) -> ActionRun:
    (run,) = store.find(ActionRun, Query(workflow=workflow.id)).items
    return run


def test_what_is_due_is_submitted_and_known_by_its_numbers(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(3)

    done = batch.tend(workflow.id)
    again = batch.tend(workflow.id)

    assert [one.scheduler_id for one in done.submitted] == [job["id"] for job in slurm.jobs()]
    assert {one.status for one in rows(store, workflow)} == {AllocationStatus.PENDING}
    assert firing(store, workflow).state == "done"
    assert not again


def test_no_script_is_left_and_one_that_failed_is_kept(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make, tmp_path
) -> None:
    slurm.fault(
        "sbatch", "refuses", skip=1, message="sbatch: error: Batch job submission failed: Invalid account"
    )

    batch.tend(scheduled(3).id)

    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".sh"]


@pytest.mark.parametrize("fault", ["submits-then-fails", "submits-then-hangs", "submits-then-mumbles"])
def test_what_was_submitted_without_an_answer_is_found_not_repeated(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make, fault: str
) -> None:
    slurm.fault("sbatch", fault, skip=1)
    workflow = scheduled(3)

    done = batch.tend(workflow.id)

    assert len(slurm.jobs()) == 3
    assert sorted(one.scheduler_id or "" for one in rows(store, workflow)) == [
        job["id"] for job in slurm.jobs()
    ]
    assert len(done.submitted) == 3


@pytest.mark.parametrize("fault", ["silent", "fails", "hangs"])
def test_what_was_not_submitted_is_tried_again(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make, fault: str
) -> None:
    away = "sbatch: error: Batch job submission failed: Connection refused"
    slurm.fault("sbatch", fault, message={"silent": UNSURE, "fails": away}.get(fault, ""))
    workflow = scheduled(2)

    done = batch.tend(workflow.id)

    assert (len(done.submitted), len(slurm.jobs())) == (2, 2)


def test_nothing_is_concluded_from_a_queue_that_does_not_answer(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    slurm.fault("sbatch", "submits-then-fails")
    slurm.fault("squeue", "silent", times=4, message=UNSURE)
    workflow = scheduled(2)

    first = batch.tend(workflow.id)
    left = firing(store, workflow).state
    slurm.heal()
    second = batch.tend(workflow.id)

    assert (len(first.submitted), len(first.unclear), left) == (0, 2, "triggered")
    assert (len(second.submitted), len(slurm.jobs())) == (2, 2)


def test_a_refusal_is_told_in_the_words_of_sbatch_and_asked_once(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    cause = "Job violates accounting/QOS policy (QOSMaxSubmitJobPerUserLimit)"
    words = f"sbatch: error: Batch job submission failed: {cause}"
    slurm.fault("sbatch", "refuses", skip=2, times=9, message=words)
    workflow = scheduled(5)

    done = batch.tend(workflow.id)

    assert (len(done.submitted), len(done.refused)) == (2, 3)
    assert {one.reason for one in done.refused} == {words}
    assert len(slurm.calls("sbatch")) == 3
    assert firing(store, workflow).state == "failed"
    assert firing(store, workflow).error == f"submitted 2 of 5 allocations (sbatch: {cause})"


def test_only_one_of_many_executors_submits(
    store: Store, slurm: FakeSlurm, config: Config, scheduled: Make
) -> None:
    workflow = scheduled(4)
    each = [SlurmBatch(store, config, SystemClock(), URL) for _ in range(6)]
    threads = [threading.Thread(target=one.tend, args=(workflow.id,)) for one in each]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(slurm.jobs()) == 4
    assert firing(store, workflow).state == "done"


@pytest.mark.parametrize("rewrites", [False, True])
def test_serialised_allocations_share_a_name_and_are_found_all_the_same(
    store: Store, slurm: FakeSlurm, config: Config, scheduled: Make, tmp_path, rewrites: bool
) -> None:
    fake = FakeSlurm(slurm.folder, rewrites_comments=rewrites)
    fake.hold()
    fake.fault("sbatch", "submits-then-fails", skip=1)
    workflow = scheduled(3, fields={"serialize_allocations": True})

    done = SlurmBatch(store, config, SystemClock(), URL).tend(workflow.id)

    assert (len(done.submitted), len(fake.jobs())) == (3, 3)
    assert len({one.scheduler_id for one in done.submitted}) == 3
    assert {job["name"] for job in fake.jobs()} == {f"torc-wf{workflow.id}-s1"}
    assert {job["dependency"] for job in fake.jobs()} == {"singleton"}


def test_intents_without_an_action_are_submitted_by_who_finds_them(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(1)
    batch.tend(workflow.id)
    (scheduler,) = {one.scheduler_config_id for one in rows(store, workflow)}
    store.intend(workflow.id, "elsewhere", scheduler, 2, 1)

    held = batch.tend(workflow.id)

    assert not held
    assert len(slurm.jobs()) == 1


def test_without_an_address_for_other_hosts_nothing_is_taken(
    store: Store, slurm: FakeSlurm, config: Config, scheduled: Make
) -> None:
    workflow = scheduled(1)

    done = SlurmBatch(store, config, SystemClock(), "http://127.0.0.1:8080/torc-service/v1").tend(workflow.id)

    assert "cannot reach 'http://127.0.0.1:8080/torc-service/v1'" in done.waiting[0]
    assert not slurm.calls("sbatch")
    assert firing(store, workflow).state == "triggered"


def test_queued_allocations_that_nothing_needs_are_called_off(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(3)
    batch.tend(workflow.id)
    store.cancel(workflow.id)

    done = batch.tend(workflow.id)

    assert len(done.withdrawn) == 3
    assert {job["state"] for job in slurm.jobs()} == {"CANCELLED"}
    assert {one.status for one in rows(store, workflow)} == {AllocationStatus.CANCELED}
    assert len(slurm.calls("scancel")) == 1


def test_a_canceled_workflow_loses_what_runs_too(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(2)
    batch.tend(workflow.id)

    off = batch.withdraw(workflow.id, running=True, reason="canceled")

    assert list(off.numbers) == [job["id"] for job in slurm.jobs()]
    assert not off.errors


def test_ends_are_recorded_only_when_slurm_says_so(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(2)
    first, second = batch.tend(workflow.id).submitted
    slurm.end(first.scheduler_id or "", "NODE_FAIL")
    slurm.forget(second.scheduler_id or "")
    slurm.fault("sacct", "silent", message=UNSURE)

    silent = batch.sync(workflow.id)
    dry = batch.sync(workflow.id, dry_run=True)
    found = batch.sync(workflow.id)

    assert "sacct failed" in (silent.unanswered or "")
    assert [one.id for one in dry.cleaned] == [one.id for one in found.cleaned] == [first.id]
    assert [one.status for one in rows(store, workflow)] == [
        AllocationStatus.FAILED,
        AllocationStatus.PENDING,
    ]


def test_a_server_asks_once_a_minute_whatever_there_is(
    store: Store, slurm: FakeSlurm, config: Config, scheduled: Make
) -> None:
    """RB2: the questions do not grow with workflows, allocations or jobs."""
    from torc_http.tending import Tender

    clock = Leaping()
    batch = SlurmBatch(store, config, clock, URL)
    for _ in range(3):
        batch.tend(scheduled(2).id)
    before = len(slurm.calls())
    tender = Tender(store, clock, lambda: {"slurm": batch}, "ana", look=3600)
    tender.start()

    for _ in range(30):
        tender.look()
        clock.ahead += 10
    tender.close()

    calls = [words[0] for words in slurm.calls()[before:]]
    # In the first round nothing is old enough to be asked for.
    assert calls == ["squeue"] * 4


def test_an_intent_that_is_in_the_queue_is_submitted_whoever_looks(
    store: Store,
    slurm: FakeSlurm,
    batch: SlurmBatch,
    scheduled: Make,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    """SJ6: its client died between sbatch and the record of it."""
    workflow = scheduled(1)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    (intent,) = store.intend(workflow.id, "r", scheduler.id, 1, 1)
    script = tmp_path / "lost.sh"
    script.write_text(f"#!/bin/sh\n#SBATCH --comment=torc/{store.server_id}/{intent.submission_key}\n")
    subprocess.run(["sbatch", script], env=environ, check=True, capture_output=True)
    (job,) = slurm.jobs()

    dry = batch.sync(workflow.id, dry_run=True)
    before = store.get(Allocation, intent.id).scheduler_id
    batch.sync(workflow.id)
    known = store.get(Allocation, intent.id)

    assert (list(dry.cleaned), before) == ([], None)
    assert (known.scheduler_id, known.status) == (job["id"], AllocationStatus.PENDING)


class Leaping(SystemClock):
    """Some seconds ahead."""

    ahead = 0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def now(self) -> int:
        return super().now() + 1000 * self.ahead


def test_a_firing_that_is_tried_again_is_not_refused_by_a_queue_that_is_silent(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(3)
    slurm.fault("sbatch", "refuses", times=1)
    batch.tend(workflow.id)
    rearm_failed(store, workflow.id)
    slurm.fault("sbatch", "submits-then-fails")
    slurm.fault("squeue", "silent", skip=2, times=4, message=UNSURE)

    done = batch.tend(workflow.id)
    left = firing(store, workflow).state
    slurm.heal()
    batch.tend(workflow.id)

    assert (len(done.refused), len(done.unclear), left) == (0, 3, "triggered")
    assert len(slurm.jobs()) == 3


def test_a_folder_that_takes_no_scripts_is_told_and_nothing_stays_claimed(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make, tmp_path: Path
) -> None:
    workflow = scheduled(2)
    (tmp_path / "out").write_text("in the way")

    done = batch.tend(workflow.id)

    assert str(tmp_path / "out") in done.waiting[0]
    assert firing(store, workflow).state == "triggered"


def test_what_was_called_off_while_its_answer_was_awaited_leaves_the_queue(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(1)
    slurm.fault("sbatch", "submits-then-fails")
    slurm.fault("squeue", "silent", times=4, message=UNSURE)
    batch.tend(workflow.id)

    off = batch.withdraw(workflow.id, running=True, reason="canceled")

    (job,) = slurm.jobs()
    assert (off.numbers, job["state"]) == ([job["id"]], "CANCELLED")


def test_what_may_be_queued_is_not_to_be_asked_for_by_hand_again(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(1)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    slurm.fault("sbatch", "submits-then-fails")
    slurm.fault("squeue", "silent", times=4, message=UNSURE)

    results = batch.submit_intents(workflow, "me", store.intend(workflow.id, "me", scheduler.id, 2, 1))

    text = str(told(workflow.id, results, schedulers_of(store, workflow.id), by_hand="short").text)
    assert "2 may be in the queue" in text
    assert "schedule-nodes" not in text


def test_what_is_called_off_while_it_is_submitted_is_told_as_such(
    store: Store, slurm: FakeSlurm, config: Config, scheduled: Make
) -> None:
    workflow = scheduled(3)

    def off(result: Result) -> None:
        batch.withdraw(workflow.id, running=True, reason="canceled")

    batch = SlurmBatch(store, config, SystemClock(), URL, told=off)
    results = batch.submit(workflow)

    assert [one.allocation.status for one in results] == [
        AllocationStatus.PENDING,
        *[AllocationStatus.CANCELED] * 2,
    ]
    assert len(slurm.calls("sbatch")) == 1
    assert "2 called off meanwhile" in str(told(workflow.id, results, {}).text)


def test_what_is_called_off_while_it_is_submitted_by_hand_is_told_as_such(
    store: Store, slurm: FakeSlurm, config: Config, scheduled: Make
) -> None:
    workflow = scheduled(1)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items

    def off(result: Result) -> None:
        batch.withdraw(workflow.id, running=True, reason="canceled")

    batch = SlurmBatch(store, config, SystemClock(), URL, told=off)
    results = batch.submit_intents(workflow, "me", store.intend(workflow.id, "me", scheduler.id, 3, 1))

    assert len(slurm.calls("sbatch")) == 1
    assert "2 called off meanwhile" in str(told(workflow.id, results, {}, by_hand="short").text)


def test_what_turns_out_to_be_queued_is_not_submitted_again(
    store: Store, slurm: FakeSlurm, config: Config, scheduled: Make
) -> None:
    """SJ5: its runner has joined before we try again."""
    workflow = scheduled(1)
    slurm.fault("sbatch", "silent", message=UNSURE)

    def wait(seconds: float) -> None:
        (row,) = rows(store, workflow)
        store.submitted(row.id, row.submission_key, "4711")

    done = SlurmBatch(store, config, SystemClock(), URL, wait=wait).tend(workflow.id)

    assert [one.scheduler_id for one in done.submitted] == ["4711"]
    assert len(slurm.calls("sbatch")) == 1


def test_what_was_called_off_during_its_sbatch_leaves_the_queue_though_slurm_hesitates(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = scheduled(1)
    slurm.fault("scancel", "silent", message=UNSURE)
    known = store.submitted

    def late(allocation: AllocationId, key: str, number: str) -> Allocation:
        store.withdrawn(allocation, "canceled")
        return known(allocation, key, number)

    monkeypatch.setattr(store, "submitted", late)
    batch.tend(workflow.id)

    assert [job["state"] for job in slurm.jobs()] == ["CANCELLED"]


def test_sbatch_has_ended_before_others_may_take_over(
    slurm: FakeSlurm, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = LONGEST_SUBMISSION + RENEWAL
    monkeypatch.setattr("torc_slurm.scheduler.slurm.LONGEST_SUBMISSION", 0.2)
    slurm.fault("sbatch", "hangs")

    told = Slurm.of(config, SystemClock(), limit=600).sbatch(str(tmp_path / "any.sh"))

    assert isinstance(told, Unclear)
    assert 1000 * within < HELD_MS


def test_what_a_recovery_asks_of_an_existing_scheduler_is_submitted_at_once(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make
) -> None:
    workflow = scheduled(1)
    batch.tend(workflow.id)
    slurm.end("1001", "TIMEOUT")
    batch.sync(workflow.id)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    session: Any = SimpleNamespace(store=lambda: store)

    done = of_scheduler(session, batch, scheduler, 2)(workflow.id, Needed())

    assert (done.intended, len(done.tended.submitted), len(slurm.jobs())) == (2, 2, 3)


def test_who_reads_a_script_is_not_taken_for_its_submission(tmp_path: Path) -> None:
    folder = tmp_path / "sbatch-runs"
    folder.mkdir()
    (folder / "wf1_0123.sh").touch()
    reader = subprocess.Popen(["tail", "-f", folder / "wf1_0123.sh"])
    submission = subprocess.Popen(
        ["bash", "-c", "sleep 60; :", "/site/bin/sbatch.real", folder / "wf1_0123.sh"]
    )
    time.sleep(0.3)

    ended = end_leftover("wf1_0123.sh")

    alive = reader.poll() is None
    for one in (reader, submission):
        one.kill()
        one.wait()
    assert (alive, ended) == (True, 1)


def test_nothing_stays_claimed_where_the_store_fails_in_between(
    store: Store, slurm: FakeSlurm, batch: SlurmBatch, scheduled: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = scheduled(1)
    (scheduler,) = store.find(SlurmScheduler, Query(workflow=workflow.id)).items
    store.intend(workflow.id, "elsewhere", scheduler.id, 1, 1)

    def fails(*args: object) -> list[Allocation]:
        raise Unavailable("away")

    monkeypatch.setattr(store, "take_intents", fails)
    with pytest.raises(Unavailable):
        batch.tend(workflow.id)

    assert firing(store, workflow).state == "triggered"


def test_what_a_late_sbatch_has_queued_twice_is_called_off(
    store: Store,
    slurm: FakeSlurm,
    batch: SlurmBatch,
    scheduled: Make,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    """A submission that was given up, and looked for in vain, may come into the queue all the same."""
    workflow = scheduled(1)
    (known,) = batch.tend(workflow.id).submitted
    script = tmp_path / "late.sh"
    script.write_text(f"#!/bin/sh\n#SBATCH --comment=torc/{store.server_id}/{known.submission_key}\n")
    subprocess.run(["sbatch", script], env=environ, check=True, capture_output=True)

    batch.sync(workflow.id, dry_run=True)
    before = [job["state"] for job in slurm.jobs()]
    asked = len(slurm.calls("squeue"))
    batch.sync(workflow.id)

    assert before == ["PENDING", "PENDING"]
    assert [job["state"] for job in slurm.jobs()] == ["PENDING", "CANCELLED"]
    assert len(slurm.calls("squeue")) == asked + 1
