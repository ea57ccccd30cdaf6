"""Servers, runners and a proxy between them, on a ledger that the jobs write."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from torc_core.testing.proxy import Faults, Proxy

_SPEC = importlib.util.spec_from_file_location(
    "torc_tests_accounts", Path(__file__).parents[1] / "plugins" / "http" / "program" / "conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
accounts: Any = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = accounts
_SPEC.loader.exec_module(accounts)

OPEN = ("--auth", "none")
"""Keys are kept by address, and the proxy has one of its own."""

LEDGER = (
    'echo "$TORC_JOB_ID $TORC_RUN_ID $TORC_ATTEMPT_ID begin $(date +%s%N)" >> {ledger}; sleep {seconds}; '
    'echo "$TORC_JOB_ID $TORC_RUN_ID $TORC_ATTEMPT_ID end $(date +%s%N)" >> {ledger}'
)
"""A job that says when it begins and ends; a line is one write, so lines are whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """One execution; `end` None: it was killed."""

    job: int
    run: int
    attempt: int
    begin: int
    end: int | None


class Ledger:
    """What jobs have written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def command(self, seconds: float) -> str:
        """The command of a job that takes so long."""
        return LEDGER.format(ledger=self.path, seconds=f"{seconds:.3f}")

    def spans(self) -> list[Span]:
        """Every execution."""
        begun: list[tuple[int, int, int, int]] = []
        ended: dict[tuple[int, int, int], int] = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            job, run, attempt, what, at = line.split()
            if what == "begin":
                begun.append((int(job), int(run), int(attempt), int(at)))
            else:
                ended[int(job), int(run), int(attempt)] = int(at)
        return [Span(*one, ended.get(one[:3])) for one in begun]

    def twice(self) -> list[tuple[int, int, int]]:
        """Attempts that were begun more than once."""
        counts = Counter((one.job, one.run, one.attempt) for one in self.spans())
        return [attempt for attempt, count in counts.items() if count > 1]

    def __len__(self) -> int:
        return self.path.read_text().count("begin") if self.path.exists() else 0


class Field:
    """An account with a server, a proxy before it, and runners that go through the proxy."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.ledger = Ledger(account.root / "ledger")
        # A pipe that nobody reads would be full after a while, and the server would stand still.
        self.said = (account.root / "server.log").open("ab")
        self.server = account.serve(*OPEN, stderr=self.said)
        self.proxy = Proxy(self.server.port)
        self.url = self.proxy.url(self.server.url)
        self.runners: list[Any] = []
        self.created = 0

    @property
    def faults(self) -> Faults:
        """What the proxy does."""
        return self.proxy.faults

    def create(self, jobs: int, *, seconds: float = 0.2, layers: int = 1, seed: int = 1, **more: Any) -> int:
        """Create a workflow of so many jobs in layers with random edges; its id."""
        chance = random.Random(seed)  # a shape, not a secret
        planned: list[dict[str, Any]] = []
        for number in range(jobs):
            layer = number * layers // jobs
            before = [one["name"] for one in planned if one["name"].startswith(f"l{layer - 1}_")]
            job: dict[str, Any] = {
                "name": f"l{layer}_{number}",
                "command": self.ledger.command(chance.uniform(0, seconds)),
            }
            if before:
                job["depends_on"] = chance.sample(before, min(2, len(before)))
            planned.append(job)
        spec = self.account.spec("faults", planned, **more)
        made = self.account.answer("--url", self.server.url, "create", spec)
        self.created += jobs
        return int(made["workflow_id"])

    def run(self, workflow: int, *words: str, out: str = "out") -> Any:
        """Start a runner that goes through the proxy."""
        runner = self.account.popen(
            "--url", self.url, "run", str(workflow), "--num-cpus", "4", "--memory-gb", "2", "--progress", "none", "-o", out, *words,
            "--poll-interval", "0.5",
        )  # fmt: skip
        self.runners.append(runner)
        return runner

    def restart(self) -> None:
        """Kill the server, and start it again on the same port."""
        self.server.process.kill()
        self.server.process.wait()
        self.server = self.account.serve("--port", str(self.server.port), *OPEN, stderr=self.said)

    def finish(self, codes: tuple[int, ...] = (0,)) -> None:
        """Wait until all runners have left, the longer the more there is to do."""
        for runner in self.runners:
            out, err = runner.communicate(timeout=120 + self.created)
            assert runner.returncode in codes, f"exit {runner.returncode}\n{out}\n{err}"

    def results(self, workflow: int) -> list[dict[str, Any]]:
        """Every result."""
        found = self.account.answer(
            "--url", self.server.url, "results", "list", str(workflow), "--all-runs", "--all-attempts"
        )
        return list(found["items"])

    def statuses(self, workflow: int) -> dict[str, int]:
        """How many jobs have which status; none are left out."""
        found = self.account.answer("--url", self.server.url, "jobs", "list", str(workflow))
        return dict(Counter(one["status"] for one in found["items"]))

    def check(self, workflow: int, jobs: int) -> None:
        """Every job has completed once, and has one result."""
        assert self.statuses(workflow) == {"completed": jobs}
        results = self.results(workflow)
        assert len(results) == jobs, Counter(one["status"] for one in results)
        assert {one["attempt_id"] for one in results} == {1}
        assert self.ledger.twice() == []
        assert len(self.ledger) == jobs
        assert list(self.account.root.glob("out*/.torc-spool/*")) == []

    def log(self) -> str:
        """What runners have logged."""
        return "".join(path.read_text() for path in self.account.root.glob("out*/job_runner_*.log"))

    def close(self) -> None:
        """End the proxy."""
        self.proxy.close()
        self.said.close()


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Any]:
    """A fresh account; whatever it started is ended."""
    home = accounts.Account(tmp_path)
    yield home
    for process in home.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def settings() -> dict[str, str]:
    """Variables for all programs; with `TORC_TEST_MINUTE` their minutes are short (`quick.py`)."""
    return {}


@pytest.fixture
def field(account: Any, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    """A server and a proxy."""
    if settings:
        monkeypatch.setattr(accounts, "TORC", [sys.executable, str(Path(__file__).with_name("quick.py"))])
        account.env |= settings
    made = Field(account)
    yield made
    made.close()
