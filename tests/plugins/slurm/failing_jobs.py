"""Workflows whose jobs have failed for known reasons, in a SQLite file of the user's own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.host import Host
from torc_core.main import main
from torc_core.model import (
    Ending,
    Initialize,
    Job,
    JobStatus,
    JobUsage,
    NewNode,
    Offer,
    Plan,
    PlannedJob,
    PlannedRequirement,
    PlannedScheduler,
    PlannedWorkflow,
    Query,
    Requirement,
    Resources,
    Source,
    Turn,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.system import SystemClock

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a job ended."""

    code: int = 1
    reason: str | None = "exit_code"
    status: JobStatus = JobStatus.FAILED
    minutes: float = 1.0
    peak: int | None = None


OOM = End(code=137, reason="oom: peak 10.0g of 8g", minutes=5, peak=10 * GIB)
LATE = End(code=152, reason="runtime: 61 min of 60 min", status=JobStatus.TERMINATED, minutes=61)
LOST = End(code=-128, reason="node_lost")
STRANGE = End(code=3)
GOOD = End(code=0, reason=None, status=JobStatus.COMPLETED)

Torc = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh account on a host without Slurm."""
    for name in [name for name in os.environ if name.startswith(("TORC_", "XDG_", "SLURM_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    for name, value in {"HOME": str(folder), "USER": "ana", "TZ": "UTC"}.items():
        monkeypatch.setenv(name, value)
    for name in ("SBATCH", "SQUEUE", "SACCT", "SCANCEL", "SINFO", "SCONTROL"):
        monkeypatch.setenv(f"TORC_FAKE_{name}", "/nowhere")
    monkeypatch.chdir(folder)
    time.tzset()
    umask = os.umask(0o022)
    yield folder
    os.umask(umask)
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def torc(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Torc:
    """Run a command line and see what it did: no terminal, nothing on standard input."""

    def run(*words: str) -> Ran:
        capfdbinary.readouterr()
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Ran(code=code, out=out.decode(errors="replace"), err=err.decode())

    return run


@contextmanager
def opened() -> Iterator[Store]:
    config = Config.load()
    store = Host.load(config).open_store(config.store_url, SystemClock())
    try:
        yield store
    finally:
        store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One workflow, looked at between two commands."""

    workflow: WorkflowId
    jobs: dict[str, int] = field(default_factory=dict)

    def statuses(self) -> dict[str, str]:
        with opened() as store:
            found = store.find(Job, Query(workflow=self.workflow)).items
        return {job.name: job.status.label for job in found}

    def needs(self) -> dict[str, Requirement]:
        with opened() as store:
            known = {one.id: one for one in store.find(Requirement, Query(workflow=self.workflow)).items}
            found = store.find(Job, Query(workflow=self.workflow)).items
        return {job.name: known[job.requirement_id] for job in found}

    def memory(self) -> dict[str, str]:
        return {name: one.memory for name, one in self.needs().items()}

    def run_id(self) -> int:
        with opened() as store:
            return store.totals([self.workflow])[0].workflow.run_id


Failed = Callable[..., Scene]


@pytest.fixture
def failed(home: Path) -> Failed:
    """Makes a workflow and lets its jobs end; each asks for 8 GiB and 60 min, and has one that waits for it."""

    def make(*ends: End, slurm: bool = False, waiters: bool = True) -> Scene:
        with opened() as store:
            workflow = store.create(plan(len(ends), slurm=slurm, waiters=waiters), "ana").id
            store.initialize(workflow, Initialize())
            finish(store, workflow, ends)
            jobs = {job.name: job.id for job in store.find(Job, Query(workflow=workflow)).items}
        return Scene(workflow=workflow, jobs=jobs)

    return make


def plan(count: int, *, slurm: bool, waiters: bool) -> Plan:
    own = [
        PlannedJob(name=f"job{n}", command="true", requirement=0, scheduler=0 if slurm else None)
        for n in range(count)
    ]
    after = [
        PlannedJob(
            name=f"after{n}", command="true", requirement=0, groups=[(n, Source.EXPLICIT)], num_blockers=1,
            scheduler=0 if slurm else None,
        )
        for n in range(count)
    ]  # fmt: skip
    return Plan(
        workflow=PlannedWorkflow(name="sick"),
        requirements=[
            PlannedRequirement(
                name="big", num_cpus=2, memory="8g", memory_bytes=8 * GIB, runtime="PT60M", runtime_s=3600
            )
        ],
        schedulers=[
            PlannedScheduler(name="short", fields={"account": "a", "walltime": "02:00:00", "nodes": 1})
        ]
        if slurm
        else [],
        groups=[[n] for n in range(count)] if waiters else [],
        jobs=[*own, *(after if waiters else [])],
    )


def finish(store: Store, workflow: WorkflowId, ends: Sequence[End]) -> None:
    """A runner takes all jobs, reports these ends and leaves."""
    me = NewNode(
        workflow_id=workflow, epoch=SystemClock().uuid(), hostname="kl3", pid=os.getpid(), boot_id="b", process_start=1,
        capacity=Resources(cpus=100, memory=2**40, gpus=0),
    )  # fmt: skip
    node = store.join(me)
    offer = Offer(claim_id=SystemClock().uuid(), free=[node.capacity], limit=100)
    given = store.turn(Turn(node=node.id, epoch=node.epoch, offer=offer)).jobs
    endings = [
        Ending(
            job=one.job.id, run_id=one.job.run_id, attempt_id=one.job.attempt_id, lease=one.job.lease, status=end.status,
            return_code=end.code, reason=end.reason, exec_minutes=end.minutes, completed_at=1_777_651_402_123,
            node=node.id, usage=JobUsage(peak_memory_bytes=end.peak),
        )
        for one, end in zip(sorted(given, key=lambda one: one.job.id), ends, strict=False)
    ]  # fmt: skip
    store.turn(Turn(node=node.id, epoch=node.epoch, endings=endings))
    store.leave(node.id, None)
