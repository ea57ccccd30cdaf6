"""Routes declare who may use them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_http.app import create_app
from torc_http.call import Service
from torc_http.routes import ACCESS, all_routes


def test_every_route_declares_a_class() -> None:
    assert {route.access for route in all_routes()} <= set(ACCESS)


def test_a_route_without_a_class_keeps_the_application_from_being_made() -> None:
    routes = [replace(all_routes()[0], access="")]

    with pytest.raises(ValueError, match="declares class ''"):
        create_app(Service(store=MemoryStore(SystemClock()), routes=routes))


def test_only_ping_and_version_are_public() -> None:
    public = {route.path for route in all_routes() if route.access == "public" and not route.x}

    assert public == {"/ping", "/version"}


def test_bulk_routes_take_large_bodies_and_others_small_ones() -> None:
    app = create_app(Service(store=MemoryStore(SystemClock())))
    base = "/torc-service/v1"

    assert app.limit_of("POST", f"{base}/bulk_jobs") == 256 * 1024**2
    assert app.limit_of("POST", f"/t/token{base}/bulk_jobs") == 256 * 1024**2
    assert app.limit_of("POST", f"{base}/workflows/7/batch_complete_jobs") == 16 * 1024**2
    assert app.limit_of("POST", f"{base}/jobs") == 2 * 1024**2
    assert app.limit_of("GET", f"{base}/bulk_jobs") == 2 * 1024**2
