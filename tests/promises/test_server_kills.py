"""`kill -9` of the server while runners work: nothing that was acknowledged is lost, nothing runs twice (F1, F37, C1)."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from torc_core.errors import TorcError
from torc_core.model import Event, JobStatus, Node, Query, Workflow, WorkflowId
from torc_core.testing.checker import Recording

if TYPE_CHECKING:
    from conftest import Site

KILLS = int(os.environ.get("TORC_TEST_SERVER_KILLS", "3"))
"""The promise is 200."""
JOBS = int(os.environ.get("TORC_TEST_FAULT_JOBS", "120"))
"""The promise is 5,000."""
RUNNERS = 4 if JOBS >= 1_000 else 2
"""The promise is about 4."""
BACKUPS = int(os.environ.get("TORC_TEST_BACKUPS", "3"))
"""The promise is 100."""
SEED = int(os.environ.get("TORC_TEST_FIRST_SEED", "1"))


def chatter(site: Site, workflow: int, over: threading.Event) -> None:
    """A client that posts one event after the other, and remembers what it was told."""
    store = Recording(site.store(), site.calls)
    number = 0
    while not over.is_set():
        number += 1
        try:
            store.add([Event(workflow_id=workflow, data={"number": number})])  # type: ignore[arg-type]  # a workflow's number
        except TorcError:
            time.sleep(0.05)
        over.wait(0.02)
    store.close()


def joined(site: Site) -> int:
    """How many runners the server knows."""
    with closing(site.store()) as store:
        return store.find(Node, Query(workflow=WorkflowId(1))).total


@pytest.mark.timeout(0)
def test_runners_go_on_whenever_the_server_is_killed(site: Site, row: Callable[..., None]) -> None:
    dice = random.Random(SEED)
    site.serve()
    # What comes first and last waits, so that all runners find work, and the server is killed while there is some.
    all_here, over_with = site.waiting("all_here", "joined"), site.waiting("over_with", "killed")
    jobs = site.layers(JOBS, SEED)
    for job in jobs:
        if "depends_on" in job:
            job["depends_on"].append("all_here")
    path = site.spec([all_here, *jobs, over_with])
    words = ("--num-cpus", "2", "--memory-gb", "1")
    runs = [site.popen("run", path, *words, log="run.log")]
    site.until(lambda: site.lines() > 4, 60)
    runs += [site.popen("run", "1", *words, log="run.log") for _ in range(RUNNERS - 1)]
    # A command that finds no server when it begins says so and leaves; what is promised is promised to runners.
    site.until(lambda: joined(site) == RUNNERS, 60)
    site.open("joined")
    over = threading.Event()
    talking = threading.Thread(target=chatter, args=(site, 1, over))
    talking.start()

    worst, killed = 0.0, 0
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.1, max(0.3, JOBS / KILLS / 60)))
        site.kill_server()
        killed += 1
        time.sleep(dice.uniform(0, 3))
        begin = time.monotonic()
        site.serve()
        worst = max(worst, time.monotonic() - begin)

    site.open("killed")
    site.until(lambda: all(run.poll() is not None for run in runs), 60 + JOBS)
    over.set()
    talking.join()
    assert [run.returncode for run in runs] == [0] * RUNNERS, site.said("run.log")
    assert site.stop_server() == 0
    row(f"F1 C1 server killed, back in {worst:.1f} s", SEED, killed, site.verdict())
    assert sum(call.error is None for call in site.calls) > killed > 0
    assert worst < 30


@pytest.mark.timeout(0)
def test_a_backup_of_a_database_in_use_is_whole(site: Site, row: Callable[..., None]) -> None:
    site.serve()
    run = site.popen(
        "run", site.spec(site.layers(JOBS // 2, SEED)), "--num-cpus", "4", "--memory-gb", "4", log="run.log"
    )
    site.until(lambda: site.lines() > 4, 60)
    found, copies = [], 0

    while run.poll() is None or copies < 1:
        copy = site.backup(f"copy{copies}.db")
        copies += 1
        found += site.verdict(copy, ends=False, quiet=False)
        if copies >= BACKUPS:
            break

    site.until(lambda: run.poll() is not None, 120 + JOBS)
    row("F37 backup during a run", SEED, copies, found)


@pytest.mark.timeout(0)
def test_a_server_that_is_stopped_and_started_again_fails_no_job(
    site: Site, row: Callable[..., None]
) -> None:
    rounds = max(2, KILLS // 4)
    site.serve()
    run = site.popen(
        "run", site.spec(site.layers(JOBS // 2, SEED)), "--num-cpus", "4", "--memory-gb", "4", log="run.log"
    )
    site.until(lambda: site.lines() > 4, 60)

    for _ in range(rounds):
        assert site.stop_server() == 0
        site.serve()
        time.sleep(0.2)

    site.until(lambda: run.poll() is not None, 120 + JOBS)
    assert run.returncode == 0, site.said("run.log")
    store = site.store()
    counts = store.totals([Workflow(id=1, name="", user="").id])[0].counts  # type: ignore[arg-type]  # a number
    store.close()
    assert {status for status, count in counts.items() if count} == {JobStatus.COMPLETED}
    site.stop_server()
    row("F3 server restarted", SEED, rounds, site.verdict())
