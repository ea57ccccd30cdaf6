"""While a run holds the default database, every other command finds it and just works."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from conftest import Torc


MARK = "touch begun; while [ ! -e other ]; do sleep 0.05; done"
"""A job that says that it runs, and ends when another run has ended."""


def spec(torc: Torc, name: str, jobs: list[dict[str, object]], **more: object) -> str:
    """Write a spec beside the others."""
    path = torc.folder / f"{name}.json"
    path.write_text(json.dumps({"name": name, "jobs": jobs, **more}))
    return str(path)


def until_exists(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait for a job to leave its mark."""

    def there() -> bool:
        found = path.exists()
        assert found or process.poll() is None, process.communicate()
        return found

    until(there)


def test_a_fresh_account_needs_no_server_and_no_configuration(torc: Torc) -> None:
    path = spec(torc, "one", [{"name": "a", "command": "echo hello"}])

    assert torc.json("workflows", "list")["items"] == []
    assert not (torc.home / ".local").exists()
    torc("run", path)

    database = torc.home / ".local/share/torc/torc.db"
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700
    assert (torc.folder / "torc_output/job_stdio/job_wf1_j1_r1_a1.o").read_text() == "hello\n"


def test_other_terminals_look_and_cancel_while_a_run_goes_on(torc: Torc) -> None:
    path = spec(
        torc, "long", [{"name": "a", "command": "touch here; sleep 300"}, {"name": "b", "command": "true"}]
    )
    run = torc.start("run", path, "--num-cpus", "1")
    until_exists(torc.folder / "here", run)

    status = torc.json("status", "last")
    jobs = torc.json("jobs", "list", "last")["items"]
    torc("cancel", "last", "--yes")

    assert status["jobs_by_status"]["running"] == 1
    assert {job["name"]: job["status"] for job in jobs}["a"] == "running"
    _, errors = run.communicate(timeout=PATIENCE)
    assert run.returncode == 7, errors
    assert torc.json("status", "last")["is_canceled"]
    results = torc.json("results", "list", "last")["items"]
    assert [result["status"] for result in results] == ["canceled"]


def test_two_runs_at_once_share_the_database(torc: Torc) -> None:
    first = spec(torc, "first", [{"name": "a_{i}", "command": "sleep 0.05", "parameters": {"i": "1:20"}},
                                 {"name": "mark", "command": MARK, "priority": 9}])  # fmt: skip
    second = spec(torc, "second", [{"name": "b_{i}", "command": "true", "parameters": {"i": "1:20"}}])
    one = torc.start("run", first, "--num-cpus", "1", "--memory-gb", "1")
    until_exists(torc.folder / "begun", one)

    torc("run", second, "--num-cpus", "1", "--memory-gb", "1")
    (torc.folder / "other").touch()

    _, errors = one.communicate(timeout=PATIENCE)
    assert one.returncode == 0, errors
    done = {w["name"]: w["id"] for w in torc.json("workflows", "list")["items"]}
    for name, jobs in (("first", 21), ("second", 20)):
        status = torc.json("status", str(done[name]))
        assert status["jobs_by_status"]["completed"] == jobs


def test_a_host_is_not_offered_twice(torc: Torc) -> None:
    path = spec(
        torc, "busy", [{"name": "a", "command": "touch here; while [ ! -e go ]; do sleep 0.02; done"}]
    )
    other = spec(torc, "other", [{"name": "x", "command": "true"}])
    run = torc.start("run", path)
    until_exists(torc.folder / "here", run)

    refused = torc("run", other, status=3)
    torc("run", other, "--num-cpus", "1", "--memory-gb", "1")
    (torc.folder / "go").touch()
    _, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == 0, errors
    assert f"(pid {run.pid}) holds all" in refused.stderr
    torc("run", other, "--new")


def test_workflows_created_beside_a_run_are_there_afterwards(torc: Torc) -> None:
    path = spec(
        torc, "busy", [{"name": "a", "command": "touch here; while [ ! -e go ]; do sleep 0.02; done"}]
    )
    other = spec(torc, "other", [{"name": "x", "command": "true"}])
    run = torc.start("run", path)
    until_exists(torc.folder / "here", run)

    created = torc.json("create", other)
    (torc.folder / "go").touch()
    _, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == 0, errors
    assert torc.json("workflows", "get", str(created["workflow_id"]))["name"] == "other"
    torc("run", str(created["workflow_id"]))
