"""Runners that cannot reach the store or hear it, stand still, or vanish: what is run again has ended before (F6-F10).

Many runners, each behind a proxy of its own and in trouble in one way, share a workflow.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from torc_core.testing.proxy import Proxy
from torc_local.trees import children

if TYPE_CHECKING:
    from conftest import Field

PARTITIONS = int(os.environ.get("TORC_TEST_PARTITIONS", "0"))
"""Percent of all that is promised, and as long as promised; 0: a few, five times as short."""
FULL = PARTITIONS > 0
WAYS = os.environ.get("TORC_TEST_WAYS", "").split()
"""The kinds of trouble to try; none: all."""
LONGER = {"partition": 50, "one_way": 25, "mute": 25, "stopped": 30}
VANISHED = {"vanished": 50}
"""Runners that are gone with their guardians and their jobs, as when the power fails."""
SHORTER = {"partition": 100, "one_way": 25, "mute": 25, "stopped": 30}
AT_ONCE = 25
"""Runners that are in trouble at the same time, at most."""
EACH = 5 if FULL else 2
"""Partitions that each runner lives through where they are shorter than the lease."""
LEASE, SHORT_LEASE = (20, 30) if FULL else (4, 6)
BEYOND = 60 if FULL else 6
"""Seconds of W, and those that the store waits longer."""
SHORTEST, LONGEST = (5.0, 15.0) if FULL else (1.0, 3.0)
PULSE = Path(__file__).with_name("pulse.py")


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """A server and runners for which a minute is as long as the lease of the test."""
    minute = SHORT_LEASE if "shorter" in request.node.name else LEASE
    return {
        "TORC_TEST_MINUTE": str(minute), "TORC_TEST_BEYOND": str(BEYOND * 1_000), "TORC_SERVER__SWEEP_SECONDS": "1",
        "TORC_CLIENT__OFFLINE__DRAIN_PING_INTERVAL_SECS": "1",
    }  # fmt: skip


@dataclass
class Lane:
    """A runner, the proxy that it goes through, and what befalls it."""

    way: str
    proxy: Proxy
    runner: Any

    def strike(self) -> None:
        """From now on it cannot speak to the store."""
        if self.way == "stopped":
            self.runner.send_signal(signal.SIGSTOP)
        elif self.way == "vanished":
            vanish(self.runner.pid)
        else:
            setattr(self.proxy.faults, self.way, True)

    def heal(self) -> None:
        """It can again."""
        if self.way == "stopped":
            self.runner.send_signal(signal.SIGCONT)
        elif self.way != "vanished":
            setattr(self.proxy.faults, self.way, False)


def vanish(runner: int) -> None:
    """End a runner, its guardian and its jobs without a word."""
    (guardian,) = children(runner)
    for one in (guardian, runner):
        os.kill(one, signal.SIGSTOP)
    for one in (*children(guardian), guardian, runner):
        os.kill(one, signal.SIGKILL)


def lanes(field: Field, workflow: int, ways: list[str], *words: str) -> list[Lane]:
    """Start runners, each with a proxy of its own."""
    found = []
    for way in ways:
        proxy = Proxy(field.server.port)
        runner = field.account.popen(
            "--url", proxy.url(field.server.url), "run", str(workflow), "--no-resume", "--progress", "none", "-o", "out",
            *words,
        )  # fmt: skip
        found.append(Lane(way, proxy, runner))
    return found


def wanted(counts: dict[str, int]) -> dict[str, int]:
    """How many partitions of each kind to try."""
    return {
        way: max(1, count * PARTITIONS // 100) for way, count in counts.items() if not WAYS or way in WAYS
    }


def shared_out(counts: dict[str, int], each: int = 1) -> list[list[str]]:
    """The ways of all runners that are needed, in groups of those that run at the same time."""
    ways = [way for way, count in wanted(counts).items() for _ in range(-(-count // each))]
    random.Random(1).shuffle(ways)
    return [ways[at : at + AT_ONCE] for at in range(0, len(ways), AT_ONCE)]


class Life(NamedTuple):
    """The first and the last sign of life of an attempt, nanoseconds, and the process that ran it."""

    first: int
    last: int
    runner: int


def pulses(path: Path) -> dict[tuple[int, int], Life]:
    """The life of each attempt."""
    seen: dict[tuple[int, int], Life] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        job, attempt, runner, at = map(int, line.split())
        before = seen.get((job, attempt))
        seen[job, attempt] = Life(at, at, runner) if before is None else before._replace(last=at)
    return seen


def pulse(path: Path, how: str, end: Path | None = None) -> str:
    """The command of a job that says that it lives, until there is a file `end`, or for ever."""
    return f"exec {sys.executable} -S {PULSE} {path} {how}" + (f" {end}" if end else "")


@pytest.mark.parametrize("ways", shared_out(LONGER | VANISHED), ids=lambda ways: f"{len(ways)}")
def test_f6_f8_f9_f10_jobs_that_are_run_again_have_ended_before(field: Field, ways: list[str]) -> None:
    path = field.account.root / "pulse"
    again = f'test "$TORC_ATTEMPT_ID" = 1 || {pulse(path, "obeys", path)}; '
    # Where a runner stands still its guardian kills what ignores SIGTERM, after seconds that are not short in a test.
    hows = ("obeys", "ignores" if FULL else "obeys")
    jobs = [{"name": f"j{at}", "command": again + pulse(path, hows[at % 2])} for at in range(len(ways))]
    spec = field.account.spec(
        "again", jobs, compute_node_wait_for_healthy_database_minutes=1, retry_on_node_loss=1,
        execution_config={"sigterm_lead_seconds": 10 if FULL else 2},
    )  # fmt: skip
    workflow = field.account.answer("--url", field.server.url, "create", spec)["workflow_id"]
    troubled = lanes(field, workflow, ways, "--max-parallel-jobs", "1")
    field.account.until(lambda: len(pulses(path)) == len(ways), 300)

    for lane in troubled:
        lane.strike()
    healthy = field.account.popen(
        "--url", field.server.url, "run", str(workflow), "--max-parallel-jobs", str(len(ways)), "--no-resume", "-o",
        "healthy", "--progress", "none",
    )  # fmt: skip
    healthy.communicate(timeout=60 + 3 * (LEASE + BEYOND))
    for lane in troubled:
        lane.heal()
    codes = Counter(
        (lane.way, lane.runner.communicate(timeout=60) and lane.runner.returncode) for lane in troubled
    )

    assert field.statuses(workflow) == {"completed": len(ways)}
    seen = pulses(path)
    assert Counter(attempt for _, attempt in seen) == {1: len(ways), 2: len(ways)}
    way_of = {lane.runner.pid: lane.way for lane in troubled}
    gaps: dict[str, list[float]] = {}
    for job, attempt in seen:
        if attempt == 1:
            gap = (seen[job, 2].first - seen[job, 1].last) / 1e9
            gaps.setdefault(way_of[seen[job, 1].runner], []).append(gap)
    for way, found in gaps.items():
        print(
            f"{len(found)} {way}: nothing lived for {min(found):.1f} to {max(found):.1f} s between two attempts"
        )
    # At the latest W + 30 s the old attempt is dead, and W + 60 s the new one may begin.
    assert min(min(found) for found in gaps.values()) >= (20 if FULL else 0), gaps
    assert max(gaps.get("vanished", [0])) < LEASE + BEYOND + 15, gaps
    assert {code for way, code in codes if way != "vanished"} <= {4}, codes
    told = field.account.answer("--url", field.server.url, "reconcile", str(workflow), "--base-dir", "out")
    assert {one["verdict"] for one in told["items"]} <= {"stale"}
    for lane in troubled:
        lane.proxy.close()


@pytest.mark.parametrize("ways", shared_out(LONGER), ids=lambda ways: f"{len(ways)}")
def test_f8_f9_f10_jobs_that_are_not_run_again_run_to_their_end_and_their_results_count(
    field: Field, ways: list[str]
) -> None:
    path, over = field.account.root / "pulse", field.account.root / "over"
    jobs: list[dict[str, Any]] = [
        {"name": f"j{at}", "command": pulse(path, "obeys", over)} for at in range(len(ways))
    ]
    jobs += [
        {"name": f"after{at}", "command": field.ledger.command(0.1), "depends_on": [f"j{at}"]}
        for at in range(len(ways))
    ]
    spec = field.account.spec("once", jobs, compute_node_wait_for_healthy_database_minutes=1)
    workflow = field.account.answer("--url", field.server.url, "create", spec)["workflow_id"]
    troubled = lanes(field, workflow, ways, "--max-parallel-jobs", "1")
    field.account.until(lambda: len(pulses(path)) == len(ways), 300)

    for lane in troubled:
        lane.strike()
    # Whose requests still pass need not be taken for lost.
    lost = sum(way != "one_way" for way in ways)
    field.account.until(lambda: field.statuses(workflow).get("failed", 0) >= lost, 60 + LEASE + BEYOND)
    for lane in troubled:
        lane.heal()
    over.touch()
    errors = [lane.runner.communicate(timeout=120)[1] for lane in troubled]
    # Where a runner asked for the last time just before the store could be reached again, the next one delivers.
    field.account.popen(
        "--url",
        field.server.url,
        "run",
        str(workflow),
        "-j",
        "2",
        "--no-resume",
        "-o",
        "out",
        "--progress",
        "none",
    ).communicate(timeout=120)

    assert field.statuses(workflow) == {"completed": 2 * len(ways)}, errors
    seen = pulses(path)
    assert {attempt for _, attempt in seen} == {1}
    lived = [(life.last - life.first) / 1e9 for life in seen.values()]
    print(
        f"{len(lived)} jobs ran to their end, {lost} of them after they had been given up: {min(lived):.1f} s"
    )
    assert min(lived) > LEASE + BEYOND
    assert field.ledger.twice() == []
    assert {one.attempt for one in field.ledger.spans()} == {1}
    for lane in troubled:
        lane.proxy.close()


@pytest.mark.parametrize("ways", shared_out(SHORTER, EACH), ids=lambda ways: f"{len(ways)}")
def test_f7_f9_f10_partitions_shorter_than_the_lease_kill_and_repeat_nothing(
    field: Field, ways: list[str]
) -> None:
    slots, mean = 2, 1.5 if FULL else 0.7
    pause = 3.0 if FULL else 0.5
    long = EACH * ((SHORTEST + LONGEST) / 2 + pause) + 3 * pause
    count = int(len(ways) * slots * long / mean)
    workflow = field.create(
        count, seconds=2 * mean, compute_node_wait_for_healthy_database_minutes=1, retry_on_node_loss=1
    )
    troubled = lanes(field, workflow, ways, "--max-parallel-jobs", str(slots))
    field.account.until(lambda: len(field.ledger) > slots * len(ways), 300)
    done = Counter[str]()

    def befall(lane: Lane, dice: random.Random) -> None:
        for _ in range(EACH):
            time.sleep(dice.uniform(0, 2 * pause))
            if lane.runner.poll() is not None:
                return
            lane.strike()
            time.sleep(dice.uniform(SHORTEST, LONGEST))
            lane.heal()
            done[lane.way] += 1

    threads = [
        threading.Thread(target=befall, args=(lane, random.Random(at))) for at, lane in enumerate(troubled)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = Counter(lane.runner.communicate(timeout=180) and lane.runner.returncode for lane in troubled)

    print(f"{done.total()} partitions beside {count} jobs: {dict(done)}")
    assert codes == {0: len(ways)}
    field.check(workflow, count)
    assert done == {way: EACH * count for way, count in Counter(ways).items()}
    for lane in troubled:
        lane.proxy.close()
