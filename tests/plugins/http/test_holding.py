"""What is found for a turn that is held goes to it, also when its end comes meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from torc_core.model import Assignment, NodeId, Offer, Orders, Turn, WorkflowId
from torc_core.protocols import Embedded
from torc_http.hub.turns import HeldTurns

SOON = 30.0
FOUND = cast("Sequence[Assignment]", ["a job"])


class Slow:
    """A store that finds a job, and takes its time."""

    def __init__(self) -> None:
        self.looks, self.goes_on = threading.Event(), threading.Event()

    def on_wake(self, callback: Any) -> None:
        self.wake = callback

    def try_turn(self, turn: Turn, *, again: bool = False) -> tuple[Orders, bool]:
        self.looks.set()
        self.goes_on.wait(SOON)
        return Orders(jobs=FOUND), True


class Request:
    """A request that waits elsewhere, and remembers its answer."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def answer(self, status: int, headers: Collection[Any], body: bytes) -> bool:
        self.answers.append(body)
        return True


def test_work_that_is_found_while_the_next_turn_comes_is_not_lost() -> None:
    store, request = Slow(), Request()
    held = HeldTurns(cast("Embedded", store))
    turn = Turn(node=NodeId(1), epoch="e", offer=Offer(claim_id="c", free=[], limit=1, wait_ms=20_000))

    held.hold(turn, WorkflowId(1), lambda orders: b"work" if orders.jobs else b"none", lambda **how: request)
    assert store.looks.wait(SOON)
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(held.end, NodeId(1))
        threading.Event().wait(0.2)
        store.goes_on.set()
        end.result(SOON)
    held.close()

    assert request.answers == [b"work"]


def test_a_turn_whose_place_another_takes_is_answered() -> None:
    store, requests = Slow(), [Request(), Request()]
    store.try_turn = lambda turn, again=False: (Orders(), False)  # type: ignore[method-assign]
    held = HeldTurns(cast("Embedded", store))
    turn = Turn(node=NodeId(1), epoch="e", offer=Offer(claim_id="c", free=[], limit=1, wait_ms=20_000))

    for request in requests:
        held.hold(turn, WorkflowId(1), lambda orders: b"none", lambda request=request, **how: request)

    assert [one.answers for one in requests] == [[b"none"], []]
    held.close()
    assert [one.answers for one in requests] == [[b"none"], [b"none"]]
