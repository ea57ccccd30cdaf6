"""People delete, cancel and set back workflows whose jobs run: nothing lives on, nothing comes back to life (F38)."""

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

ROUNDS = int(os.environ.get("TORC_TEST_UPHEAVALS", "4"))
"""The promise is 200."""
SEED = int(os.environ.get("TORC_TEST_FIRST_SEED", "1"))


@pytest.mark.timeout(0)
def test_whatever_people_do_to_a_running_workflow_nothing_lives_on(
    site: Site, row: Callable[..., None]
) -> None:
    dice = random.Random(SEED)
    site.serve()
    found: list[str] = []
    verbs = {
        "delete": lambda which: ("workflows", "delete", which, "--force", "--yes"),
        "cancel": lambda which: ("cancel", which, "--yes"),
        "reset": lambda which: ("workflows", "initialize", which, "--force", "--yes"),
    }
    kinds = list(verbs)

    for at in range(ROUNDS):
        kind = kinds[at % len(kinds)]
        # Two of the jobs wait for what is done to them, so that the workflow runs then, however slow this machine is.
        done_to, short = site.root / f"done{at}", "sleep 0.7 & sleep 0.5; wait"
        waiting = f"sleep 0.7 & until test -e {done_to}; do sleep 0.05; done; wait"
        jobs = [
            {
                "name": f"j{one}",
                "command": noting(site.ledger, "sh", "-c", waiting if one % 4 == 3 else short),
            }
            for one in range(8)
        ]
        before = site.lines()
        run = site.popen(
            "run", site.spec(jobs), "--new", "--num-cpus", "4", "--memory-gb", "4", log="run.log"
        )
        site.until(lambda before=before: site.lines() > before, 60)
        time.sleep(dice.uniform(0, 0.6))
        done = site.torc(*verbs[kind](str(at + 1)))
        if done.returncode:
            found.append(f"{kind} was refused: {done.stderr[-300:]}")
        done_to.touch()
        site.until(lambda run=run: run.poll() is not None, 90)
        deadline = time.monotonic() + 15
        while (left := survivors(site.root)) and time.monotonic() < deadline:
            time.sleep(0.05)
        found += [f"I7: {one} lives after {kind}" for one in left]

    site.stop_server()
    row("F38 deleted, canceled, set back", SEED, ROUNDS, found + site.verdict(ends=False))
