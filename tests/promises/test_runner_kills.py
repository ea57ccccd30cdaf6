"""`kill -9` of runners whose jobs fork: nothing survives them, and their jobs are accounted for (F4, C8)."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from torc_core.testing.checker import noting, survivors

if TYPE_CHECKING:
    from conftest import Site

KILLS = int(os.environ.get("TORC_TEST_RUNNER_KILLS", "3"))
"""The promise is 100."""
SEED = int(os.environ.get("TORC_TEST_FIRST_SEED", "1"))
FORKING = "setsid sleep {0} & (sleep {0} &); sleep {0}"


@pytest.mark.timeout(0)
def test_runners_are_killed_and_nothing_survives_or_runs_twice(site: Site, row: Callable[..., None]) -> None:
    dice = random.Random(SEED)
    site.serve()
    jobs = [
        {
            "name": f"j{at}",
            "command": noting(site.ledger, "sh", "-c", FORKING.format(0.4) if at % 2 else "sleep 0.3"),
        }
        for at in range(8 * KILLS + 8)
    ]
    # One waits for the end of the killing, so that there is a run to be killed each time.
    path = site.spec([*jobs, site.waiting("last", "over")], retry_on_node_loss=100)
    found: list[str] = []
    killed = 0

    words = ("run", path)
    for _ in range(KILLS):
        before = site.lines()
        run = site.popen(*words, "--num-cpus", "4", "--memory-gb", "4", log="run.log")
        site.until(lambda before=before: site.lines() > before, 60)
        time.sleep(dice.uniform(0, 0.5))
        assert run.poll() is None, site.said("run.log")
        run.kill()
        run.wait()
        killed += 1
        deadline = time.monotonic() + 15
        while (left := survivors(site.root)) and time.monotonic() < deadline:
            time.sleep(0.05)
        found += [f"I7: {one} lives 15 s after its runner" for one in left]

    site.open("over")
    last = site.popen(*words, "--num-cpus", "4", "--memory-gb", "4", log="run.log")
    site.until(lambda: last.poll() is not None, 180 + 8 * KILLS)
    assert last.returncode == 0, site.said("run.log")
    site.stop_server()
    row("F4 C8 runner killed", SEED, killed, found + site.verdict())
