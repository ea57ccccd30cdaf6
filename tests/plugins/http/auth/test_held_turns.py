"""Nobody ends what waits for a node, or says what it has, who may not speak for it (`security.md` Z1)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from tests.waiting import SOON
from torc_core.errors import Unavailable
from torc_core.model import Beat, Node, NodeId, Offer, Orders, Resources, Turn, WorkflowId
from torc_http.app import create_app
from torc_http.call import Service
from torc_http.hub.turns import HeldTurns
from torc_http.wire import values

from .conftest import BASE, Api, Credential, basic, node_of


class Heard(HeldTurns):
    """Remembers whose turns were ended."""

    ended: tuple[NodeId, ...] = ()

    def end(self, node: NodeId) -> None:
        self.ended += (node,)


@pytest.fixture
def turns(rooms: Api) -> Heard:
    found = Heard(rooms.store)  # type: ignore[arg-type]  # this store is of this process
    service = Service(store=rooms.store, clock=rooms.clock, parts={"turns": found})
    rooms.call = rooms.security.front(create_app(rooms.security.complete(service)))
    return found


def say(rooms: Api, user: str, node: Node, epoch: str) -> int:
    turn = Turn(node=node.id, epoch=epoch, beat=Beat(held=[], running=[], number=9))
    body = values.dumps({"args": [turn], "named": {}})
    return rooms.ask("POST", f"{BASE}/x/store/turn", Credential(headers=basic(user)), body).status


@pytest.mark.parametrize(("user", "status"), [("eve", 404), ("dora", 403)])
def test_a_turn_of_somebody_else_touches_nothing_of_the_node(
    rooms: Api, turns: Heard, user: str, status: int
) -> None:
    node = node_of(rooms.store, rooms.ours)

    assert say(rooms, user, node, node.epoch) == status
    assert turns.ended == ()
    assert not turns.is_old(node.id, node.epoch, 9)


def test_a_claim_with_a_key_does_not_wait_for_those_who_wait_to_write(
    rooms: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldTurns(rooms.store)  # type: ignore[arg-type]  # this store is of this process
    service = Service(store=rooms.store, clock=rooms.clock, parts={"turns": held})
    rooms.call = rooms.security.front(create_app(rooms.security.complete(service)))
    node, looks, goes_on, told = node_of(rooms.store, rooms.ours), Event(), Event(), Event()
    taken: Any = rooms.store.try_turn  # type: ignore[attr-defined]  # as above

    def try_turn(turn: Turn, *, again: bool = False) -> Any:
        looks.set()
        goes_on.wait(SOON)
        return taken(turn, again=again)

    def later(**how: Any) -> Any:
        return SimpleNamespace(answer=lambda *said: told.set())

    monkeypatch.setattr(rooms.store, "try_turn", try_turn)
    free = Resources(cpus=1, memory=2**30)
    waits = Turn(node=node.id, epoch=node.epoch, offer=Offer(claim_id="c1", free=[free], wait_ms=20_000))
    held.hold(waits, rooms.ours, values.dumps, later)
    looks.wait(SOON)
    body = values.dumps({"args": [replace(waits, offer=Offer(claim_id="c2", free=[free]))], "named": {}})
    who = Credential(headers={**basic("bob"), "Idempotency-Key": "k"})
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(rooms.ask, "POST", f"{BASE}/x/store/turn", who, body)
        threading.Event().wait(0.3)
        goes_on.set()

        assert asked.result(SOON).status == 200
    assert told.wait(SOON)
    held.close()


def test_a_turn_of_a_member_ends_what_is_held(rooms: Api, turns: Heard) -> None:
    node = node_of(rooms.store, WorkflowId(rooms.ours))

    assert say(rooms, "bob", node, node.epoch) == 200
    assert turns.ended == (node.id,)


def test_a_beat_that_could_not_be_written_counts_when_it_comes_again(
    rooms: Api, turns: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = node_of(rooms.store, WorkflowId(rooms.ours))
    heard: list[Beat | None] = []
    taken = rooms.store.turn

    def busy(turn: Turn) -> Orders:
        raise Unavailable("others have been writing to the database for 20 s; try again")

    def told(turn: Turn) -> Orders:
        heard.append(turn.beat)
        return taken(turn)

    monkeypatch.setattr(rooms.store, "turn", busy)
    first = say(rooms, "bob", node, node.epoch)
    monkeypatch.setattr(rooms.store, "turn", told)
    second, third = (say(rooms, "bob", node, node.epoch) for _ in range(2))

    assert (first, second, third) == (503, 200, 200)
    assert [None if beat is None else beat.number for beat in heard] == [9, None]


def test_a_beat_that_could_not_be_written_does_not_count_after_a_later_one(turns: Heard) -> None:
    node = NodeId(1)

    turns.is_old(node, "e", 9)
    turns.is_old(node, "e", 10)
    turns.unheard(node, "e", 9)

    assert turns.is_old(node, "e", 9)
    assert turns.is_old(node, "e", 10)
