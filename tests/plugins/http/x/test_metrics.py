"""`GET /metrics`, and routes of plugins."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pluggy
import pytest

import torc_http
from tests.plugins.http.x.conftest import FREE, Api, result
from tests.waiting import SOON, is_quick
from torc_core import hookimpl
from torc_core.errors import PluginError
from torc_core.model import AccessGroup, Query, Workflow
from torc_core.protocols import Store
from torc_http import plugged
from torc_http.auth.settings import AuthSettings
from torc_http.call import Call
from torc_http.figures import Figures
from torc_http.program.backups import Backups
from torc_http.routes import Route
from torc_http.running import Running
from torc_http.serving.listening import listen
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

JOBS = int(os.environ.get("TORC_PLAN_JOBS", "2000"))
LINE = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+(inf)?')


def figures(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            assert LINE.fullmatch(line), line
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def test_figures_are_text_that_prometheus_reads_without_any_name(api: Api) -> None:
    plan = api.plan({"name": "secret-name", "command": "true"}, {"name": "b", "command": "true"})
    workflow = plan["workflow_id"]
    node = api.node(workflow, hostname="secret-host")["node_id"]
    claim = {"epoch": "e", "claim_id": "c", "limit": 1, "free": FREE}
    (job,) = api("POST", f"/x/nodes/{node}/claim", claim)["jobs"]
    api("POST", f"/x/nodes/{node}/finish", {"epoch": "e", "results": [result(job, status="failed", code=3)]})

    text = api("GET", "/metrics")

    found = figures(text)
    assert "secret" not in text
    assert found[f'torc_jobs{{workflow="{workflow}",status="failed"}}'] == 1
    assert found[f'torc_workflow_remaining_jobs{{workflow="{workflow}"}}'] == 1
    assert found[f'torc_job_completions_total{{workflow="{workflow}",status="failed"}}'] == 1
    assert found['torc_job_failures_total{reason="exit_code"}'] == 1
    assert found['torc_claims_total{outcome="given"}'] == found["torc_claim_jobs_total"] == 1
    assert found['torc_http_requests_total{route="node_join",method="POST",code="200"}'] == 1
    assert found['torc_compute_nodes{state="active"}'] == 1
    assert (
        found['torc_http_request_seconds_bucket{route="node_join",le="+Inf"}']
        == found['torc_http_request_seconds_count{route="node_join"}']
    )
    assert found["process_resident_memory_bytes"] > 0


def test_a_scrape_is_quick(api: Api) -> None:
    api.plan(*[{"name": f"j{k}", "command": "true"} for k in range(JOBS)])
    api("GET", "/metrics")

    def scraped() -> float:
        began = time.perf_counter()
        api("GET", "/metrics")
        return time.perf_counter() - began

    assert is_quick(scraped, 0.05, goes=100)


@contextmanager
def serving(tmp_path: Path, clock: Any, **more: Any) -> Iterator[Api]:
    with closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as store:
        running = Running(store, clock, listen(port=0, unix=False), environ={"HOME": str(tmp_path)}, **more)
        running.start()
        try:
            yield Api(running.urls[0], store, tmp_path)
        finally:
            running.close()


def test_figures_ask_for_an_admin_or_for_their_token(tmp_path: Path, clock: Any) -> None:
    token = tmp_path / "token"
    token.write_text("figures-token\n")
    auth = AuthSettings(owner="ann", mode="credentials", host="h")
    parts = {"metrics": Figures(token_file=str(token), database=tmp_path / "torc.db")}
    with serving(tmp_path, clock, auth=auth, parts=parts) as api:
        nobody = api.ask("GET", "/metrics")
        wrong = api.ask("GET", "/metrics", headers={"Authorization": "Bearer other"})
        right = api.ask("GET", "/metrics", headers={"Authorization": "Bearer figures-token"})
        elsewhere = api.ask("GET", "/workflows", headers={"Authorization": "Bearer figures-token"})

    assert [one.status for one in (nobody, wrong, right, elsewhere)] == [401, 401, 200, 401]
    assert figures(right.body)["torc_db_bytes"] > 0


def test_figures_can_be_switched_off(tmp_path: Path, clock: Any) -> None:
    with serving(tmp_path, clock, parts={"metrics": Figures(enabled=False)}) as api:
        assert api.ask("GET", "/metrics").status == 404


def test_a_backup_is_a_whole_database_in_the_folder_of_the_configuration(tmp_path: Path, clock: Any) -> None:
    backups = Backups(str(tmp_path / "copies"), None, 3)
    with serving(tmp_path, clock, parts={"backups": backups}) as api:
        workflow = api.plan({"name": "a", "command": "true"})["workflow_id"]
        backups.start(api.store, tmp_path / "torc.db")

        told = api("POST", "/x/admin/backup")

    with closing(open_sqlite(f"sqlite://{told['path']}", SqliteSettings(), clock)) as copy:
        assert copy.get(Workflow, workflow).name == "w"
    assert Path(told["path"]).parent == tmp_path / "copies"


class Watching(Backups):
    """Notes before each copy whether others can write."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), None, 3)
        self.wrote: list[bool] = []

    def start(self, store: Store, path: Path) -> None:
        super().start(store, path)
        self._store = store

    def make(self) -> Path:
        note = AccessGroup(name=f"before{len(self.wrote)}")
        writer = threading.Thread(target=self._store.add, args=([note],), daemon=True)
        writer.start()
        writer.join(SOON)
        self.wrote.append(not writer.is_alive())
        return super().make()


def test_others_write_while_a_backup_is_made_that_was_asked_for_with_a_key(
    tmp_path: Path, clock: Any
) -> None:
    backups = Watching(tmp_path / "copies")
    with serving(tmp_path, clock, parts={"backups": backups}) as api:
        backups.start(api.store, tmp_path / "torc.db")

        first, again = (api("POST", "/x/admin/backup", headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert backups.wrote == [True]
    assert first == again


class Greeting:
    """A plugin with a route below the base and one beside it."""

    def __init__(self, *routes: Route) -> None:
        self._routes = routes

    @hookimpl
    def torc_http_routes(self) -> Iterable[Route]:
        return self._routes


def greet(call: Call) -> object:
    return {"hello": call.principal.name, "workflows": call.store.find(Workflow, Query()).total}


@pytest.fixture
def plugin() -> Iterator[Any]:
    def load(*routes: Route) -> None:
        manager = pluggy.PluginManager("torc")
        torc_http.torc_addhooks(manager)
        manager.register(Greeting(*routes))

    yield load
    plugged.remember(pluggy_without_plugins())


def pluggy_without_plugins() -> Any:
    manager = pluggy.PluginManager("torc")
    torc_http.torc_addhooks(manager)
    return manager


def route(path: str, name: str, **more: Any) -> Route:
    return Route(
        method="GET", path=path, operation_id=name, access="user", handler=greet, summary="Greet.", **more
    )


def test_a_plugin_adds_routes(tmp_path: Path, clock: Any, plugin: Any) -> None:
    plugin(route("/x/greeting", "greet"))

    with serving(tmp_path, clock) as api:
        assert api("GET", "/x/greeting") == {"hello": "owner", "workflows": 0}
        assert "/x/greeting" in api("GET", "/openapi.json")["paths"]


def test_a_plugin_that_takes_a_route_of_ours_is_told(plugin: Any) -> None:
    plugin(route("/ping", "mine"))

    with pytest.raises(PluginError, match=r"mine \(GET /ping\) is there twice"):
        plugged.routes()
