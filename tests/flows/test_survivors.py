"""However a runner dies, nothing that it started lives on: `runner.md` §1, promises F4 and F5."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from conftest import Torc

ROUNDS = int(os.environ.get("TORC_TEST_KILLS", "1"))
"""Rounds of each kind of death; the promise is about 100."""
FORKING = "setsid sh -c 'sleep 301 & sleep 302' & (sleep 303 &) ; echo up >> up; sleep 304"
STUBBORN = "trap '' TERM; setsid sh -c \"trap '' TERM; echo up >> up; while :; do sleep 1; done\" & while :; do sleep 1; done"
JOBS = 4


def start(torc: Torc, command: str) -> tuple[int, int]:
    """A run whose jobs are all up: its process and its guardian."""
    (torc.folder / "up").unlink(missing_ok=True)
    path = torc.folder / "spec.json"
    path.write_text(
        json.dumps({"name": "forks", "jobs": [{"name": f"j{n}", "command": command} for n in range(JOBS)]})
    )
    process = torc.start("run", str(path), "--new", "-j", str(JOBS), "-o", str(torc.folder / "out"))
    until(lambda: (torc.folder / "up").exists() and (torc.folder / "up").read_text().count("up") >= JOBS)
    return process.pid, guardian_of(process.pid)


def guardian_of(runner: int) -> int:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == runner and b"torc_local.guardian" in command:
            return int(path.name)
    raise AssertionError("the runner has no guardian")


def survivors(torc: Torc) -> list[int]:
    """Living processes of jobs of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environ = (path / "environ").read_bytes()
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"TORC_MARK=" in environ and str(torc.folder).encode() in environ and state not in "ZX":
            found.append(int(path.name))
    return found


def reap(torc: Torc) -> None:
    for process in torc.started:
        process.communicate(timeout=PATIENCE)
    torc.started.clear()


# What does not obey SIGTERM is killed after ten seconds.
@pytest.mark.parametrize(("command", "within"), [(FORKING, 9), (STUBBORN, 15)], ids=["forking", "stubborn"])
def test_fifteen_seconds_after_a_runner_is_killed_nothing_is_left(
    torc: Torc, command: str, within: float
) -> None:
    for _ in range(ROUNDS):
        runner, _ = start(torc, command)

        os.kill(runner, signal.SIGKILL)

        until(lambda: not survivors(torc), within)
        reap(torc)


def test_jobs_of_a_guardian_that_is_killed_are_ended_and_told(torc: Torc) -> None:
    for _ in range(ROUNDS):
        _, guardian = start(torc, FORKING)

        os.kill(guardian, signal.SIGKILL)

        until(lambda: not survivors(torc), 15)
        torc.started[0].communicate(timeout=PATIENCE)
        torc.started.clear()
        results = torc.json("results", "list", "last")["items"]
        assert [(one["status"], one["reason"]) for one in results] == [("terminated", "runner_died")] * JOBS


def test_what_runner_and_guardian_left_dies_when_the_next_runner_starts(torc: Torc) -> None:
    for _ in range(ROUNDS):
        runner, guardian = start(torc, FORKING)
        os.kill(guardian, signal.SIGSTOP)
        os.kill(runner, signal.SIGKILL)
        os.kill(guardian, signal.SIGKILL)
        reap(torc)
        left = survivors(torc)

        again = torc.start("run", "last", "-j", str(JOBS), "-o", str(torc.folder / "out"))

        until(lambda left=left: not set(left) & set(survivors(torc)))
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=PATIENCE)
        torc.started.clear()
        assert len(left) >= JOBS
        assert survivors(torc) == []
