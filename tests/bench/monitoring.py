"""Measure what sampling costs: a runner with 100 jobs of 5 processes each, every second, beside one that samples nothing.

    python tests/bench/monitoring.py            # half a minute each
    python tests/bench/monitoring.py --quick    # five seconds each, to see that it runs

The figure is the processor time of the whole runner while its jobs do nothing, in percent of one core. The last line
is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOBS, CHILDREN, GOAL = 100, 4, 1.0
SLEEPERS = "; ".join(["sleep 600 &"] * CHILDREN).replace(";", "") + " wait"
TICK = os.sysconf("SC_CLK_TCK")


def spent(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def percent(folder: Path, seconds: float, monitor: dict[str, object]) -> tuple[float, int]:
    """Percent of a core that the runner takes, and how many samples it wrote."""
    folder.mkdir(parents=True)
    jobs = [{"name": "sleeper{i}", "command": SLEEPERS, "parameters": {"i": f"1:{JOBS}"}}]
    (folder / "spec.json").write_text(json.dumps({"name": "idle", "jobs": jobs, "resource_monitor": monitor}))
    env = {"HOME": str(folder), "PATH": os.environ["PATH"], "USER": "bench", "XDG_RUNTIME_DIR": str(folder)}
    with (folder / "torc.log").open("ab") as out:
        runner = subprocess.Popen(
            [sys.executable, "-m", "torc_core", "run", "spec.json", "-j", str(JOBS), "-q"],
            cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
        time.sleep(6)
        before, begin = spent(runner.pid), time.monotonic()
        time.sleep(seconds)
        used = (spent(runner.pid) - before) / (time.monotonic() - begin) * 100
        for _ in range(2):
            runner.terminate()
            time.sleep(0.2)
        runner.wait()
    rows = 0
    for file in folder.glob("torc_output/resource_utilization/*.db"):
        data = sqlite3.connect(file)
        ((rows,),) = data.execute("SELECT count(*) FROM job_resource_samples")
        data.close()
    return used, rows


def main() -> None:
    """Measure both, and tell the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    seconds = 5.0 if parser.parse_args().quick else 30.0
    scope = {"enabled": True, "granularity": "time_series"}
    kinds = {
        "nothing": {"enabled": False},
        "summary": {"enabled": True, "sample_interval_seconds": 1},
        "time series, and of the node": {
            "jobs": scope, "compute_node": scope, "sample_interval_seconds": 1, "flush_interval_seconds": 10,
        },
    }  # fmt: skip
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        for number, (kind, monitor) in enumerate(kinds.items()):
            used, rows = percent(Path(name, str(number)), seconds, monitor)
            figures[kind] = used
            print(f"{kind:<32} {used:6.2f} % of a core   {rows} samples", flush=True)
    cost = max(figures.values()) - figures["nothing"]
    print(f"{JOBS} jobs of {CHILDREN + 1} processes, every second: {cost:.2f} % of a core, goal ≤ {GOAL:g}")
    print(json.dumps({"percent": figures, "cost": cost, "goal": GOAL, "held": cost <= GOAL}))


if __name__ == "__main__":
    main()
