"""What a run measured outlives the run, however it ended."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from conftest import Torc

WAITS = "while [ ! -e seen ]; do sleep 0.1; done"


def attempts(file: Path) -> set[int]:
    """Attempts with samples in a file; none while there is no such file."""
    if not file.exists():
        return set()
    with closing(sqlite3.connect(file, timeout=5)) as data:
        try:
            return {attempt for (attempt,) in data.execute("SELECT attempt_id FROM job_resource_samples")}
        except sqlite3.OperationalError:
            return set()


def test_a_killed_run_leaves_its_samples_and_the_next_one_adds_to_them(torc: Torc) -> None:
    monitor = {
        "jobs": {"enabled": True, "granularity": "time_series"},
        "sample_interval_seconds": 1,
        "flush_interval_seconds": 1,
    }
    spec = {"name": "killed", "resource_monitor": monitor, "jobs": [{"name": "only", "command": WAITS}]}
    (torc.folder / "spec.json").write_text(json.dumps(spec))
    file = torc.folder / f"torc_output/resource_utilization/resource_metrics_{os.uname().nodename}_1_1.db"
    first = torc.start("run", "spec.json")
    until(lambda: attempts(file) == {1})

    first.send_signal(signal.SIGKILL)
    first.communicate()
    left = attempts(file)
    second = torc.start("run", "spec.json")
    until(lambda: attempts(file) == {1, 2})
    (torc.folder / "seen").touch()
    _, errors = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, errors
    drawn = torc("plot-resources", "torc_output", "-o", "plots").stdout

    assert left == {1}
    assert attempts(file) == {1, 2}
    assert "plots/resource_plot_job_1.html" in drawn.splitlines()
    with (torc.folder / "plots/resource_plot_cpu_all_jobs.html").open() as page:
        assert {'"name":"only a1"', '"name":"only a2"'} <= set(page.read().replace("{", ",").split(","))
