"""`torc submit`, `cancel` and `sync-status` on a real Slurm, with the server that an embedded store is given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from namespaces import until

if TYPE_CHECKING:
    from slurm import SlurmCluster

PROGRAMS = Path(sys.executable).parent
SPEC = """
name: staged
jobs:
  - {name: "part_{i}", command: "echo {i}", parameters: {i: "1:12"}, resource_requirements: small, scheduler: many}
  - {name: whole, command: "sleep 1", depends_on_regexes: ["part_.*"], resource_requirements: small, scheduler: one}
resource_requirements:
  - {name: small, num_cpus: 1, memory: 100m, runtime: PT1M}
slurm_schedulers:
  - {name: many, account: physics, walltime: "00:10:00", nodes: 2, mem: 1000M, extra: --exclusive}
  - {name: one, account: physics, walltime: "00:10:00", mem: 1000M, extra: --exclusive}
actions:
  - {trigger_type: on_workflow_start, action_type: schedule_nodes, scheduler: many, scheduler_type: slurm, num_allocations: 2,
     start_one_worker_per_node: true}
  - {trigger_type: on_jobs_ready, jobs: [whole], action_type: schedule_nodes, scheduler: one, scheduler_type: slurm}
compute_node_wait_for_new_jobs_seconds: 1
"""
LONG = """
name: long
jobs:
  - {name: "part_{i}", command: "exec sleep 600", parameters: {i: "1:2"}, resource_requirements: all, scheduler: s}
resource_requirements:
  - {name: all, num_cpus: 3, memory: 100m, runtime: PT5M}
slurm_schedulers:
  - {name: s, account: physics, walltime: "00:10:00", mem: 1000M, extra: --exclusive}
actions:
  - {trigger_type: on_workflow_start, action_type: schedule_nodes, scheduler: s, scheduler_type: slurm, num_allocations: 2}
"""


class Login:
    """An account on the login node."""

    def __init__(self, home: Path, cluster: SlurmCluster) -> None:
        self.home = home
        kept = {name: value for name, value in cluster.env.items() if not name.startswith(("TORC_", "XDG_"))}
        self.env = {
            **kept, "HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "TORC_CLIENT__HPC__HOSTNAME": cluster.address,
            "TORC_CLIENT__SLURM__STRICT_SCHEDULER_MATCH": "true",
        }  # fmt: skip
        (home / "run").mkdir(parents=True)
        (home / "staged.yaml").write_text(SPEC)
        (home / "long.yaml").write_text(LONG)

    def torc(self, *words: str, program: str = "torc") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAMS / program, *words],
            env=self.env,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def json(self, *words: str) -> Any:
        done = self.torc("-f", "json", *words)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def complete(self) -> bool:
        return bool(self.json("status", "last")["is_complete"])

    def allocations(self) -> list[tuple[str, str | None]]:
        return [
            (one["status"], one["reason"])
            for one in self.json("scheduled-compute-nodes", "list", "last")["items"]
        ]


@pytest.fixture
def login(slurm: SlurmCluster, tmp_path: Path) -> Iterator[Login]:
    made = Login(tmp_path / "home", slurm)
    yield made
    made.torc("stop", "--database", str(made.home / ".local/share/torc/torc.db"), program="torc-server")


def test_a_staged_workflow_runs_to_its_end(login: Login, slurm: SlurmCluster) -> None:
    told = login.json("submit", "staged.yaml", "-p", "1")
    until(login.complete, 120, "the end of the workflow")
    until(lambda: not slurm.run("squeue", "-h", "-o", "%A"), 60, "an empty queue")

    results = login.json("results", "list", "last")["items"]
    allocations = login.json("scheduled-compute-nodes", "list", "last")["items"]
    calls = [one["command"] for one in login.json("slurm", "rpc")["items"]]
    assert told["submitted"] == 2
    assert sorted(one["return_code"] for one in results) == [0] * 13
    # The last one was asked for by a runner, on a compute node, when its job became ready.
    assert [one["nodes"] for one in allocations] == [2, 2, 1]
    assert {one["status"] for one in allocations} == {"complete"}
    assert calls.count("sbatch") <= 3
    assert len([one for one in calls if one != "sbatch"]) <= 12


def test_a_canceled_workflow_leaves_nothing_in_the_queue(login: Login, slurm: SlurmCluster) -> None:
    login.json("submit", "long.yaml", "-p", "1")
    login.json("slurm", "schedule-nodes", "last", "-n", "1")
    until(lambda: login.json("status", "last")["jobs_by_status"]["running"] == 2, 90, "running jobs")

    off = login.json("cancel", "last", "--yes")
    until(lambda: not slurm.run("squeue", "-h", "-o", "%A"), 90, "an empty queue")

    # Runners that heard of it may have left by themselves before their allocations were called off.
    assert not off["errors"]
    assert {status for status, _ in login.allocations()} <= {"canceled", "complete"}
    assert len(login.allocations()) == 3


def test_jobs_of_a_node_that_died_are_found(login: Login, slurm: SlurmCluster) -> None:
    login.json("submit", "long.yaml", "-p", "1")
    until(lambda: login.json("status", "last")["jobs_by_status"]["running"] == 2, 90, "running jobs")
    numbers = slurm.run("squeue", "-h", "-o", "%A %N").splitlines()
    number, node = numbers[0].split()

    before = login.json("workflows", "sync-status", "last")
    slurm.fault(node, "crash")
    slurm.await_state(int(number), "NODE_FAIL", seconds=90)
    login.json("workflows", "sync-status", "last")

    assert (before["slurm_jobs_failed"], before["running_jobs_failed"]) == (0, 0)
    lost = [one for one in login.json("results", "list", "last")["items"] if one["reason"] == "node_lost"]
    assert [one["return_code"] for one in lost] == [-128]
    assert ("complete", "NODE_FAIL") in login.allocations()
