"""One function over many hosts: order, failures, how many at once, and how fast they start."""

from __future__ import annotations

import threading

import pytest

from tests.waiting import SOON
from torc_core.errors import NotFound
from torc_ssh import fleet
from torc_ssh.fleet import Pace, over, waiting
from torc_ssh.trouble import Unreachable


def test_results_come_in_the_order_of_the_list() -> None:
    last_first = [threading.Event() for _ in range(5)]

    def act(number: int) -> int:
        if number < 4:
            assert last_first[number + 1].wait(SOON)
        last_first[number].set()
        return number * number

    outcomes = over(range(5), act, parallel=5)

    assert [(one.host, one.result) for one in outcomes] == [(number, number * number) for number in range(5)]


def test_what_fails_on_one_host_stops_no_other() -> None:
    def act(host: str) -> str:
        if host == "bad":
            raise Unreachable("bad", "Connection refused")
        return host.upper()

    first, bad, last = over(["a", "bad", "b"], act)

    assert (first.result, last.result) == ("A", "B")
    assert not bad.ok
    assert str(bad.error) == "SSH connection failed to bad: Connection refused"
    with pytest.raises(Unreachable):
        _ = bad.result


def test_every_error_of_ours_is_an_outcome() -> None:
    def act(host: str) -> None:
        raise NotFound("no such thing")

    (outcome,) = over(["a"], act)

    assert isinstance(outcome.error, NotFound)


def test_hosts_that_show_no_sign_of_life_do_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "SILENCE", 0.01)
    all_others = threading.Barrier(6)
    at_once: list[int] = []
    having = threading.Semaphore(2)

    def act(host: str) -> str:
        with waiting():
            if host == "dead":
                all_others.wait(SOON)  # not before every other host has had its turn
        assert having.acquire(blocking=False), "more than two have their turn"
        at_once.append(1)
        having.release()
        if host != "dead" and len(at_once) == 20:
            threading.Thread(target=all_others.wait, args=(SOON,), daemon=True).start()
        return host

    outcomes = over([*["dead"] * 5, *["well"] * 20], act, parallel=2)

    assert [one.result for one in outcomes] == [*["dead"] * 5, *["well"] * 20]


def test_who_is_to_be_begun_first_is() -> None:
    begun: list[int] = []

    outcomes = over([1, 2, 3, 4], begun.append, parallel=1, first=lambda host: -host)

    assert begun == [4, 3, 2, 1]
    assert [one.host for one in outcomes] == [1, 2, 3, 4]


def test_a_bug_is_raised() -> None:
    ended: list[int] = []

    def act(number: int) -> None:
        ended.append(1 // number)

    with pytest.raises(ZeroDivisionError):
        over([0, 1, 1], act)
    assert ended == [1, 1]


def test_no_more_than_so_many_are_at_work() -> None:
    lock, at_work, most = threading.Lock(), 0, 0
    full = threading.Barrier(3)

    def act(number: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        full.wait(SOON)
        with lock:
            at_work -= 1

    over(range(9), act, parallel=3)

    assert most == 3


def test_it_is_told_how_many_have_ended() -> None:
    told: list[tuple[int, int]] = []

    over(range(3), lambda number: number, progress=lambda ended, of: told.append((ended, of)))

    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_interrupt_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()
    begun: list[int] = []

    def act(number: int) -> None:
        begun.append(number)
        if number == 1:
            forever.wait(60)

    def interrupted(ended: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        over([0, 1, 2, 3, 4], act, parallel=1, progress=interrupted)

    assert begun in ([0], [0, 1])
    forever.set()


def test_nobody_is_nobody() -> None:
    assert over([], lambda host: host) == []


class Clock:
    """Time that passes only when somebody pauses."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds


def test_starts_are_spread() -> None:
    clock = Clock()
    pace = Pace(10, clock.now, clock.pause)
    starts = []
    for _ in range(35):
        pace.wait("bastion")
        starts.append(clock.time)

    for begin in starts:
        assert sum(begin <= start < begin + 1 for start in starts) <= 10
    assert clock.time == pytest.approx(103)


def test_hosts_do_not_wait_for_each_other() -> None:
    clock = Clock()
    pace = Pace(1, clock.now, clock.pause)

    for number in range(50):
        pace.wait(f"host{number}")

    assert clock.time == 100
