"""A runner on a store in memory, with real processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torc_core.detection import Detected
from torc_core.model import (
    Initialize,
    Job,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Query,
    Resources,
    Result,
    Workflow,
)
from torc_core.runner.options import Options
from torc_core.runner.report import End, Report, Tally
from torc_core.runner.runner import Runner
from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_local.executor import Subprocesses

GIB = 1024**3


class Advanced(SystemClock):
    """The clock of a machine on which some seconds pass at once."""

    passed = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.passed


class Watching:
    """Keeps what a runner tells, and may do something at the first end."""

    def __init__(self) -> None:
        self.ends: list[End] = []
        self.tallies: list[Tally] = []

    def ended(self, ends: Sequence[End]) -> None:
        self.ends += ends

    def turned(self, tally: Tally) -> None:
        self.tallies.append(tally)


class Site:
    """A store, an executor, and a way to run plans on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self.store = MemoryStore(self.clock)
        self.executor = Subprocesses()
        self.watching = Watching()
        self.detected = Detected(capacity=Resources(cpus=4, memory=8 * GIB))
        self.environ = dict(os.environ)
        self.workflow: Workflow

    def create(self, *jobs: str | PlannedJob, plan: Plan | None = None, **settings: Any) -> Workflow:
        """Create and initialise a workflow."""
        planned = [
            one if isinstance(one, PlannedJob) else PlannedJob(name=f"job{index}", command=one)
            for index, one in enumerate(jobs, 1)
        ]
        plan = plan or Plan(workflow=PlannedWorkflow(name="test"), jobs=planned)
        plan = replace(plan, workflow=replace(plan.workflow, **settings))
        workflow = self.store.create(plan, "me")
        self.store.initialize(workflow.id, Initialize())
        self.workflow = self.store.get(Workflow, workflow.id)
        return self.workflow

    def runner(self, **options: Any) -> Runner:
        """A runner for the workflow."""
        return Runner(
            self.store,
            self.executor,
            self.clock,
            self.workflow,
            self.detected,
            environ=self.environ,
            options=Options(output_dir=str(self.folder / "out"), **options),
            watcher=self.watching,
            chores=self.store,
        )

    def run(self, *jobs: str | PlannedJob, **settings: Any) -> Report:
        """Create a workflow and run it."""
        self.create(*jobs, **settings)
        return self.runner().run()

    def results(self) -> list[Result]:
        """All results, by job and attempt."""
        found = self.store.find(Result, Query(workflow=self.workflow.id)).items
        return sorted(found, key=lambda one: (one.job_id, one.run_id, one.attempt_id))

    def result(self) -> Result:
        """The result of the only job."""
        (one,) = self.results()
        return one

    def jobs(self) -> list[Job]:
        """All jobs, by id."""
        return list(self.store.find(Job, Query(workflow=self.workflow.id)).items)

    def file(self, suffix: str, job: int = 1) -> Path:
        """A stdio file of the first attempt of a job, by its position."""
        name = f"job_wf{self.workflow.id}_j{self.jobs()[job - 1].id}_r{self.workflow.run_id}_a1{suffix}"
        return self.folder / "out" / "job_stdio" / name


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A place to run jobs, whose working directory is temporary."""
    monkeypatch.chdir(tmp_path)
    one = Site(tmp_path)
    yield one
    one.executor.close()


@pytest.fixture
def later() -> Iterator[Callable[[float, Callable[[], object]], None]]:
    """Do something in another thread after some seconds."""
    import threading

    timers: list[threading.Timer] = []

    def start(seconds: float, what: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, what)
        timers.append(timer)
        timer.start()

    yield start
    for timer in timers:
        timer.join()
