"""How a command of Slurm is run to its end, or is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.waiting import until
from torc_slurm.scheduler.programs import run


def program(folder: Path, text: str) -> list[str]:
    """A command that first of all writes down which process it is."""
    path = folder / "program"
    path.write_text(
        f"#!/bin/sh\necho $$ >'{folder}/pid.part'\nmv '{folder}/pid.part' '{folder}/pid'\n{text}\n"
    )
    path.chmod(0o755)
    return [str(path)]


def ended(folder: Path) -> bool:
    pid = folder / "pid"
    return pid.exists() and ") Z " in Path(f"/proc/{pid.read_text().strip()}/stat").read_text()


def test_what_had_answered_before_its_time_was_over_has_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-Z, and on a host that stood still: who asks looks again when the time is over."""
    looks = 0

    def later() -> float:
        nonlocal looks
        looks += 1
        if looks == 2:
            until(lambda: ended(tmp_path))
        return 1000.0 * min(looks, 2)

    monkeypatch.setattr(subprocess, "_time", later)

    ran = run(program(tmp_path, "echo 7; echo told >&2; exit 3"), os.environ, 60.0)

    assert (ran.code, ran.out, ran.err) == (3, "7\n", "told\n")


def test_what_takes_too_long_is_ended_and_has_not_answered(tmp_path: Path) -> None:
    ran = run(program(tmp_path, "exec sleep 600"), os.environ, 0.5)

    assert (ran.code, ran.out) == (None, "")
