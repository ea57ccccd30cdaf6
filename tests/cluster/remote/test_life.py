"""From the first `add-workers` to the collected logs, with real hosts (`remote.md` §14)."""

from __future__ import annotations

from typing import Any


def test_the_typical_use(desk: Any, until: Any) -> None:
    workflow = desk.workflow(*(f"echo out {number}; hostname" for number in range(8)))

    added = desk.torc("remote", "add-workers", str(workflow), "w1", "w2", "w3")
    started = desk.torc("remote", "run", str(workflow), "--num-cpus", "2")
    desk.until_complete(workflow)
    until(lambda: not any(desk.workers_on(one) for one in ("w1", "w2", "w3")))
    status = desk.torc("remote", "status", str(workflow))
    collected = desk.torc("remote", "collect-logs", str(workflow), "-l", "logs", "--extract")

    assert added.startswith(f"Added 3 worker(s) to workflow {workflow}:\n  w1\n  w2\n  w3")
    assert "Started 3/3 workers" in started
    assert desk.counts(workflow)["completed"] == 8
    assert "not running" in status
    assert "Collected 3/3" in collected
