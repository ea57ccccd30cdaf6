"""Who guesses waits longer and longer; who asks too often waits a little."""

from __future__ import annotations

import pytest

from torc_core.testing.plugin import SetClock
from torc_http.auth.limits import REMEMBERED, Failures, Rates


def test_five_failures_are_free_and_each_further_one_doubles_the_wait(clock: SetClock) -> None:
    failures, waits = Failures(clock), []

    for _ in range(15):
        waits.append(round(failures.wait("alice", "10.1.2.3")))
        clock.move(waits[-1])
        failures.failed("alice", "10.1.2.3")

    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_who_was_right_starts_anew(clock: SetClock) -> None:
    failures = Failures(clock)
    for _ in range(10):
        failures.failed("alice", "10.1.2.3")

    failures.succeeded("alice", "10.1.2.3")

    assert failures.wait("alice", "10.1.2.3") == 0


def test_others_do_not_wait_for_one_who_guesses(clock: SetClock) -> None:
    failures = Failures(clock)
    for _ in range(10):
        failures.failed("alice", "10.1.2.3")

    assert failures.wait("bob", "10.1.2.3") == 0
    assert failures.wait("alice", "10.1.2.4") == 0


def test_a_peer_that_tries_many_names_waits_whatever_the_name(clock: SetClock) -> None:
    failures = Failures(clock)
    for number in range(50):
        failures.failed(f"user{number}", "10.1.2.3")

    assert failures.wait("somebody", "10.1.2.3") == pytest.approx(60)
    assert failures.wait("somebody", "10.1.2.4") == 0
    clock.move(60)
    assert failures.wait("somebody", "10.1.2.3") == 0


def test_what_is_remembered_is_bounded(clock: SetClock) -> None:
    failures = Failures(clock)

    for number in range(REMEMBERED + 100):
        failures.failed(f"user{number}", f"peer{number}")

    assert len(failures._of) == len(failures._recent) == REMEMBERED


def test_requests_beyond_the_burst_wait_for_their_rate(clock: SetClock) -> None:
    rates = Rates(50, 200, clock)

    assert [rates.take("job") for _ in range(200)] == [0.0] * 200
    assert rates.take("job") == pytest.approx(0.02)
    assert rates.take("other") == 0
    clock.move(1)
    assert sum(rates.take("job") == 0 for _ in range(60)) == 50
