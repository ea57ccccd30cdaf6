"""What every launcher has to do, as tests: subclass `LauncherContract` and give it a `launcher` fixture."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from torc_core.protocols import AllocationState, Launcher, LaunchRequest

PATIENCE = 60.0
"""Seconds in which anything that is waited for has to happen."""

BUSY = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


class LauncherContract:
    """Submitting, asking, cancelling."""

    def test_what_was_submitted_runs(self, launcher: Launcher, tmp_path: Path) -> None:
        proof = tmp_path / "proof"
        command = [sys.executable, "-S", "-c", f"open({str(proof)!r}, 'w').close()"]

        ids = launcher.submit(LaunchRequest(command=command))

        wait_until_ended(launcher, ids[0])
        assert len(ids) == 1
        assert proof.exists()

    def test_there_is_one_runner_for_each_node(self, launcher: Launcher) -> None:
        ids = launcher.submit(LaunchRequest(command=BUSY, nodes=2))

        states = launcher.status(ids)

        launcher.cancel(ids)
        assert states
        assert set(states.values()) <= {AllocationState.RUNNING, AllocationState.QUEUED}

    def test_what_is_cancelled_ends(self, launcher: Launcher) -> None:
        ids = launcher.submit(LaunchRequest(command=BUSY))

        launcher.cancel(ids)

        wait_until_ended(launcher, ids[0])

    def test_cancelling_twice_has_no_effect(self, launcher: Launcher) -> None:
        ids = launcher.submit(LaunchRequest(command=BUSY))
        launcher.cancel(ids)
        wait_until_ended(launcher, ids[0])

        launcher.cancel(ids)

        assert launcher.status(ids) == {ids[0]: AllocationState.ENDED}

    def test_what_is_not_known_has_ended(self, launcher: Launcher) -> None:
        launcher.cancel(["1.1"])

        assert launcher.status(["1.1"]) == {"1.1": AllocationState.ENDED}


def wait_until_ended(launcher: Launcher, allocation: str) -> None:
    """Ask until it has ended."""
    deadline = time.monotonic() + PATIENCE
    while launcher.status([allocation])[allocation] is not AllocationState.ENDED:
        assert time.monotonic() < deadline, f"{allocation!r} does not end"
        time.sleep(0.01)
