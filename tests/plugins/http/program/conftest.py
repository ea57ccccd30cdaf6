"""An account of its own, in which real servers and commands run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE, until

TORC = [sys.executable, "-m", "torc_core"]


class Server:
    """A server process that has said where it is."""

    def __init__(self, process: subprocess.Popen[str], port: int, url: str) -> None:
        self.process = process
        self.port = port
        self.url = url

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


class Account:
    """A home with nothing in it."""

    until = staticmethod(until)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "data" / "torc.db"
        runtime = root / "run"
        runtime.mkdir(mode=0o700)
        self.env = {
            "HOME": str(root), "USER": "ada", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(runtime),
        }  # fmt: skip
        self.processes: list[subprocess.Popen[str]] = []

    def popen(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start `torc` with these words."""
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        env = {**self.env, **given.pop("env", {})}
        process = subprocess.Popen([*TORC, *words], cwd=self.root, env=env, text=True, **given)
        self.processes.append(process)
        return process

    def torc(self, *words: str, code: int = 0, **env: str) -> str:
        """Run `torc` to its end; what it printed."""
        process = self.popen(*words, env=env)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, f"{words}: {process.returncode}\n{out}\n{err}"
        return out if not code else out + err

    def answer(self, *words: str, **env: str) -> Any:
        """What `torc -f json` answers."""
        return json.loads(self.torc("-f", "json", *words, **env))

    def serve(self, *words: str, **more: Any) -> Server:
        """Start a server for the account's database; it has said where it is when this returns."""
        if not any(word.startswith(("--port", "-p")) for word in words):
            words = ("--port", "0", *words)
        process = self.popen("server", "run", "--database", str(self.database), *words, **more)
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        if not second:
            raise AssertionError(f"the server did not start: {process.communicate()}")
        return Server(process, int(first.partition("=")[2]), second.partition("=")[2].strip())

    def spec(self, name: str, jobs: list[dict[str, Any]], **more: Any) -> str:
        """Write a specification; its file name."""
        (self.root / f"{name}.json").write_text(json.dumps({"name": name, "jobs": jobs, **more}))
        return f"{name}.json"


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """A fresh account; whatever it started is ended."""
    home = Account(tmp_path)
    yield home
    for process in home.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
