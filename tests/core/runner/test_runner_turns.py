"""When a runner speaks: ends wait for company as long as nobody waits for them, and one without room listens later."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from torc_core.errors import Unavailable, Unreached
from torc_core.model import (
    Assignment,
    Beat,
    Ending,
    Held,
    Job,
    JobId,
    JobStatus,
    Node,
    NodeId,
    Orders,
    RequirementId,
    Resources,
    Shape,
    Turn,
    Verdict,
    WorkflowId,
)
from torc_core.runner.attempt import Attempt
from torc_core.runner.caller import Answer
from torc_core.runner.lease import Lease
from torc_core.runner.ledger import Ledger
from torc_core.runner.options import Options
from torc_core.runner.report import End
from torc_core.runner.stock import Stock
from torc_core.runner.turns import FULL, LINGER, LONGEST_LINGER, Turns

SHAPE = Shape()


class Clock:
    def __init__(self) -> None:
        self.ids = count(1)

    def monotonic(self) -> float:
        return 0.0

    def uuid(self) -> str:
        # Every number once, all over the range.
        return f"{next(self.ids) * 0x9E3779B1 % 2**32:08x}"


class Line:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Turn] = []
        self.listens: list[Turn] = []
        self.send: Callable[[Turn], None] = self.sent.append
        self.listen: Callable[[Turn], None] = self.listens.append


class Desk:
    """A runner of one slot that is busy, with `due` jobs of a millisecond started ahead."""

    def __init__(self, due: int, **options: Any) -> None:
        clock: Any = Clock()
        self.line: Any = Line()
        self.ledger = Ledger(Resources(cpus=1, memory=2**40))
        self.stock = Stock()
        node = Node(
            id=NodeId(1), workflow_id=WorkflowId(1), epoch="e", hostname="h", pid=1, boot_id="b", process_start=1,
            capacity=Resources(cpus=1, memory=2**40), lease_seconds=1200, start_time=0,
        )  # fmt: skip
        self.stock.note(SHAPE, 0.001)
        self.stock.busy[SHAPE] = 1
        self.ledger.reserve(JobId(999), SHAPE)
        for number in range(due):
            self.stock.expect(attempt(number))
        lease = Lease(clock, node, 0.0)
        self.turns = Turns(
            self.line, clock, node, self.ledger, self.stock, Options(output_dir="o", **options), lease, Beat
        )
        self.turns.ask = False

    def end(self, number: int, now: float) -> None:
        given = attempt(number).given
        ending = Ending(
            job=given.job.id, run_id=1, attempt_id=1, lease="x", status=JobStatus.COMPLETED, return_code=0
        )
        self.turns.report([End(given=given, ending=ending, stdout=None, stderr=None)], now)

    def answer(self, now: float, sent_at: float) -> None:
        turn = self.line.sent[-1]
        orders = Orders(endings=[Verdict.DONE] * len(turn.endings), remaining=9)
        self.turns.settle(Answer(turn, orders, None, sent_at), now)


def attempt(number: int) -> Attempt:
    job = Job(
        id=JobId(number), workflow_id=WorkflowId(1), name="j", command="c", requirement_id=RequirementId(1)
    )
    held = Held(job=job.id, attempt_id=1, lease="x")
    return Attempt(Assignment(job=job, shape=SHAPE), held, None, None, "", delete_on_success=False)


def test_an_end_waits_for_company_while_there_are_successors() -> None:
    desk = Desk(due=192)
    desk.end(1, 1.0)

    desk.turns.speak(1.0 + LINGER / 2)
    early = len(desk.line.sent)
    desk.turns.speak(1.0 + LINGER)

    assert (early, len(desk.line.sent)) == (0, 1)


def test_an_end_is_told_at_once_when_successors_run_low() -> None:
    desk = Desk(due=3)
    desk.end(1, 1.0)

    desk.turns.speak(1.0)

    (turn,) = desk.line.sent
    assert len(turn.endings) == 1
    assert (turn.offer.ahead, turn.offer.start_ahead) == (189, 189)


@pytest.mark.parametrize(("took", "waits"), [(0.01, LINGER), (0.1, 0.1), (9.0, LONGEST_LINGER)])
def test_where_turns_take_long_ends_wait_as_long_for_company(took: float, waits: float) -> None:
    desk = Desk(due=192)
    desk.end(1, 1.0)
    desk.turns.speak(2.0)
    desk.answer(2.0 + took, sent_at=2.0)
    desk.end(2, 20.0)

    desk.turns.speak(20.0 + waits * 0.9)
    early = len(desk.line.sent)
    desk.turns.speak(20.0 + waits * 1.01)

    assert (early, len(desk.line.sent)) == (1, 2)


@pytest.mark.parametrize(("error", "most"), [(Unreached("refused"), 5.0), (Unavailable("no answer"), 30.0)])
def test_a_server_that_is_back_is_found_within_five_seconds_however_long_it_was_away(
    error: Unavailable, most: float
) -> None:
    desk = Desk(due=48)
    desk.end(1, 1.0)
    pauses, now = [], 1.0 + LINGER

    for _ in range(40):
        desk.turns.speak(now)
        desk.turns.settle(Answer(desk.line.sent[-1], None, error, now), now)
        again = desk.turns.next_time()
        assert again is not None
        pauses.append(again - now)
        now = again

    assert most / 2 < max(pauses) <= most


def pauses(orders: Orders) -> list[float]:
    """How long a runner waits between the answers and its next questions where turns are not held."""
    desk, now, found = Desk(due=0, poll_interval=1.0), 1.01, []
    desk.stock.busy.clear()
    desk.ledger.release(JobId(999))
    desk.turns.ask = True
    desk.turns.speak(1.0)
    desk.answer(now, sent_at=1.0)
    for _ in range(8):
        desk.turns.speak(now)
        desk.turns.settle(Answer(desk.line.listens[-1], orders, None, now), now)
        again = desk.turns.next_time()
        assert again is not None
        found.append(again - now)
        now = again
    assert len(desk.line.listens) == 8
    return found


def test_a_store_that_does_not_hold_turns_is_asked_ever_more_rarely() -> None:
    first, second, *others = pauses(Orders(remaining=9))

    assert first == 0
    assert 0.15 < second < 0.6
    assert all(0.75 < one < 1.25 for one in others[2:])


def test_a_store_that_wants_a_pause_gets_it_and_no_more() -> None:
    assert pauses(Orders(remaining=9, pause_ms=1_500)) == pytest.approx([1.5] * 8)


def test_a_runner_without_room_listens_a_little_later_and_one_with_room_at_once() -> None:
    desk = Desk(due=192)
    desk.end(1, 1.0)
    desk.turns.speak(2.0)
    desk.answer(2.01, sent_at=2.0)

    desk.turns.speak(2.02)
    early = len(desk.line.listens)
    desk.turns.speak(2.01 + FULL)

    assert (early, len(desk.line.listens)) == (0, 1)

    idle = Desk(due=0)
    idle.stock.busy.clear()
    idle.ledger.release(JobId(999))
    idle.turns.ask = True
    idle.turns.speak(1.0)
    idle.answer(1.01, sent_at=1.0)
    idle.turns.speak(1.01)

    assert len(idle.line.listens) == 1
