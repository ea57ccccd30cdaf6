"""`torc-slurm-job-runner` as a batch script calls it: its files, what it tells the store, and how it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE, until
from torc_core.model import Node, Query
from torc_core.system import SystemClock
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

NOWHERE = "http://127.0.0.1:9/torc-service/v1"
SLURM = {
    "SLURM_JOB_ID": "7", "SLURM_NODEID": "0", "SLURM_TASK_PID": "4711", "SLURM_CPUS_ON_NODE": "2", "SLURMD_NODENAME": "n1",
    "SLURM_MEM_PER_NODE": "500", "SLURM_JOB_NUM_NODES": "1", "SLURM_JWT": "s3cret", "SLURM_JOB_END_TIME": str(int(time.time()) + 3600),
}  # fmt: skip
RUNNER = "job_runner_slurm_wf{}_sl7_n0_pid4711.log"


class Place:
    """An account with a server, on a node."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "run").mkdir(mode=0o700)
        kept = {"HOME": str(root), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "USER": "ada"}
        self.env = {**kept, "XDG_RUNTIME_DIR": str(root / "run")}
        self.server: subprocess.Popen[bytes] | None = None
        self.processes: list[subprocess.Popen[bytes]] = []
        self.url = NOWHERE

    def serve(self) -> None:
        words = ["server", "run", "--port", "0", "--database", f"{self.root}/torc.db"]
        with (self.root / "server.log").open("w") as log:
            self.server = self.start(*words, stdout=log, stderr=log)
        until_says(self.root / "server.log", "/torc-service/v1\n")
        (self.url,) = re.findall("^TORC_API_URL=(.*)$", (self.root / "server.log").read_text(), re.MULTILINE)

    def start(self, *words: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "torc_core", *words]
        process = subprocess.Popen(
            command, cwd=self.root, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, **more
        )
        self.processes.append(process)
        return process

    def torc(self, *words: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
        process = self.start(
            *words,
            env={"TORC_API_URL": self.url, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = process.communicate(timeout=120)
        return process.returncode, out.decode(), err.decode()

    def run(self, workflow: int, *options: str, **environ: str) -> tuple[int, str, str]:
        words = ["slurm-job-runner", self.url, str(workflow), "out", "-p", "1", *options]
        return self.torc(*words, env={**SLURM, **environ})

    def workflow(self, jobs: list[dict[str, Any]], **more: Any) -> int:
        (self.root / "spec.json").write_text(json.dumps({"name": "w", "jobs": jobs, **more}))
        code, out, err = self.torc("create", "spec.json", "-f", "json")
        assert code == 0, err
        number = int(json.loads(out)["workflow_id"])
        assert self.torc("workflows", "initialize", str(number))[0] == 0
        return number

    def nodes(self, workflow: int) -> list[Node]:
        """The runners by the records; the server is ended for it."""
        assert self.server is not None
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(60)
        with closing(open_sqlite(f"sqlite://{self.root}/torc.db", SqliteSettings(), SystemClock())) as store:
            return list(store.find(Node, Query(workflow=workflow)).items)  # type: ignore[arg-type]  # an id


def until_says(log: Path, word: str) -> None:
    until(lambda: log.exists() and word in log.read_text())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def test_a_runner_tells_what_it_has_and_leaves_in_order_though_jobs_fail(place: Place) -> None:
    place.serve()
    number = place.workflow([{"name": "good", "command": "true"}, {"name": "bad", "command": "exit 3"}])

    code, out, err = place.run(number, SLURM_RESTART_COUNT="2")

    assert code == 0, err
    assert out == "left (complete); jobs here: 1 completed, 1 failed, 0 canceled, 0 terminated\n"
    log = (place.root / "out" / RUNNER.format(number)).read_text()
    assert "slurm_job_id=7" in log
    assert "runner_left" in log
    kept = (place.root / "out" / f"slurm_env_wf{number}_sl7_n0_pid4711.log").read_text()
    assert "SLURM_CPUS_ON_NODE=2\n" in kept
    assert "s3cret" not in kept
    (node,) = place.nodes(number)
    assert (node.type, node.capacity.cpus, node.capacity.memory, node.restart_count) == (
        "slurm",
        2,
        500 << 20,
        2,
    )
    assert (node.scheduler or {})["slurm_job_id"] == 7


def test_what_is_no_allocation_is_refused_by_name(place: Place) -> None:
    code, _, err = place.torc("slurm-job-runner", place.url, "1", "out")

    assert code == 2
    assert "SLURM_JOB_ID is not set" in err
    assert not (place.root / "out").exists()


def test_a_server_that_cannot_be_reached_is_waited_for_as_long_as_was_said(place: Place) -> None:
    code, _, err = place.run(1, "--wait-for-healthy-database-minutes", "0")

    assert code == 4, err
    assert "127.0.0.1:9" in err


def test_a_signal_ends_the_pause_before_the_first_contact(place: Place) -> None:
    words = ["slurm-job-runner", place.url, "1", "out", "--startup-delay-seconds", "100000000"]
    process = place.start(*words, env=SLURM)
    log = place.root / "out" / RUNNER.format(1)
    until_says(log, "startup delay")

    process.send_signal(signal.SIGTERM)

    assert process.wait(PATIENCE) == 143
    assert "signal number=15" in log.read_text()


def test_an_idle_runner_stays_for_a_job_that_waits_for_one_elsewhere(place: Place) -> None:
    place.serve()
    needs = {"resource_requirements": "short"}
    jobs = [
        {"name": "first", "command": "until [ -e go ]; do sleep 0.05; done", **needs},
        {"name": "second", "command": "true", "depends_on": ["first"], **needs},
    ]
    number = place.workflow(
        jobs, compute_node_wait_for_new_jobs_seconds=1,
        resource_requirements=[{"name": "short", "num_cpus": 1, "memory": "10m", "runtime": "PT10S"}],
    )  # fmt: skip
    words = ["slurm-job-runner", place.url, str(number), "out", "-p", "1"]
    logs = [place.root / "out" / RUNNER.format(number).replace("sl7", f"sl{one}") for one in (7, 8)]

    elsewhere = place.start(*words, env={**SLURM, "SLURM_JOB_ID": "8"})
    until_says(logs[1], "claimed")
    idle = place.start(*words, env=SLURM)
    until_says(logs[0], "awaiting")
    (place.root / "go").touch()

    assert (elsewhere.wait(60), idle.wait(60)) == (0, 0)
    said = logs[0].read_text()
    assert said.index("awaiting") < said.index("runner_left")
