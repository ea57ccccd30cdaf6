"""The store is away for longer than the lease: what is run again was ended before, what is not runs to its end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Field
MINUTE, BEYOND = 6, 6_000
"""W is six seconds and not sixty, and the store waits six seconds longer."""


@pytest.fixture
def settings() -> dict[str, str]:
    """A server and runners for which a minute is short."""
    return {
        "TORC_TEST_MINUTE": str(MINUTE), "TORC_TEST_BEYOND": str(BEYOND), "TORC_SERVER__SWEEP_SECONDS": "1",
        "TORC_CLIENT__OFFLINE__DRAIN_PING_INTERVAL_SECS": "1",
    }  # fmt: skip


BEATING = 'while :; do echo "$TORC_JOB_ID $TORC_ATTEMPT_ID $(date +%s%N)" >> {pulse}; sleep 0.1; done'
"""A job that says all the time that it lives, and ends only when it is told so."""


def pulses(path: Path) -> dict[tuple[int, int], int]:
    """The last sign of life of each attempt."""
    last: dict[tuple[int, int], int] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        job, attempt, at = line.split()
        last[int(job), int(attempt)] = int(at)
    return last


@pytest.mark.parametrize("way", ["partition", "runner_stopped"])
def test_f8_f10_jobs_that_are_run_again_have_ended_before(field: Field, way: str) -> None:
    pulse = field.account.root / "pulse"
    command = f'test "$TORC_ATTEMPT_ID" = 1 || {{ {field.ledger.command(0.1)}; exit 0; }}; ' + BEATING.format(
        pulse=pulse
    )
    spec = field.account.spec(
        "again", [{"name": f"j{at}", "command": command} for at in range(3)],
        compute_node_wait_for_healthy_database_minutes=1, retry_on_node_loss=1,
    )  # fmt: skip
    workflow = field.account.answer("--url", field.server.url, "create", spec)["workflow_id"]
    first = field.run(workflow, out="out1")
    field.account.until(lambda: len(pulses(pulse)) == 3)

    if way == "partition":
        field.faults.partition = True
    else:
        first.send_signal(signal.SIGSTOP)
    second = field.account.popen(
        "--url", field.server.url, "run", str(workflow), "--num-cpus", "4", "--memory-gb", "2", "--no-resume", "-o",
        "out2", "--progress", "none",
    )  # fmt: skip
    second.communicate(timeout=90)
    field.faults.partition = False
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=90)

    spans, last = field.ledger.spans(), pulses(pulse)
    assert second.returncode in (0, 1)
    assert sorted(one.attempt for one in spans) == [2, 2, 2]
    ends = {job: at for (job, _), at in last.items()}
    gaps = [one.begin - ends[one.job] for one in spans]
    assert min(gaps) > 2e9, gaps
    assert first.returncode == 4, err
    assert field.statuses(workflow) == {"completed": 3}


def test_f8_jobs_that_are_not_run_again_run_to_their_end_and_their_results_count(field: Field) -> None:
    jobs: list[dict[str, Any]] = [
        {"name": f"j{at}", "command": field.ledger.command(MINUTE + BEYOND / 1000 + 4)} for at in range(3)
    ]
    jobs.append({"name": "after", "command": field.ledger.command(0.1), "depends_on": ["j0"]})
    spec = field.account.spec("once", jobs, compute_node_wait_for_healthy_database_minutes=1)
    workflow = field.account.answer("--url", field.server.url, "create", spec)["workflow_id"]
    runner = field.run(workflow)
    field.account.until(lambda: len(field.ledger) == 3)

    field.faults.partition = True
    field.account.until(lambda: field.statuses(workflow).get("failed") == 3, 40)
    assert field.statuses(workflow) == {"failed": 3, "canceled": 1}
    field.faults.partition = False
    field.proxy.cut()
    _, err = runner.communicate(timeout=60)

    assert field.statuses(workflow) == {"completed": 4}, err
    assert {one.attempt for one in field.ledger.spans()} == {1}
    assert field.ledger.twice() == []


def test_results_of_a_runner_that_left_are_delivered_by_hand(field: Field) -> None:
    spec = field.account.spec(
        "left",
        [{"name": "j", "command": field.ledger.command(3)}],
        compute_node_wait_for_healthy_database_minutes=1,
    )
    workflow = field.account.answer("--url", field.server.url, "create", spec)["workflow_id"]
    runner = field.run(workflow)
    field.account.until(lambda: len(field.ledger) == 1)

    field.proxy.close()
    _, err = runner.communicate(timeout=60)
    assert runner.returncode == 4
    assert f"torc reconcile {workflow} 1" in err
    told = field.account.answer("--url", field.server.url, "reconcile", str(workflow), "--base-dir", "out")

    assert [one["verdict"] for one in told["items"]] == ["done"]
    assert field.statuses(workflow) == {"completed": 1}
