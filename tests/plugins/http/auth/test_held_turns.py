"""Nobody ends what waits for a node, or says what it has, who may not speak for it (`security.md` Z1)."""

from __future__ import annotations

import pytest

from torc_core.model import Beat, Node, NodeId, Turn, WorkflowId
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


def test_a_turn_of_a_member_ends_what_is_held(rooms: Api, turns: Heard) -> None:
    node = node_of(rooms.store, WorkflowId(rooms.ours))

    assert say(rooms, "bob", node, node.epoch) == 200
    assert turns.ended == (node.id,)
