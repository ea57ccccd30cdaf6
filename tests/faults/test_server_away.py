"""The server is killed, stands still or cannot be reached for a while: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Field

JOBS = int(os.environ.get("TORC_TEST_FAULT_JOBS", "100"))
KILLS = int(os.environ.get("TORC_TEST_FAULT_KILLS", "3"))
ROUNDS = int(os.environ.get("TORC_TEST_FAULT_ROUNDS", "1"))
"""Counts for the CPUs of CI; the promises are 5,000 jobs, 200 kills and 30 rounds (`promises.md` §5)."""
TEN_MINUTES = 750
"""So many jobs two runners finish in the ten minutes that are promised, where each answer takes up to 10 s."""


def under_way(field: Field, count: int, seconds: float = 30) -> None:
    """Wait until so many jobs have begun."""
    field.account.until(lambda: len(field.ledger) >= count, seconds)


def test_f1_a_server_that_is_killed_again_and_again_loses_and_doubles_nothing(field: Field) -> None:
    workflow = field.create(JOBS, layers=5)
    chance = random.Random(1)
    for number in range(2):
        field.run(workflow, out=f"out{number}")
    under_way(field, 5)

    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 1.0))
        if all(runner.poll() is not None for runner in field.runners):
            break
        field.restart()
        before = len(field.ledger)
        field.account.until(
            lambda before=before: (
                len(field.ledger) > before or all(runner.poll() is not None for runner in field.runners)
            ),
            30,
        )

    field.finish()
    field.check(workflow, JOBS)


def test_f11_answers_that_are_lost_change_nothing(field: Field) -> None:
    workflow = field.create(JOBS, layers=3, seconds=0.1)
    field.faults.drop = 0.2

    for number in range(2):
        field.run(workflow, out=f"out{number}")
    field.finish()

    field.faults.drop = 0.0
    field.check(workflow, JOBS)
    assert field.proxy.counts.dropped


def test_f12_requests_that_come_twice_or_late_change_nothing(field: Field) -> None:
    workflow = field.create(JOBS, layers=3, seconds=0.1)
    field.faults.double, field.faults.again, field.faults.later = 0.3, 0.1, (0.2, 3.0)

    for number in range(2):
        field.run(workflow, out=f"out{number}")
    field.finish()

    field.check(workflow, JOBS)
    assert field.proxy.counts.doubled
    assert field.proxy.counts.repeated


def test_f13_a_server_that_answers_slowly_loses_no_lease_and_repeats_nothing(field: Field) -> None:
    slow = 10.0 if ROUNDS > 1 else 1.0
    jobs = min(JOBS, TEN_MINUTES)
    workflow = field.create(
        jobs, seconds=0.4, compute_node_wait_for_healthy_database_minutes=1, retry_on_node_loss=1
    )
    field.faults.delay = (0.0, slow)

    for number in range(2):
        field.run(workflow, out=f"out{number}")
    field.finish()

    field.faults.delay = (0.0, 0.0)
    field.check(workflow, jobs)
    assert "lease_over" not in field.log()


def test_f10_a_server_that_stands_still_for_a_while_has_nothing_killed_or_repeated(field: Field) -> None:
    workflow = field.create(40 * ROUNDS, seconds=1.2 if ROUNDS > 1 else 0.6)
    field.run(workflow)
    chance = random.Random(2)
    under_way(field, 8)

    for _ in range(ROUNDS):
        field.server.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        field.server.process.send_signal(signal.SIGCONT)
        before = len(field.ledger)
        under_way(field, min(before + 4, 40 * ROUNDS))
        time.sleep(chance.uniform(0, 1))

    field.finish()
    field.check(workflow, 40 * ROUNDS)


def test_f4_the_guardian_of_a_killed_runner_tells_how_its_jobs_ended(field: Field) -> None:
    workflow = field.create(12, seconds=0.0)
    long = field.account.spec("long", [{"name": f"j{i}", "command": "sleep 300"} for i in range(3)])
    other = field.account.answer("--url", field.server.url, "create", long)["workflow_id"]
    runner = field.run(other, out="out_other")
    field.account.until(lambda: field.statuses(other) == {"running": 3})

    begin = time.monotonic()
    runner.kill()
    field.account.until(lambda: field.statuses(other) == {"terminated": 3}, 45)

    assert {one["reason"] for one in field.results(other)} == {"runner_died"}
    assert time.monotonic() - begin < 45
    nodes = field.account.answer("--url", field.server.url, "results", "list", str(other))
    assert nodes["count"] == 3
    field.runners.clear()
    field.run(workflow)
    field.finish()
    field.check(workflow, 12)


def test_f5_what_a_guardian_could_not_deliver_the_next_runner_does(field: Field) -> None:
    spec = field.account.spec(
        "long", [{"name": f"j{i}", "command": "test -e go || sleep 300"} for i in range(3)]
    )
    workflow = field.account.answer("--url", field.server.url, "create", spec)["workflow_id"]
    runner = field.run(workflow)
    field.account.until(lambda: field.statuses(workflow) == {"running": 3})

    field.server.process.kill()
    field.server.process.wait()
    runner.kill()
    spool = field.account.root / "out" / ".torc-spool"
    field.account.until(lambda: list(spool.glob("*.last.json")), 45)
    field.server = field.account.serve("--port", str(field.server.port), "--auth", "none")
    (field.account.root / "go").touch()

    told = field.account.answer(
        "--url", field.server.url, "reconcile", str(workflow), "--base-dir", "out", "--dry-run"
    )
    assert {one["reason"] for one in told["items"]} in ({"runner_died"}, set())
    field.runners.clear()
    field.run(workflow)
    field.finish()
    assert field.statuses(workflow) == {"completed": 3}
    assert list(spool.glob("*")) == []
