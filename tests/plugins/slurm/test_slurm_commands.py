"""`torc submit` and its neighbours, with a server of their own and a small Slurm whose jobs are real runners."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torc_core.main import main
from torc_core.testing.slurm import FakeSlurm

SPEC = """
name: sweep
jobs:
  - name: "part_{i}"
    command: echo {i}
    parameters: {i: "1:4"}
    resource_requirements: small
    scheduler: short
  - name: whole
    command: echo whole
    depends_on_regexes: ["part_.*"]
    resource_requirements: small
    scheduler: long
resource_requirements:
  - {name: small, num_cpus: 1, memory: 100m, runtime: PT1M}
slurm_schedulers:
  - {name: short, account: physics, walltime: "00:10:00", nodes: 2}
  - {name: long, account: physics, walltime: "00:20:00"}
actions:
  - {trigger_type: on_workflow_start, action_type: schedule_nodes, scheduler: short, scheduler_type: slurm, num_allocations: 2,
     start_one_worker_per_node: true}
  - {trigger_type: on_jobs_ready, jobs: [whole], action_type: schedule_nodes, scheduler: long, scheduler_type: slurm}
execution_config: {staggered_start: false}
compute_node_wait_for_new_jobs_seconds: 1
"""


class Site:
    """An account on a login node: its home, its Slurm, and `torc`."""

    def __init__(self, home: Path, slurm: FakeSlurm, run: Callable[..., tuple[int, str, str]]) -> None:
        self.home = home
        self.slurm = slurm
        self.torc = run

    @property
    def database(self) -> Path:
        return self.home / ".local/share/torc/torc.db"

    def json(self, *words: str) -> Any:
        code, out, err = self.torc("-f", "json", *words)
        assert code in (0, 1), err
        return json.loads(out)

    def until(self, true: Callable[[], bool]) -> None:
        for _ in range(600):
            if true():
                return
            threading.Event().wait(0.1)
        raise AssertionError("it does not come true")


@pytest.fixture
def site(tmp_path: Path, slurm: FakeSlurm, environ: dict[str, str], monkeypatch, capfd) -> Iterator[Site]:
    import psutil

    addresses = [
        one for found in psutil.net_if_addrs().values() for one in found if one.family.name == "AF_INET"
    ]
    outside = next((one.address for one in addresses if not one.address.startswith("127.")), None)
    assert outside is not None, "this machine has no address but loopback"
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith(("TORC_", "XDG_", "SLURM_"))]:
        monkeypatch.delenv(name)
    settings = {
        "HOME": str(home), "USER": "ana", "PATH": environ["PATH"], "XDG_RUNTIME_DIR": environ["XDG_RUNTIME_DIR"],
        "TORC_CLIENT__HPC__HOSTNAME": outside, "TORC_CLIENT__SLURM__SUBMIT_PER_MINUTE": "100000",
        "TORC_CLIENT__SLURM__RPC_PER_MINUTE": "100000", "TORC_CLIENT__SLURM__STRICT_SCHEDULER_MATCH": "true",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home)
    (home / "sweep.yaml").write_text(SPEC)

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return code, out, err

    made = Site(home, slurm, run)
    yield made
    program = Path(sys.executable).with_name("torc-server")
    subprocess.run([program, "stop", "--database", made.database], capture_output=True, check=False)


def test_a_workflow_is_submitted_and_runs_to_its_end(site: Site) -> None:
    first = site.json("submit", "sweep.yaml", "-o", "out", "-p", "1")
    again = site.torc("submit", "last")
    site.slurm.hold(on=False)
    site.until(lambda: bool(site.json("status", "last")["is_complete"]))

    assert (first["intended"], first["submitted"], first["failed"]) == (2, 2, 0)
    assert [one["slurm_job_id"] for one in first["allocations"]] == ["1001", "1002"]
    assert again[0] == 0
    assert "already submitted: 2 allocations (2 queued)" in again[1]
    results = site.json("results", "list", "last")["items"]
    assert sorted(one["return_code"] for one in results) == [0] * 5
    # The second scheduler's allocation was asked for by a runner, when the last job became ready.
    assert [job["nodes"] for job in site.slurm.jobs()] == [2, 2, 1]
    assert (site.home / "out").is_dir()
    assert not list((site.home / "out").glob("*.sh"))


def test_a_submission_that_was_interrupted_goes_on_where_it_was(site: Site, monkeypatch) -> None:
    monkeypatch.setenv("TORC_LAUNCHERS__SLURM__LOOK_UP_SECONDS", "0.1")
    site.slurm.fault("sbatch", "submits-then-hangs", skip=1)
    words = [sys.executable, "-m", "torc_core", "submit", "sweep.yaml", "-o", "out"]
    first = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    site.until(lambda: len(site.slurm.jobs()) == 2)

    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=30)
    again = site.json("submit", "last", "-o", "out")

    assert (first.returncode, out) == (130, "")
    assert "interrupted; to go on: torc submit 1" in err
    assert [one["slurm_job_id"] for one in again["allocations"]] == ["1002"]
    assert again["already_submitted"] == 1
    assert len(site.slurm.jobs()) == 2


def test_lists_and_explanations_say_why_allocations_wait(site: Site) -> None:
    site.json("submit", "sweep.yaml", "-o", "out")
    site.slurm.expect("1001", 2_000_000_000.0, "QOSMaxNodePerUserLimit")
    site.slurm.expect("1002", 2_000_000_600.0, "Resources")

    items = site.json("scheduled-compute-nodes", "list", "last")["items"]
    table = site.torc("scheduled-compute-nodes", "list", "last")[1]
    one = site.json("scheduled-compute-nodes", "get", str(items[0]["id"]))
    why = site.json("explain", "last")["reasons"][0]

    assert [(one["reason"], one["estimated_start"]) for one in items] == [
        ("QOSMaxNodePerUserLimit", "2033-05-18T03:33:20.000Z"), ("Resources", "2033-05-18T03:43:20.000Z"),
    ]  # fmt: skip
    assert "QOSMaxNodePerUserLimit" in table
    assert one["estimated_start"] == "2033-05-18T03:33:20.000Z"
    assert "it would use more nodes than allowed for its QOS" in why["text"]
    # All of them together asked once.
    assert len(site.slurm.calls("squeue")) == 1


def test_a_dry_run_shows_the_scripts_and_changes_nothing(site: Site) -> None:
    code, out, _ = site.torc("submit", "sweep.yaml", "--dry-run")
    told = site.json("submit", "sweep.yaml", "--dry-run", "--max-parallel-jobs", "3")

    assert code == 0
    assert out.startswith("would submit 2 allocations now (4 runners")
    assert "#SBATCH --nodes=2" in out
    assert (told["intended"], told["later"], told["node_hours"]) == (2, 1, 1.0)
    assert "--max-parallel-jobs 3" in told["requests"][0]["script"]
    assert not site.database.exists()
    assert not site.slurm.calls()
    assert not (site.home / "torc_output").exists()


def test_a_dry_run_of_a_workflow_writes_nothing_into_the_store(site: Site) -> None:
    site.torc("create", "sweep.yaml")
    before = dump(site)

    told = site.json("submit", "last", "--dry-run")
    more = site.json(
        "slurm",
        "schedule-nodes",
        "last",
        "--scheduler",
        "short",
        "-n",
        "10",
        "--start-one-worker-per-node",
        "--dry-run",
    )

    assert dump(site) == before
    assert (told["intended"], more["intended"], more["runners"]) == (2, 10, 20)
    assert not site.slurm.calls("sbatch")


def test_nodes_are_asked_for_by_hand_and_called_off_with_the_workflow(site: Site) -> None:
    site.torc("create", "sweep.yaml")

    asked = site.json("slurm", "schedule-nodes", "last", "--scheduler", "long", "-n", "2", "-j", "my-")
    pruned = site.json("slurm", "prune", "last", "--dry-run")
    listed = site.json("scheduled-compute-nodes", "list", "last")["items"]
    off = site.json("cancel", "last", "--yes")

    assert [one["status"] for one in asked["allocations"]] == ["pending", "pending"]
    assert [job["name"].rpartition("_")[0] for job in site.slurm.jobs()] == ["my-wf1", "my-wf1"]
    assert pruned["canceled_slurm_jobs"] == []
    assert [one["scheduler_id"] for one in listed] == ["1001", "1002"]
    assert off["canceled_slurm_jobs"] == ["1001", "1002"]
    assert {job["state"] for job in site.slurm.jobs()} == {"CANCELLED"}


def test_nodes_for_a_workflow_without_work_are_asked_for_with_a_warning(site: Site) -> None:
    site.torc("create", "sweep.yaml")

    code, _, early = site.torc("slurm", "schedule-nodes", "1", "--scheduler", "short")
    begun, _, _ = site.torc(*early.partition("before torc ")[2].split()[:4])
    _, _, ready = site.torc("slurm", "schedule-nodes", "1", "--scheduler", "short")

    assert (code, begun) == (0, 0)
    assert "workflow 1 is not initialized: runners find no jobs before torc workflows init 1 --force" in early
    assert "runners find no jobs" not in ready


def test_what_is_refused_by_hand_is_asked_for_by_hand_again(site: Site) -> None:
    """`torc submit` was named, which adds nothing to what no action asks for."""
    site.torc("create", "sweep.yaml")
    site.slurm.fault("sbatch", "refuses", skip=1, message="sbatch: error: Invalid qos specification")

    code, out, _ = site.torc("slurm", "schedule-nodes", "1", "--scheduler", "short", "-n", "2")

    assert code == 1
    assert "submitted 1 of 2 allocations (sbatch: Invalid qos specification); run" in out
    assert "run 'torc slurm schedule-nodes 1 --scheduler short -n 1' to add 1" in out


def test_a_refusal_says_what_to_look_at_and_submit_adds_what_is_missing(site: Site) -> None:
    site.slurm.fault(
        "sbatch",
        "refuses",
        skip=1,
        message="sbatch: error: Batch job submission failed: Invalid account or account/partition",
    )

    code, out, err = site.torc("submit", "sweep.yaml")
    later = site.json("submit", "last")

    assert code == 1
    assert "submitted 1 of 2 allocations (sbatch: Invalid account or account/partition); run" in out
    assert "run 'torc submit 1' to add 1" in out
    assert "sacctmgr show assoc" in err
    assert (later["intended"], later["submitted"], later["already_submitted"]) == (1, 1, 1)
    assert len(site.slurm.jobs()) == 2


def test_what_slurm_ended_is_found(site: Site) -> None:
    site.torc("submit", "sweep.yaml")
    site.slurm.end("1001", "NODE_FAIL")

    dry = site.json("workflows", "sync-status", "last", "--dry-run")
    found = site.json("workflows", "sync-status", "last")
    again = site.json("workflows", "sync-status", "last")

    counts = [one["pending_allocations_cleaned"] for one in (dry, found, again)]
    assert counts in ([1, 1, 0], [0, 0, 0])  # the server may have been faster
    rows = site.json("scheduled-compute-nodes", "list", "last")["items"]
    assert [(one["status"], one["reason"]) for one in rows] == [
        ("canceled", "NODE_FAIL"),
        ("pending", "Priority"),
    ]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["submit", "plain.yaml"], 3, "--generate"),
        (["submit"], 2, "needs to know what"),
        (["submit", "sweep.yaml", "--partition", "x"], 2, "belong to --generate"),
        (["submit", "sweep.yaml", "--timeout", "1m"], 2, "belongs to --wait"),
        (["submit", "none.yaml"], 2, "no such file"),
        (["submit", "7"], 5, "no workflow 7"),
    ],
)
def test_what_cannot_be_submitted_is_told(site: Site, words: list[str], code: int, says: str) -> None:
    (site.home / "plain.yaml").write_text("name: x\njobs: [{name: a, command: 'true'}]\n")

    ran = site.torc(*words)

    assert (ran[0], says in ran[2]) == (code, True), ran
    assert not site.slurm.calls("sbatch")


def test_what_is_said_of_a_workflow_without_nodes_can_be_pasted(site: Site) -> None:
    (site.home / "plain.yaml").write_text("name: x\njobs: [{name: a, command: 'true'}]\n")
    site.torc("create", "plain.yaml")

    code, _, err = site.torc("submit", "1")
    helps = err.partition("ask for them with 'torc ")[2].partition("'")[0].split(" && torc ")
    done = [site.torc(*one.replace("ACCOUNT", "me").split())[0] for one in helps]

    assert (code, helps) == (3, ["workflows initialize 1", "slurm regenerate 1 --submit --account ACCOUNT"])
    assert done == [0, 0]
    assert site.slurm.calls("sbatch")


def test_without_slurm_nothing_is_made(site: Site, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    code, _, err = site.torc("submit", "sweep.yaml")

    assert (code, err.endswith("or run it here: torc run sweep.yaml\n")) == (3, True)
    assert not site.database.exists()


def dump(site: Site) -> list[str]:
    """All that the database holds."""
    import sqlite3

    with sqlite3.connect(site.database) as database:
        return list(database.iterdump())


def test_older_spellings_mean_submit(site: Site) -> None:
    for words in (["submit-slurm", "none.yaml", "-a", "physics"], ["workflows", "submit", "none.yaml"]):
        code, out, err = site.torc(*words)
        assert (code, out, err) == (2, "", "error: no such file: 'none.yaml'\n")
