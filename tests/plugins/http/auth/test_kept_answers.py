"""Answers under idempotency keys that hold a secret: given again, but never written down (`wire.md` T16, `security.md` O1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from torc_core.model import Query, Token
from torc_http.app import create_app
from torc_http.call import Service

from .conftest import BASE, Api, Credential, basic, node_of

KEY = {"Idempotency-Key": "once-1"}
ANN = Credential(headers=basic("ann"))


def token(api: Api, **body: Any) -> Any:
    return api.ask("POST", f"{BASE}/x/tokens", ANN, {"workflows": [1], **body}, **KEY)


def capability(api: Api, **body: Any) -> Any:
    return api.ask("POST", f"{BASE}/x/workflows/1/capabilities", ANN, {"access_class": "read", **body}, **KEY)


def claim(api: Api, **body: Any) -> Any:
    node = node_of(api.store, api.ours)
    free = {"cpus": 1, "memory_bytes": 2**30, "gpus": 0}
    told = {"epoch": node.epoch, "claim_id": "c1", "limit": 1, "free": free, **body}
    return api.ask("POST", f"{BASE}/x/nodes/{node.id}/claim", ANN, told, **KEY)


Ask = Callable[..., Any]


@pytest.mark.parametrize("ask", [token, capability, claim])
def test_an_answer_with_a_secret_is_given_again_and_kept_nowhere(rooms: Api, ask: Ask) -> None:
    first, second = ask(rooms), ask(rooms)

    assert (first.status, second.raw) == (200, first.raw)
    assert kept(rooms) == [""]


def test_what_was_made_with_a_key_is_made_once_even_by_the_next_process(rooms: Api) -> None:
    token(rooms)
    rooms.call = rooms.security.front(
        create_app(rooms.security.complete(Service(store=rooms.store, clock=rooms.clock)))
    )

    again = token(rooms)

    assert again.status == 409
    assert "its secret is told once; make a new key" in again.message
    assert len(rooms.store.find(Token, Query()).items) == 1


def test_a_key_that_made_a_secret_belongs_to_its_body(rooms: Api) -> None:
    token(rooms)

    assert token(rooms, access_class="read").status == 422


def kept(api: Api) -> list[str]:
    """The answers in the database."""
    with api.store._read() as tx:  # type: ignore[attr-defined]  # nothing in a store shows them
        return [answer for (answer,) in tx.free("SELECT answer FROM idempotency_key", ())]
