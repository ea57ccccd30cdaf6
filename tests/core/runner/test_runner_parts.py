"""The pure parts of the runner: ledger, stock, outcome, output search, places."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torc_core.model import (
    Assignment,
    Held,
    Job,
    JobId,
    JobStatus,
    Output,
    RequirementId,
    Resources,
    Shape,
    WorkflowId,
)
from torc_core.protocols import Exit
from torc_core.runner.attempt import Attempt
from torc_core.runner.ledger import Ledger
from torc_core.runner.outcome import Cause, beyond_runtime, outcome
from torc_core.runner.outputs import Search
from torc_core.runner.place import Place, process_start
from torc_core.runner.stock import Stock

SHAPES = st.builds(
    Shape,
    cpus=st.integers(1, 5),
    memory=st.integers(1, 50),
    gpus=st.integers(0, 3),
    nodes=st.sampled_from([1, 1, 1, 2, 3]),
)


@settings(max_examples=200, deadline=None)
@given(
    nodes=st.integers(1, 4),
    steps=st.lists(st.tuples(st.booleans(), SHAPES, st.integers(0, 3)), max_size=60),
)
def test_a_ledger_is_never_over_capacity_and_gets_everything_back(nodes, steps) -> None:
    capacity = Resources(cpus=4, memory=40, gpus=3)
    ledger = Ledger(capacity, ["a", "b", "c"], nodes=nodes)
    empty = ledger.free()
    held = {}
    for number, (take, shape, node) in enumerate(steps):
        if take:
            slot = ledger.reserve(JobId(number), shape, node)
            if slot is not None:
                held[number] = slot
        elif held:
            job = min(held)
            ledger.release(JobId(job))
            del held[job]
        for position, free in enumerate(ledger.free()):
            here = [slot for slot in held.values() if position in slot.nodes]
            used = sum(capacity.cpus if slot.shape.nodes > 1 else slot.shape.cpus for slot in here)
            assert free.cpus == capacity.cpus - used >= 0
            assert free.memory >= 0
            ids = [one for slot in here if slot.nodes[0] == position for one in slot.gpus]
            assert len(ids) == len(set(ids))
            assert not [slot for slot in here if slot.shape.nodes > 1] or len(here) == 1
    for job in held:
        ledger.release(JobId(job))

    assert ledger.free() == empty


def test_the_lowest_free_devices_are_taken() -> None:
    ledger = Ledger(Resources(cpus=9, memory=9, gpus=3), ["a", "b", "c"])
    shape = Shape(memory=1, gpus=1)
    first, second = (ledger.reserve(JobId(number), shape) for number in (1, 2))
    ledger.release(JobId(1))

    third = ledger.reserve(JobId(3), replace(shape, gpus=2))

    assert first is not None and first.gpus == ("a",)
    assert second is not None and second.gpus == ("b",)
    assert third is not None and third.gpus == ("a", "c")


def test_a_job_is_reserved_once() -> None:
    ledger = Ledger(Resources(cpus=2, memory=9))

    assert ledger.reserve(JobId(1), Shape(memory=1)) is not None
    assert ledger.reserve(JobId(1), Shape(memory=1)) is None


def test_queue_depth_counts_and_nothing_else() -> None:
    ledger = Ledger(Resources(cpus=1, memory=1), limit=2)
    huge = Shape(cpus=99, memory=99, gpus=9)

    taken = [ledger.reserve(JobId(number), huge) is not None for number in (1, 2, 3)]

    assert taken == [True, True, False]
    assert ledger.free() == (Resources(cpus=1, memory=1),)


def attempt(number: int, shape: Shape) -> Attempt:
    job = Job(
        id=JobId(number), workflow_id=WorkflowId(1), name="j", command="c", requirement_id=RequirementId(1)
    )
    held = Held(job=job.id, attempt_id=1, lease="x")
    return Attempt(Assignment(job=job, shape=shape), held, None, None, "", delete_on_success=False)


def stock(mean: float, busy: int) -> Stock:
    one = Stock()
    one.note(Shape(), mean)
    one.busy[Shape()] = busy
    return one


def test_long_jobs_are_not_held_ahead() -> None:
    assert stock(2.0, 4).wanted([]) == (0, 0, [])


def test_of_unknown_jobs_none_is_held_ahead() -> None:
    one = Stock()
    one.busy[Shape()] = 4

    assert one.wanted([]) == (0, 0, [])


def test_one_job_is_started_ahead_for_each_slot() -> None:
    assert stock(0.1, 3).depth(Shape()) == 3


def test_of_very_short_jobs_more_are_started_ahead_but_within_bounds() -> None:
    assert stock(0.04, 2).depth(Shape()) == 26
    assert stock(0.005, 2).depth(Shape()) == 200
    assert stock(0.0001, 1).depth(Shape()) == 192
    assert stock(0.0001, 20).depth(Shape()) == 384


def test_very_short_jobs_are_all_started_with_the_claim_and_of_others_some_are_only_held() -> None:
    assert stock(0.005, 2).wanted([]) == (200, 200, [Shape()])
    assert stock(0.1, 3).wanted([]) == (9, 3, [Shape()])


def test_what_is_at_hand_is_not_asked_for_again() -> None:
    one = stock(0.1, 3)
    one.hold(attempt(1, Shape()))
    one.expect(attempt(2, Shape()))

    assert one.wanted([attempt(3, Shape())]) == (6, 1, [Shape()])


def test_what_is_started_ahead_starts_in_the_order_in_which_it_came() -> None:
    one = stock(0.1, 2)
    for number in (1, 2, 3):
        one.hold(attempt(number, Shape()))
    full = Ledger(Resources())

    for job in one.promote(full):
        one.expect(job)

    assert [one.successor(Shape()).held.job for _ in range(2)] == [1, 2]
    assert one.successor(Shape()) is None


def test_jobs_with_devices_cannot_take_each_others_place() -> None:
    one = Stock()

    assert (one.line(Shape(gpus=1)), one.line(Shape(nodes=2)), one.line(Shape())) == (0, 0, 1)


def test_real_time_signals_are_named_by_their_number() -> None:
    assert outcome(Exit(job=JobId(1), return_code=-40), None).reason == "signal:40"


@pytest.mark.parametrize(
    ("seconds", "limit", "told"),
    [
        (2.04, 2, "2 s of 2 s"),
        (4.0, 2, "4 s of 2 s"),
        (1_860, 1_800, "31 min of 30 min"),
        (1.93, 2, "2 s of 2 s"),
    ],
)
def test_what_is_told_of_a_runtime_is_never_less_than_the_limit(seconds, limit, told) -> None:
    # The time of a job counts from when it is started on record, which is a moment before its process begins.
    assert beyond_runtime(seconds, limit) == told


def test_a_job_that_ends_well_after_our_signal_did_not_complete() -> None:
    end = Exit(job=JobId(1), return_code=0)

    assert outcome(end, Cause.INTERRUPTED)[:2] == (JobStatus.TERMINATED, 0)
    assert outcome(end, Cause.CANCELED)[:2] == (JobStatus.CANCELED, 0)


def test_a_job_whose_end_nobody_saw_is_terminated() -> None:
    assert outcome(Exit(job=JobId(1), return_code=-9, lost=True), None).reason == "runner_died"


def test_what_could_not_start_before_its_runner_had_to_leave_has_not_failed() -> None:
    end = Exit(job=JobId(1), return_code=-15, error="spawn_failed: EAGAIN")

    assert outcome(end, Cause.INTERRUPTED) == (JobStatus.TERMINATED, -15, "interrupted")
    assert outcome(end, Cause.WALLTIME) == (JobStatus.TERMINATED, -15, "walltime")
    assert outcome(end, Cause.CANCELED) == outcome(end, None) == (JobStatus.FAILED, 125, end.error)


def test_outputs_are_looked_for_after_the_seconds_of_the_reference(tmp_path) -> None:
    search = Search(str(tmp_path), 100.0, [Output(file=1, name="o", path="o")])
    looks = []
    search.look()
    while (due := search.next_look) is not None:
        looks.append(round(due - 100, 3))
        search.look()

    assert looks == [0.2, 0.5, 1.0, 2.0, 5.0]
    assert search.missing == ["o (o)"]


def test_directories_and_targets_of_links_are_outputs_and_dangling_links_are_not(tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "good").symlink_to("file")
    (tmp_path / "bad").symlink_to("nowhere")
    names = ("folder", "good", "bad")
    search = Search(
        str(tmp_path), 0, [Output(file=number, name=name, path=name) for number, name in enumerate(names)]
    )

    search.look()

    assert search.missing == ["bad (bad)"]
    assert [one.file for one in search.fingerprints] == [0, 1]


def test_an_output_that_cannot_be_looked_at_is_missing_with_the_error(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    search = Search(str(tmp_path), 0, [Output(file=1, name="o", path="file/inside")])

    search.look()

    assert search.missing == ["o (file/inside: ENOTDIR)"]


def test_a_place_is_gone_when_its_process_has_ended() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        place = replace(Place.here(), pid=process.pid, start=process_start(process.pid))
        alive = place.gone
        process.kill()

    assert (alive, place.gone, Place.here().gone) == (False, True, False)


def test_a_place_on_another_host_is_never_proven_dead() -> None:
    assert not replace(Place.here(), hostname="elsewhere", pid=4194305).gone


def test_a_place_before_the_last_boot_is_gone() -> None:
    assert replace(Place.here(), boot_id="another").gone
    assert os.getpid() == Place.here().pid
