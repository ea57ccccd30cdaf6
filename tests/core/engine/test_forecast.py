"""Forecasts: right in four of five cases, phase after phase, and silent where nothing can be said (OB5, OB7)."""

from __future__ import annotations

import heapq
from random import Random

import pytest

from torc_core.engine.forecast import Task, forecast, slots
from torc_core.model import Resources, Shape

JOBS, SLOTS, RUNS = 2_000, 32, 25


def test_the_true_end_lies_in_the_range_in_three_of_four_cases() -> None:
    inside = asked = 0
    for seed in range(RUNS):
        dice = Random(seed)
        spans = [dice.lognormvariate(3, 0.5) for _ in range(JOBS)]
        ends = [0.0] * SLOTS
        history = []
        for span in spans:
            begin = ends[0]
            heapq.heapreplace(ends, begin + span)
            history.append((begin, begin + span, span))
        over = max(ends)
        for share in (0.2, 0.4, 0.6, 0.8):
            now = sorted(end for _, end, _ in history)[int(JOBS * share)]
            done = [span for _, end, span in history if end <= now]
            running = sum(begin <= now < end for begin, end, _ in history)
            waiting = JOBS - len(done) - running
            found = forecast(
                {"work": Task(waiting=waiting, ready=waiting, running=running, slots=SLOTS, seconds=done)}
            )
            assert found is not None
            asked += 1
            inside += found.p10 <= over - now <= found.p90

    assert inside / asked >= 0.75, f"{inside} of {asked}"


def test_what_waits_for_all_of_others_comes_after_them() -> None:
    first = Task(waiting=40, ready=40, slots=4, seconds=[10.0] * 9)
    last = {"first": True}
    tasks = {"first": first, "last": Task(waiting=1, slots=4, seconds=[30.0] * 9, after=last)}

    found = forecast(tasks)

    assert found is not None
    assert found.p50 == pytest.approx(130)


def test_a_chain_takes_as_long_as_its_links_however_many_slots_there_are() -> None:
    chain = Task(waiting=99, ready=1, slots=64, seconds=[2.0] * 9, after={"link": False})

    found = forecast({"link": chain})

    assert found is not None
    assert found.p50 == pytest.approx(198)


def test_pairs_share_the_slots_without_waiting_for_each_other() -> None:
    tasks = {
        "one": Task(waiting=100, ready=100, slots=10, seconds=[5.0] * 9),
        "two": Task(waiting=100, slots=10, seconds=[5.0] * 9, after={"one": False}),
    }

    found = forecast(tasks)

    assert found is not None
    assert found.p50 == pytest.approx(100)


def test_what_was_declared_counts_as_long_as_nothing_is_known() -> None:
    found = forecast({"work": Task(waiting=100, ready=100, slots=10, declared=100)})

    assert found is not None
    assert found.p10 <= 700 <= found.p90


def test_what_fits_nowhere_has_no_end() -> None:
    tasks = {"small": Task(waiting=1, slots=4), "large": Task(waiting=1, slots=0)}

    assert forecast(tasks) is None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape(cpus=2, memory=10), 8),
        (Shape(cpus=1, memory=60), 2),
        (Shape(cpus=1, memory=10, gpus=1), 2),
        (Shape(nodes=2, memory=10), 1),
        (Shape(cpus=9, memory=10), 0),
    ],
)
def test_slots_are_what_fits_at_once(shape: Shape, expected: int) -> None:
    assert slots(shape, [(Resources(cpus=8, memory=100, gpus=1), 2)]) == expected


def test_jobs_that_took_no_time_at_all_are_no_harm() -> None:
    found = forecast({"work": Task(waiting=9, ready=9, running=4, slots=4, seconds=[0.0] * 9)})

    assert found is not None
    assert (found.p10, found.p50, found.p90) == (0, 0, 0)
