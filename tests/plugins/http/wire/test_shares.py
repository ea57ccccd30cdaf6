"""Long requests never take all threads (`promises.md` W2)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from falcon.testing import TestClient

from torc_core.store.patience import WRITER_PATIENCE
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plugin import SetClock
from torc_http.app import create_app
from torc_http.call import Call, Service
from torc_http.routes import Route
from torc_http.wire.fields import Anything


class Long:
    """A service with two routes that take until they are let go."""

    def __init__(self, clock: SetClock) -> None:
        self.go = threading.Event()
        self.inside = threading.Semaphore(0)
        routes = (
            Route(
                method="POST", path="/large", operation_id="large", access="read", handler=self._wait, body=Anything(),
                size="bulk", summary="Large.",
            ),
            Route(
                method="POST", path="/slow", operation_id="slow", access="read", handler=self._wait, slow=True,
                summary="Slow.",
            ),
            Route(method="GET", path="/short", operation_id="short", access="read", handler=lambda call: {}, summary=""),
        )  # fmt: skip
        self.app = create_app(Service(store=MemoryStore(clock), clock=clock, routes=routes))

    def _wait(self, call: Call) -> object:
        self.inside.release()
        self.go.wait(20)
        return {}

    def ask(self, method: str, path: str, size: int = 2) -> Any:
        threads = SimpleNamespace(workers=SimpleNamespace(count=16))
        return TestClient(self.app).simulate_request(
            method, f"/torc-service/v1{path}", body="{" + " " * (size - 2) + "}", extras={"torc.service": threads},
            headers={"Content-Type": "application/json"},
        )  # fmt: skip


@pytest.mark.parametrize(("path", "most"), [("/large", 8), ("/slow", 4)])
def test_a_part_of_the_threads_does_what_takes_long(clock: SetClock, path: str, most: int) -> None:
    service = Long(clock)
    with ThreadPoolExecutor(most) as pool:
        begun = [pool.submit(service.ask, "POST", path, 100_000) for _ in range(most)]
        for _ in begun:
            assert service.inside.acquire(timeout=10)

        refused, short = service.ask("POST", path, 100_000), service.ask("GET", "/short")
        service.go.set()

        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "under way" in refused.json["error"]["message"]
        assert short.status_code == 200
        assert {one.result().status_code for one in begun} == {200}
    assert service.ask("POST", path, 100_000).status_code == 200


def test_small_bodies_are_never_counted_as_large(clock: SetClock) -> None:
    service = Long(clock)
    with ThreadPoolExecutor(9) as pool:
        begun = [pool.submit(service.ask, "POST", "/large") for _ in range(9)]
        for _ in begun:
            assert service.inside.acquire(timeout=10)
        service.go.set()

        assert {one.result().status_code for one in begun} == {200}


def test_a_post_waits_longer_for_its_turn_to_write_than_others(clock: SetClock) -> None:
    """Nobody repeats it by itself (`wire.md` T7)."""
    routes = tuple(
        Route(
            method=method, path="/wait", operation_id=method, access="read", summary="",
            handler=lambda call: {"seconds": WRITER_PATIENCE.get()},
        )
        for method in ("POST", "PUT", "GET")
    )  # fmt: skip
    app = create_app(Service(store=MemoryStore(clock), clock=clock, routes=routes))

    told = [
        TestClient(app).simulate_request(one, "/torc-service/v1/wait").json for one in ("POST", "PUT", "GET")
    ]

    assert [one["seconds"] for one in told] == [20, 5, 5]
    assert WRITER_PATIENCE.get() is None
