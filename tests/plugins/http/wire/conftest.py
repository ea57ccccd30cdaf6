"""The application over a store in memory, without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from torc_core.testing.memory import MemoryStore
from torc_core.testing.plugin import SetClock
from torc_http.app import create_app
from torc_http.call import Service
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

BASE = "/torc-service/v1"
OLD = {"User-Agent": "OpenAPI-Generator/0.12.0/python"}


class Api:
    """Calls the application as a client would."""

    def __init__(self, app: Any, store: Any) -> None:
        self.app = app
        self.store = store
        self._client = falcon.testing.TestClient(app)

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> falcon.testing.Result:
        headers = dict(options.pop("headers", {}))
        raw = options.pop("raw", None)
        if body is not None or raw is not None:
            headers.setdefault("Content-Type", "application/json")
            raw = raw if raw is not None else json.dumps(body)
        return self._client.simulate_request(method, BASE + path, body=raw, headers=headers, **options)

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer of a call that has to succeed."""
        result = self.send(method, path, body, **options)
        assert result.status_code == 200, result.text
        return result.json

    def workflow(self, **more: Any) -> int:
        return self("POST", "/workflows", {"name": "w", "user": "ann", **more})["id"]

    def jobs(self, workflow: int, *names: str, **more: Any) -> list[int]:
        jobs = [{"workflow_id": workflow, "name": name, "command": "true", **more} for name in names]
        return [job["id"] for job in self("POST", "/bulk_jobs", {"jobs": jobs})["jobs"]]


@pytest.fixture
def api(clock: SetClock) -> Api:
    """Over a store in memory."""
    store = MemoryStore(clock)
    return Api(create_app(Service(store=store, clock=clock)), store)


@pytest.fixture(params=["memory", "sqlite"])
def each(request: pytest.FixtureRequest, clock: SetClock, tmp_path: Path) -> Iterator[Api]:
    """Over each of our stores."""
    store: Any = MemoryStore(clock)
    if request.param == "sqlite":
        store = open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)
    yield Api(create_app(Service(store=store, clock=clock)), store)
    store.close()
