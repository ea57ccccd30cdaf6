"""What flows share: a home of one's own, and torc as a user starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


class Torc:
    """`torc` in a fresh account and a working directory of its own."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.env = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "USER": "ada",
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(home / "run"),
        }
        (home / "run").mkdir(mode=0o700, parents=True)
        self.started: list[subprocess.Popen[str]] = []

    def command(self, *words: str) -> list[str]:
        """The words that start torc with these arguments."""
        return [sys.executable, "-m", "torc_core", *words]

    def __call__(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run torc to its end and insist on its exit status."""
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env=self.env, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start torc and leave it running."""
        process = subprocess.Popen(
            self.command(*words), cwd=self.folder, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what a failed test left running."""
        for process in self.started:
            with process:
                process.terminate()

    def json(self, *words: str, status: int = 0) -> Any:
        """What torc answers in JSON."""
        return json.loads(self(*words, "-f", "json", status=status).stdout)


@pytest.fixture
def torc(tmp_path: Path) -> Iterator[Torc]:
    """Torc in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    torc = Torc(tmp_path / "home", folder)
    yield torc
    torc.close()


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Torc]:
    """Torc in a copy of an example's folder."""

    def in_copy(name: str) -> Torc:
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder)
        return Torc(tmp_path / "home", folder)

    return in_copy
