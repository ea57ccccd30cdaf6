"""A server and runners of their own, with jobs that keep a ledger, and the verdict over what they left."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE, until
from torc_core.config.credentials import Credentials
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.checker import Call, check, gathered, noting, read_ledger, survivors
from torc_http import open_store
from torc_http.client.settings import HttpStoreSettings
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

CLOCK = SystemClock()


class Site:
    """An account in which a server lives and dies while runners work."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "torc.db"
        self.ledger = root / "ledger"
        (root / "run").mkdir(mode=0o700)
        self.env = {
            "HOME": str(root), "USER": "ada", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(root / "run"), "LANG": "C.UTF-8",
        }  # fmt: skip
        self.port = free_port()
        self.processes: list[subprocess.Popen[Any]] = []
        self.server: subprocess.Popen[Any] | None = None
        self.url = ""
        self.calls: list[Call] = []

    def popen(self, *words: str, log: str) -> subprocess.Popen[Any]:
        """Start torc; what it says goes to a file."""
        env = {**self.env, **({"TORC_API_URL": self.url} if self.url else {})}
        with (self.root / log).open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "torc_core", *words], cwd=self.root, env=env, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def torc(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run torc to its end."""
        return subprocess.run(
            [sys.executable, "-m", "torc_core", *words], cwd=self.root, env={**self.env, "TORC_API_URL": self.url},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip

    def serve(self, *more: str) -> None:
        """Start the server on the same port and database, and wait until it says that it serves."""
        url, told = self.url, self._told()
        self.url = ""
        words = [
            "server",
            "run",
            "--database",
            str(self.database),
            "--port",
            str(self.port),
            "--threads",
            "4",
            *more,
        ]
        self.server = self.popen(*words, log="server.log")
        self.url = url or f"http://127.0.0.1:{self.port}/torc-service/v1"
        until(lambda: self._alive() and self._told() > told)

    def _told(self) -> int:
        """How often a server has said that it serves."""
        log = self.root / "server.log"
        return log.read_text().count("TORC_API_URL=") if log.exists() else 0

    def _alive(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, self.said("server.log")
        return True

    def kill_server(self) -> None:
        """`kill -9`."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def stop_server(self) -> int:
        """The clean way."""
        assert self.server is not None
        self.server.send_signal(signal.SIGTERM)
        return self.server.wait(PATIENCE)

    def store(self) -> Store:
        """A store behind the server."""
        credentials = Credentials(username="ada", key_folder=self.root / ".config/torc/servers")
        return open_store(self.url, HttpStoreSettings(), CLOCK, credentials)

    def spec(self, jobs: list[dict[str, Any]], **more: Any) -> str:
        """Write a specification; its file name."""
        (self.root / "spec.json").write_text(json.dumps({"name": "faults", "jobs": jobs, **more}))
        return "spec.json"

    def layers(self, count: int, seed: int, longest: float = 0.2, layers: int = 5) -> list[dict[str, Any]]:
        """So many jobs in five layers with random edges that each note their start and their end."""
        dice, found = random.Random(seed), list[dict[str, Any]]()
        width = max(1, count // layers)
        for at in range(count):
            layer = min(at // width, layers - 1)
            before = range((layer - 1) * width, layer * width) if layer else ()
            job = {"name": f"j{at}", "command": noting(self.ledger, f"{dice.uniform(0, longest):.3f}")}
            if before:
                job["depends_on"] = [f"j{one}" for one in dice.sample(before, min(2, len(before)))]
            found.append(job)
        return found

    def waiting(self, name: str, gate: str) -> dict[str, Any]:
        """A job that runs until a gate is opened."""
        wait = f"until test -e {self.root}/{gate}; do sleep 0.05; done"
        return {"name": name, "command": noting(self.ledger, "sh", "-c", wait)}

    def open(self, gate: str) -> None:
        """Let those end that wait for it."""
        (self.root / gate).touch()

    def until(self, seen: Callable[[], bool], seconds: float) -> None:
        """Wait for something to be true."""
        until(seen, seconds)

    def said(self, log: str) -> str:
        """The end of what a process said."""
        return (self.root / log).read_text()[-3000:]

    def lines(self) -> int:
        """How many lines the jobs have written."""
        return len(read_ledger(self.ledger))

    def verdict(self, database: Path | None = None, *, ends: bool = True, quiet: bool = True) -> list[str]:
        """What is wrong with what is left."""
        whole = database is None
        url = f"sqlite://{database or self.database}"
        with closing(open_sqlite(url, SqliteSettings(), CLOCK)) as store:
            evidence = gathered(
                store,
                CLOCK.now(),
                marks=read_ledger(self.ledger) if whole else (),
                calls=self.calls if whole else (),
                survivors=survivors(self.root) if whole else (),
            )
        return [str(one) for one in check(evidence, ends=ends, quiet=quiet)]

    def backup(self, name: str) -> Path:
        """Copy the database while it is written, as `sqlite3 FILE ".backup COPY"` does."""
        target = self.root / name
        source = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(target)) as copy:
            source.backup(copy, pages=256, sleep=0.001)
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return target

    def close(self) -> None:
        """End what is left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for one in survivors(self.root):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A fresh account."""
    site = Site(tmp_path)
    yield site
    site.close()
