"""Every key of `[server]` does what it says (`cli.md` §7.2)."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import Any

import pytest

from tests.waiting import SOON

NODE = {
    "version": "1", "num_nodes": 1, "compute_node_type": "local", "hostname": "n1", "boot_id": "b", "pid": 1, "process_start": 1, "num_cpus": 4, "memory_gb": 8, "num_gpus": 0,
}  # fmt: skip


class Open:
    """A server that asks nobody who he is, so that a plain request will do."""

    def __init__(self, account: Any, **settings: object) -> None:
        env = {f"TORC_SERVER__{name.upper()}": str(value) for name, value in settings.items()}
        self.server = account.serve("--auth", "none", env=env)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and body of an answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=SOON) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with closing(error):
                return error.code, json.loads(error.read())

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        """The body of an answer that is good."""
        status, told = self.send(method, path, body)
        assert status == 200, told
        return told

    def workflow(self, jobs: int = 1) -> int:
        """An initialised workflow."""
        id = self("POST", "/workflows", {"name": "w", "user": "ada"})["id"]
        bodies = [{"workflow_id": id, "name": f"j{number}", "command": "true"} for number in range(jobs)]
        self("POST", "/bulk_jobs", {"jobs": bodies})
        self("POST", f"/workflows/{id}/initialize_jobs")
        return int(id)

    def events(self, workflow: int) -> list[str]:
        """The categories of its events."""
        listed = self("GET", f"/events?workflow_id={workflow}")
        return [one["data"].get("category", "user") for one in listed["items"]]

    def ends(self, workflow: int) -> None:
        """Run all of its jobs, by the published calls."""
        jobs = self("POST", f"/workflows/{workflow}/claim_next_jobs?limit=10000")["jobs"]
        results = [
            {
                "job_id": job["id"], "workflow_id": workflow, "run_id": 1, "attempt_id": 1, "return_code": 0,
                "exec_time_minutes": 0.1, "completion_time": "2026-05-01T00:00:00Z", "status": "completed",
                "compute_node_id": 1,
            }
            for job in jobs
        ]  # fmt: skip
        for one in results:
            self("POST", f"/jobs/{one['job_id']}/complete_job/completed/1", one)


def test_old_job_events_go_with_the_housekeeping(account) -> None:
    api = Open(account, events__keep_job_events=2, completion_check_interval_secs="0.2", sweep_seconds=1)
    workflow = api.workflow(jobs=5)

    api.ends(workflow)

    account.until(lambda: sum(one.startswith("job_") for one in api.events(workflow)) == 2)


def test_housekeeping_waits_as_long_as_it_is_told(account) -> None:
    """The first round is at the start; with an hour between two the events of a run are still there."""
    api = Open(account)
    earlier = api.workflow(jobs=5)
    api.ends(earlier)
    api.server.stop()
    api = Open(account, events__keep_job_events=2, completion_check_interval_secs="3600", sweep_seconds=1)
    account.until(lambda: sum(one.startswith("job_") for one in api.events(earlier)) == 2)
    workflow = api.workflow(jobs=5)

    api.ends(workflow)
    time.sleep(1.5)

    assert sum(one.startswith("job_") for one in api.events(workflow)) == 5


def test_events_of_old_days_go(account) -> None:
    """What was written before a day of the settings is gone; here the database is older than it says."""
    import sqlite3

    api = Open(account)
    workflow = api.workflow()
    api.server.stop()
    with closing(sqlite3.connect(account.database)) as database:
        database.execute("UPDATE event SET timestamp = timestamp - 2 * 86400000")
        database.commit()

    later = Open(account, events__keep_days=1, sweep_seconds=1)

    account.until(lambda: later.events(workflow) == [])


def test_debug_events_are_kept_where_they_are_wanted(account) -> None:
    api = Open(account, events__debug="true")
    workflow = api.workflow()

    api("POST", f"/workflows/{workflow}/claim_next_jobs")

    assert {"job_ready", "job_claimed"} <= set(api.events(workflow))


def test_claims_of_older_clients_run_out(account) -> None:
    api = Open(account, legacy_claim_seconds=1, sweep_seconds=1)
    workflow = api.workflow()
    (job,) = api("POST", f"/workflows/{workflow}/claim_next_jobs")["jobs"]

    account.until(lambda: api("GET", f"/jobs/{job['id']}")["status"] == "ready")


def test_runners_are_told_how_often_to_beat(account) -> None:
    api = Open(account, beat_seconds=7)
    workflow = api.workflow()

    node = api("POST", "/x/nodes", {**NODE, "workflow_id": workflow, "epoch": "e1"})
    beat = api("POST", f"/x/nodes/{node['node_id']}/beat", {"epoch": "e1", "held": [], "running": []})

    assert (node["beat_seconds"], beat["beat_seconds"]) == (7, 7)


def test_only_so_many_claims_are_held(account) -> None:
    """Further ones are answered at once, with a pause."""
    api = Open(account, held_claims=0)
    workflow = api("POST", "/workflows", {"name": "w", "user": "ada"})["id"]
    node = api("POST", "/x/nodes", {**NODE, "workflow_id": workflow, "epoch": "e1"})["node_id"]
    free = {"cpus": 4, "memory_bytes": 2**30, "gpus": 0}
    began = time.monotonic()

    claim = {"epoch": "e1", "claim_id": "c1", "limit": 1, "free": free, "wait_ms": 20_000}
    answer = api("POST", f"/x/nodes/{node}/claim", claim)

    assert time.monotonic() - began < 18
    assert answer["pause_ms"] >= 2_000


@pytest.mark.parametrize("key", ["streams", "streams_per_user"])
def test_only_so_many_streams_are_open(account, key: str) -> None:
    api = Open(account, **{key: 1})
    with urllib.request.urlopen(f"{api.server.url}/x/events/stream", timeout=SOON) as first:
        assert first.readline().startswith(b"retry")

        status, told = api.send("GET", "/x/events/stream")

    assert status == 503, told


def test_workflows_grow_no_further_than_the_limits(account) -> None:
    api = Open(account, limits__jobs_per_workflow=3, limits__user_events_per_workflow=2)
    workflow = api.workflow(jobs=2)
    jobs = [{"workflow_id": workflow, "name": f"more{number}", "command": "true"} for number in range(2)]

    too_many = api.send("POST", "/bulk_jobs", {"jobs": jobs})
    api("POST", "/bulk_jobs", {"jobs": jobs[:1]})
    written = [
        api.send("POST", "/events", {"workflow_id": workflow, "timestamp": 0, "data": {"n": n}})
        for n in range(3)
    ]

    assert too_many[0] == 422
    assert too_many[1]["error"]["message"] == (
        "jobs: workflow 1 has 2, and 2 more are above the limit of 3; make another workflow, or raise"
        " server.limits.jobs_per_workflow"
    )
    assert [status for status, _ in written] == [200, 200, 422], written
    assert "the limit is 2; remove some" in written[2][1]["error"]["message"]


def test_figures_can_be_switched_off(account) -> None:
    api = Open(account, metrics="false")
    address = api.server.url.removesuffix("/torc-service/v1")

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/metrics", timeout=SOON)

    with closing(refused.value):
        assert refused.value.code == 404


def test_bodies_are_as_large_as_they_may_be(account) -> None:
    api = Open(account, max_request_body_mb=1)

    with socket.create_connection(("127.0.0.1", api.server.port), timeout=SOON) as connection:
        head = (
            "POST /torc-service/v1/bulk_jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n"
        )
        connection.sendall(head.encode())
        told = connection.recv(4_096)

    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"1048576" in told


def test_browsers_come_under_further_names(account) -> None:
    api = Open(account, allow_hosts="torc.example.org")

    assert api.send("GET", "/workflows", Host="torc.example.org")[0] == 200
    assert api.send("GET", "/workflows", Host="evil.example.org")[0] == 403


def test_admins_of_the_settings_are_admins(account) -> None:
    server = account.serve(env={"TORC_SERVER__ADMIN_USERS": "bob,carol"})

    groups = account.answer("access-groups", "list", TORC_API_URL=server.url)["items"]
    (admin,) = [group for group in groups if group["name"] == "admin"]
    members = account.answer("access-groups", "list-members", str(admin["id"]), TORC_API_URL=server.url)

    assert sorted(one["user_name"] for one in members["items"]) == ["bob", "carol"]


def test_backups_are_made_every_so_often_and_old_ones_go(account) -> None:
    folder = account.root / "copies"
    env = {"TORC_SERVER_SNAPSHOT_PATH": str(folder), "TORC_SERVER_SNAPSHOT_KEEP": "1"}
    account.serve("--backup-every", "1s", env=env)

    account.until(lambda: list(folder.glob("torc-*Z.db")))
    first = min(folder.glob("torc-*Z.db"))
    account.until(lambda: len(found := list(folder.glob("torc-*Z.db"))) == 1 and found != [first])


def test_the_variables_of_the_published_server_are_taken(account) -> None:
    server = account.popen(
        "server", "run", "--port", "0", env={"DATABASE_URL": f"sqlite:{account.root}/x/y.db"}
    )
    assert server.stdout is not None
    server.stdout.readline()

    account.until(lambda: (account.root / "x/y.db").exists())
