"""Limits as users give them: `torc exec --memory`, `--timeout`, `--retries`; `torc run --time-limit` and its like."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import SOON

Torc = Callable[..., Any]
LONG = "sleep 60"


def spec(home: Path, *commands: str, runtime: str = "PT2S", **fields: Any) -> str:
    document = {
        "name": "limits",
        "resource_requirements": [{"name": "asked", "num_cpus": 1, "memory": "50m", "runtime": runtime}],
        "jobs": [
            {"name": f"job{number}", "command": command, "resource_requirements": "asked"}
            for number, command in enumerate(commands, 1)
        ],
        "execution_config": {"sigterm_lead_seconds": 1, "sigkill_headroom_seconds": 1, **fields},
    }
    (home / "spec.json").write_text(json.dumps(document))
    return "spec.json"


def ends(ran: Any) -> list[tuple[int, str]]:
    return [(one["return_code"], one["reason"]) for one in ran.json["failed_jobs"]]


def test_a_command_that_takes_more_memory_than_it_was_given_is_told_so(torc: Torc) -> None:
    hog = f"exec '{sys.executable}' -S -c 'import time; x = bytearray(10**8); time.sleep(20)'"

    ran = torc("--json", "exec", "--memory", "50m", "-c", hog, "-c", "true")

    assert ran.code == 1
    ((code, reason),) = ends(ran)
    assert (code, reason.partition(":")[0]) == (137, "oom")
    assert "failed: exit 137 (out of memory, peak " in ran.err


@pytest.mark.parametrize("option", ["--timeout", "--runtime"])
def test_a_command_that_takes_longer_than_it_may_is_ended(torc: Torc, option: str) -> None:
    begin = time.monotonic()

    ran = torc("--json", "exec", option, "4s", "-c", LONG, "-c", "true")

    assert time.monotonic() - begin < SOON
    assert (ran.code, ran.json["jobs_by_status"]["completed"]) == (1, 1)
    assert ends(ran) == [(-15, "runtime: 4 s of 4 s")] or ends(ran)[0][1].endswith(" of 4 s")


def test_a_timeout_can_be_a_part_of_the_median(torc: Torc) -> None:
    ran = torc(
        "--json", "exec", "--timeout", "2000%", "-j", "2", "sleep {}", ":::", "0.2", "0.2", "0.2", "0.2", "60"
    )

    assert ran.json["jobs_by_status"]["completed"] == 4
    ((code, reason),) = ends(ran)
    assert (code, reason.partition(":")[0]) == (-15, "runtime")


def test_a_command_that_fails_is_tried_again(torc: Torc, home: Path) -> None:
    ran = torc("exec", "--retries", "2", "-c", "echo $TORC_ATTEMPT_ID >> tries; test $TORC_ATTEMPT_ID = 3")
    never = torc("exec", "--retries", "1", "-c", "echo x >> never; exit 1")

    assert (ran.code, (home / "tries").read_text().split()) == (0, ["1", "2", "3"])
    assert (never.code, (home / "never").read_text().split()) == (1, ["x", "x"])


def test_a_run_ends_when_its_time_is_over(torc: Torc, home: Path) -> None:
    stubborn = "trap '' TERM; while :; do sleep 0.1; done"
    path = spec(home, LONG, stubborn, "true", sigterm_lead_seconds=3)

    begin = time.monotonic()
    ran = torc("--json", "run", path, "--time-limit", "16s", "--num-cpus", "3")

    assert time.monotonic() - begin < SOON
    assert (ran.code, ran.json["jobs_by_status"]["completed"]) == (1, 1)
    assert sorted(ends(ran)) == [(-15, "walltime"), (152, "walltime")]


def test_what_does_not_fit_before_the_end_stays_ready_and_is_run_later(torc: Torc, home: Path) -> None:
    path = spec(home, "true", runtime="PT1M")
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()

    early = torc("run", path, "--end-time", soon)
    late = torc("--json", "run", path)

    assert (early.code, "longer than the" in early.err) == (1, True)
    assert (late.code, late.json["jobs_by_status"]["completed"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "s.json", "--time-limit", "soon"), "--time-limit 'soon' is not a duration"),
        (
            ("run", "s.json", "--end-time", "2020-01-01T00:00:00Z"),
            "--end-time '2020-01-01T00:00:00Z' is past",
        ),
        (("run", "s.json", "--end-time", "tomorrow"), "--end-time 'tomorrow' is not a time"),
        (("run", "s.json", "-p", "0"), "--poll-interval '0' is out of range"),
        (("run", "s.json", "--startup-delay-seconds", "-1"), "--startup-delay-seconds '-1' is out of range"),
        (("run", "s.json", "--wait-for-server", "-1"), "--wait-for-server '-1' is out of range"),
        (("exec", "--timeout", "30%", "-c", "true"), "--timeout '30%' is not a percentage above 100%"),
        (("exec", "--timeout", "x", "-c", "true"), "--timeout 'x' is not a duration"),
        (("exec", "--retries", "-1", "-c", "true"), "--retries '-1' is out of range"),
    ],
)
def test_values_that_cannot_be_are_refused(torc: Torc, words: tuple[str, ...], sentence: str) -> None:
    ran = torc(*words)

    assert (ran.code, sentence in ran.err) == (2, True), ran.err


def test_a_server_that_is_away_is_waited_for_as_long_as_one_likes(torc: Torc, home: Path) -> None:
    path = spec(home, "true")

    begin = time.monotonic()
    ran = torc("--url", "http://127.0.0.1:9", "run", path, "--wait-for-server", "0.02")

    assert ran.code == 4
    assert 0.5 <= time.monotonic() - begin < SOON
    assert "waiting for the server" in ran.err


def test_a_startup_delay_is_shorter_than_its_window(torc: Torc, home: Path) -> None:
    path = spec(home, "true")

    begin = time.monotonic()
    ran = torc("run", path, "--startup-delay-seconds", "1")

    assert (ran.code, time.monotonic() - begin < SOON) == (0, True)
