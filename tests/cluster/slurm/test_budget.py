"""However many allocations, jobs and onlookers there are, Slurm is asked a handful of times a minute (RB1-RB3).

What a process asks is counted by shims before Slurm's commands. Every commit looks on for half a minute, in which no
question may come again sooner than it may in a minute; `TORC_TEST_CLUSTER_CALM` looks on for longer.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from account import BIN, QUICK, Account, row
from namespaces import until

from torc_core.model import Allocation, AllocationStatus, Query, WorkflowId

if TYPE_CHECKING:
    from pathlib import Path

    from slurm import SlurmCluster

CALM = float(os.environ.get("TORC_TEST_CLUSTER_CALM", "35"))
"""Seconds for which the calls are counted."""
MOST = 6
"""Calls in any minute."""
TOOLS = ("squeue", "sacct", "scontrol", "sinfo", "sbatch", "scancel", "sstat", "sacctmgr")
SHIM = """\
#!/bin/bash
echo "$EPOCHREALTIME {tool} $*" >>{log}
exec {real} "$@"
"""
SMALL = {"name": "small", "num_cpus": 1, "memory": "50m", "runtime": "PT5M"}
RUNNING = {"name": "now", "account": "physics", "walltime": "00:20:00", "mem": "300M", "nodes": 1}
LATER = {**RUNNING, "name": "later", "extra": "--begin=now+1hour", "auto_top_up": False, "keep_queued": True}


class Counted:
    """The calls that were made, by when they were."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shims"
        self.log = folder / "calls"
        self.folder.mkdir()
        for tool in TOOLS:
            shim = self.folder / tool
            shim.write_text(SHIM.format(tool=tool, log=self.log, real=shutil.which(tool)))
            shim.chmod(0o755)

    def since(self, begin: float, end: float) -> list[tuple[float, str, str]]:
        """Moment, tool and words of each."""
        lines = (line.split(" ", 2) for line in self.log.read_text().splitlines())
        return [(float(at), tool, words) for at, tool, words in lines if begin <= float(at) < end]


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


@pytest.fixture
def busy(counted: Counted, slurm: SlurmCluster, tmp_path: Path) -> Iterator[Account]:
    """An account all of whose processes are counted."""
    (tmp_path / "home").mkdir()
    made = Account(slurm, tmp_path / "home", counted.folder)
    yield made
    for workflow in (1, 2):
        made.torc("cancel", str(workflow), "--yes", check=False)
    made.close()


def submitted(account: Account, name: str, running: int, waiting: int, config: dict[str, Any]) -> WorkflowId:
    """A workflow with so many allocations that run, and so many that wait."""
    jobs = [
        {"name": f"j{at}", "command": "exec sleep 900", "resource_requirements": "small", "scheduler": "now"}
        for at in range(8 * running)
    ]
    jobs.append({"name": "last", "command": "true", "resource_requirements": "small", "scheduler": "later"})
    asked = {"trigger_type": "on_workflow_start", "action_type": "schedule_nodes", "scheduler_type": "slurm"}
    more: dict[str, Any] = {"slurm_schedulers": [RUNNING, LATER], "actions": [
        {**asked, "scheduler": "now", "num_allocations": running}, {**asked, "scheduler": "later", "num_allocations": waiting},
    ]}  # fmt: skip
    path = account.root / f"{name}.json"
    spec = {"name": name, "jobs": jobs, "resource_requirements": [SMALL], "execution_config": config, **more}
    path.write_text(json.dumps(spec))
    told = json.loads(account.torc("-f", "json", "submit", str(path), "-o", str(account.out), "-p", "5"))
    assert told["submitted"] == running + waiting, told
    workflow = WorkflowId(told["workflow_id"])
    until(lambda: states(account, workflow)[AllocationStatus.ACTIVE] == running, 120, "runners")
    return workflow


def states(account: Account, workflow: WorkflowId) -> Counter[AllocationStatus]:
    return Counter(one.status for one in account.store.find(Allocation, Query(workflow=workflow)).items)


def test_slurm_is_asked_six_times_a_minute_at_most(busy: Account, counted: Counted) -> None:
    direct = submitted(busy, "direct", 4, 3, {**QUICK, "staggered_start": False})
    quick = {"mode": "slurm", "staggered_start": False, "sigkill_headroom_seconds": 10}
    steps = submitted(busy, "steps", 2, 2, quick)
    watches = [
        subprocess.Popen(
            [BIN / "torc", "watch", str(workflow), "-p", "5", *more], cwd=busy.root, env=busy.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for workflow, more in (
            (direct, ()), (direct, ("--auto-schedule",)), (steps, ()), (steps, ("--auto-schedule",)),
        )
    ]  # fmt: skip
    try:
        until(lambda: any("squeue" in one for one in counted.log.read_text().splitlines()), 90, "a question")
        time.sleep(5)
        begin = time.time()
        while time.time() < begin + CALM:
            for workflow in map(str, (direct, steps)):
                for words in (
                    ("status",),
                    ("scheduled-compute-nodes", "list"),
                    ("explain",),
                    ("slurm", "list"),
                ):
                    busy.torc(*words, workflow)
        found = counted.since(begin, begin + CALM)
    finally:
        for one in watches:
            one.terminate()
            one.wait()

    every = Counter(tool for _, tool, _ in found)
    minutes = [
        sum(at <= other < at + 60 for other, _, _ in found) for at, _, _ in found
    ]  # fmt: skip
    row("budget: most calls in a minute", max(minutes, default=0), sum(count > MOST for count in minutes))
    assert max(minutes, default=0) <= MOST, found
    # What comes that seldom cannot come more than six times in a minute: three times, and once for each allocation.
    assert gaps(found, "squeue") >= 29, found
    assert every["sstat"] <= 2 * (1 + CALM / 55), found
    assert set(every) <= {"squeue", "sstat"}, found


def gaps(found: list[tuple[float, str, str]], tool: str) -> float:
    """The shortest time between two calls."""
    times = [at for at, one, _ in found if one == tool]
    return min((later - at for at, later in itertools.pairwise(times)), default=float("inf"))
