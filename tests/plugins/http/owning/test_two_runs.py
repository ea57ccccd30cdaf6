"""Two runs share a database; the one that stays takes it over from the one that leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE

TORC = [sys.executable, "-m", "torc_core"]
SHARE = ["--num-cpus", "1", "--memory-gb", "1"]


class Account:
    """A fresh account with an empty working directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        runtime = root / "run"
        runtime.mkdir(mode=0o700)
        self.started: list[subprocess.Popen[str]] = []
        self.env = {
            "HOME": str(root),
            "USER": "ada",
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(runtime),
        }

    def spec(self, name: str, *commands: str) -> str:
        jobs = [{"name": f"{name}{place}", "command": command} for place, command in enumerate(commands)]
        (self.root / f"{name}.json").write_text(json.dumps({"name": name, "jobs": jobs}))
        return f"{name}.json"

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*TORC, *words], cwd=self.root, env=self.env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.started.append(process)
        return process

    def answer(self, *words: str) -> Any:
        process = self.start("-f", "json", *words)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        return json.loads(out)

    def until(self, name: str, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not (self.root / name).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"{name} did not appear"
            time.sleep(0.01)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    account = Account(tmp_path)
    yield account
    for name in ("go-one", "go-two"):
        (tmp_path / name).touch()  # no job waits for ever, whatever fails
    for process in account.started:
        process.kill()
        process.communicate()


def test_a_run_outlives_the_one_whose_database_it_shared(account: Account) -> None:
    wait = "touch {0}; while [ ! -e go-{0} ]; do sleep 0.02; done"
    first = account.start("run", account.spec("first", wait.format("one")), *SHARE)
    account.until("one", first)
    second = account.start("run", account.spec("second", wait.format("two"), "true", "true"), *SHARE)
    account.until("two", second)

    (account.root / "go-one").touch()
    assert first.wait(PATIENCE) == 0, first.communicate()
    looked = account.answer("status", "last")
    (account.root / "go-two").touch()
    _, err = second.communicate(timeout=PATIENCE)

    assert second.returncode == 0, err
    assert looked["jobs_by_status"]["running"] == 1
    assert account.answer("status", "last")["jobs_by_status"]["completed"] == 3


def test_a_run_outlives_the_killed_one_whose_database_it_shared(account: Account) -> None:
    wait = "touch {0}; while [ ! -e go-{0} ]; do sleep 0.02; done"
    first = account.start("run", account.spec("first", wait.format("one")), *SHARE)
    account.until("one", first)
    second = account.start("run", account.spec("second", wait.format("two"), "true", "true"), *SHARE)
    account.until("two", second)

    first.kill()
    first.communicate()
    (account.root / "go-two").touch()
    _, err = second.communicate(timeout=PATIENCE)
    (account.root / "go-one").touch()

    assert second.returncode == 0, err
    assert account.answer("status", "last")["jobs_by_status"]["completed"] == 3
