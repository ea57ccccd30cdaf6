"""A run can be interrupted in any way; the same command goes on, and every attempt has exactly one result."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from conftest import Torc

GATE = "while [ ! -e interrupted ]; do sleep 0.05; done"
LEDGER = 'echo "$TORC_JOB_NAME $TORC_ATTEMPT_ID begin" >> ledger; sleep 0.05; echo "$TORC_JOB_NAME $TORC_ATTEMPT_ID end" >> ledger'


def layers(torc: Torc, width: int = 40) -> str:
    """A spec of three layers that write a ledger; the last waits for the interruption."""
    jobs: list[dict[str, Any]] = [{"name": "a_{i}", "command": LEDGER, "parameters": {"i": f"1:{width}"}}]
    for before, name in (("a", "b"), ("b", "c")):
        jobs.append(
            {
                "name": f"{name}_{{i}}", "command": f"{GATE}; {LEDGER}" if name == "c" else LEDGER,
                "parameters": {"i": f"1:{width}"},
                "depends_on": [f"{before}_{{i}}"],
            }
        )  # fmt: skip
    path = torc.folder / "layers.json"
    path.write_text(json.dumps({"name": "layers", "jobs": jobs}))
    return str(path)


def until_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until jobs have written so many lines."""

    def written() -> bool:
        assert process.poll() is None, process.communicate()
        return path.exists() and path.read_text().count("\n") >= count

    until(written)


@pytest.mark.parametrize("lines", [3, 60, 150])
def test_after_kill_9_the_same_command_finishes_every_job(torc: Torc, lines: int) -> None:
    path = layers(torc)
    run = torc.start("run", path, "--num-cpus", "4")
    until_lines(torc.folder / "ledger", lines, run)

    run.kill()
    run.communicate()
    (torc.folder / "interrupted").touch()
    again = torc("run", path, "--num-cpus", "4")

    assert "continuing workflow 1" in again.stderr
    assert torc.json("workflows", "list")["count"] == 1
    assert torc.json("status", "last")["jobs_by_status"]["completed"] == 120
    results = torc.json("results", "list", "last", "--all-runs")["items"]
    attempts = Counter((r["job_id"], r["run_id"], r["attempt_id"]) for r in results)
    assert set(attempts.values()) == {1}
    current = Counter(r["job_id"] for r in torc.json("results", "list", "last")["items"])
    assert len(current) == 120
    assert set(current.values()) == {1}
    begun = Counter(
        tuple(line.split()[:2])
        for line in (torc.folder / "ledger").read_text().splitlines()
        if "begin" in line
    )
    assert max(begun.values()) == 1, "an attempt was started twice"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_trees_records_the_jobs_and_can_be_resumed(
    torc: Torc, number: int, status: int
) -> None:
    tree = "touch here; sh -c 'sleep 300 & sleep 300'; true"
    spec = {
        "name": "tree",
        "jobs": [{"name": "a", "command": f"test -e go || {{ {tree}; }}"}, {"name": "b", "command": "true", "depends_on": ["a"]}],
        "execution_config": {"sigterm_lead_seconds": 1},
    }  # fmt: skip
    path = torc.folder / "tree.json"
    path.write_text(json.dumps(spec))
    run = torc.start("run", str(path))
    until((torc.folder / "here").exists)

    run.send_signal(number)
    _, errors = run.communicate(timeout=PATIENCE)

    assert run.returncode == status, errors
    (result,) = torc.json("results", "list", "last")["items"]
    assert (result["status"], result["reason"]) == ("terminated", "interrupted")
    marks = [p for p in Path("/proc").glob("[0-9]*/environ") if marked(p, torc.folder)]
    assert marks == []
    (torc.folder / "go").touch()
    torc("run", str(path))
    assert torc.json("status", "last")["jobs_by_status"]["completed"] == 2


def marked(environ: Path, folder: Path) -> bool:
    """Whether a live process is a job of this folder."""
    try:
        text = environ.read_bytes()
    except OSError:
        return False
    return b"TORC_MARK=" in text and str(folder).encode() in text


def test_a_failed_job_cancels_what_waits_for_it_and_the_exit_code_says_so(torc: Torc) -> None:
    jobs = [
        {"name": "bad", "command": "echo broken >&2; exit 3"},
        {"name": "after", "command": "true", "depends_on": ["bad"]},
        {"name": "anyway", "command": "true", "depends_on": ["bad"], "cancel_on_blocking_job_failure": False},
        {"name": "fine", "command": "true"},
    ]
    path = torc.folder / "failing.json"
    path.write_text(json.dumps({"name": "failing", "jobs": jobs}))

    done = torc("run", str(path), status=1)

    listed = {job["name"]: job["status"] for job in torc.json("jobs", "list", "last")["items"]}
    assert listed == {"bad": "failed", "after": "canceled", "anyway": "completed", "fine": "completed"}
    assert "job 'bad' (id 1) failed: exit 3" in done.stderr
    torc("run", str(path), "--exit-zero")
