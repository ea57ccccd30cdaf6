"""A server over SQLite, spoken to in plain HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from torc_core.protocols import Clock, Store
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings


class Said(NamedTuple):
    """A status, and the JSON of the body, or its text."""

    status: int
    body: Any


class Api:
    """Asks as any program would; what is not 200 is an answer too."""

    def __init__(self, url: str, store: Store, folder: Path) -> None:
        self.url = url
        self.store = store
        self.folder = folder

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: Any = None, raw: bytes | None = None
    ) -> Said:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        base = self.url.removesuffix("/torc-service/v1") if path == "/metrics" else self.url
        request = urllib.request.Request(base + path, data, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Said(answer.status, _read(answer.read()))
        except urllib.error.HTTPError as error:
            with closing(error):
                return Said(error.code, _read(error.read()))

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        said = self.ask(method, path, body, **more)
        assert said.status in (200, 202), said
        return said.body

    def plan(self, *jobs: Any, **more: Any) -> Any:
        """Create and initialise a workflow of these jobs."""
        body = {
            "plan_version": 1,
            "create_id": f"c{next(_numbers)}",
            "workflow": {"name": "w"},
            "initialize": True,
        }
        return self("POST", "/x/plans?ids=true", {**body, "jobs": list(jobs), **more})

    def node(self, workflow: int, epoch: str = "e", **more: Any) -> Any:
        """Join with a node of four CPUs."""
        body = {
            "epoch": epoch, "workflow_id": workflow, "hostname": "n1", "boot_id": "b", "pid": 7, "process_start": 1,
            "num_cpus": 4, "memory_gb": 8, "num_gpus": 0, "num_nodes": 1, "compute_node_type": "local", "version": "1",
        }  # fmt: skip
        return self("POST", "/x/nodes", {**body, **more})


_numbers = iter(range(1, 10**9))


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


FREE = {"cpus": 4, "memory_bytes": 8 * 1024**3, "gpus": 0}


def result(job: Any, *, status: str = "completed", code: int = 0) -> dict[str, Any]:
    return {
        "job_id": job["id"], "run_id": job["run_id"], "attempt_id": job["attempt_id"], "lease": job["lease"],
        "status": status, "return_code": code, "exec_time_minutes": 0.5, "completion_time": "2026-05-01T14:03:22.120Z",
    }  # fmt: skip


@pytest.fixture
def api(tmp_path: Path, clock: Clock, serve: Any) -> Iterator[Api]:
    with (
        closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store,
        serve(store, clock) as url,
    ):
        yield Api(url, store, tmp_path)
