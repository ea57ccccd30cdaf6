"""Jobs are set back by force while they run: no job ever has two process trees (`engine.md` I1, §19, test 12)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from conftest import Torc

ROUNDS = int(os.environ.get("TORC_TEST_RESTARTS", "8"))
"""How often everything begins anew while it runs; the promise is 50."""

ALONE = "flock -n lock{0} sh -c 'echo x >> started{0}; until [ -e over ]; do sleep 0.1; done' || echo twice >> twice"
"""A job that notes when another attempt of it is alive; a lock ends with the last process that has it.

It runs until all restarts are over, so that there is something to begin anew however slow this machine is.
"""


def started(torc: Torc, job: int) -> int:
    """How many attempts of a job have begun."""
    path = torc.folder / f"started{job}"
    return len(path.read_text().splitlines()) if path.exists() else 0


def until_started(torc: Torc, count: int) -> None:
    """Wait until both jobs have begun so often."""
    until(lambda: min(started(torc, 0), started(torc, 1)) >= count)


def test_a_forced_restart_never_runs_a_job_twice_at_once(torc: Torc) -> None:
    jobs = [{"name": f"job{at}", "command": ALONE.format(at)} for at in range(2)]
    path = torc.folder / "restart.json"
    path.write_text(json.dumps({"name": "restart", "jobs": jobs}))
    run = torc.start("run", str(path), "-j", "2")
    until_started(torc, 1)

    for number in range(2, ROUNDS + 2):
        torc("workflows", "initialize", "last", "--force", "--yes")
        until_started(torc, number)

    (torc.folder / "over").touch()
    _, errors = run.communicate(timeout=PATIENCE)
    assert (run.returncode, (torc.folder / "twice").exists()) == (0, False), errors
    found = torc.json("jobs", "list", "last")["items"]
    assert [(job["status"], job["run_id"], job["attempt_id"]) for job in found] == [
        ("completed", ROUNDS + 1, 1)
    ] * 2
    results = torc.json("results", "list", "last", "--all-runs")["items"]
    assert sorted((one["status"], one["run_id"]) for one in results) == sorted(
        [("canceled", run_id) for run_id in range(1, ROUNDS + 1)] * 2 + [("completed", ROUNDS + 1)] * 2
    )
