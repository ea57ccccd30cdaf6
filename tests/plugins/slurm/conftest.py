"""A store with a workflow, a small Slurm, and what submits the one to the other without waiting."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from failing_jobs import failed, home, torc  # noqa: F401  # fixtures

from torc_core.config import Config
from torc_core.model import Initialize, PlannedAction, PlannedScheduler, Workflow
from torc_core.protocols import Store
from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plans import fan
from torc_core.testing.slurm import FakeSlurm
from torc_slurm.batch import SlurmBatch

URL = "http://login.cluster:8085/torc-service/v1"


@pytest.fixture
def store() -> Store:
    return MemoryStore(SystemClock())


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[FakeSlurm]:
    """A cluster on which nothing starts until the test lets it."""
    fake = FakeSlurm(tmp_path / "slurm")
    fake.hold()
    yield fake
    fake.close()


@pytest.fixture
def environ(slurm: FakeSlurm, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "run").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TORC_")}
    return slurm.environ({**kept, "XDG_RUNTIME_DIR": str(tmp_path / "run")})


@pytest.fixture
def config(environ: dict[str, str]) -> Config:
    fast = {
        "TORC_CLIENT__SLURM__RPC_PER_MINUTE": "100000",
        "TORC_CLIENT__SLURM__SUBMIT_PER_MINUTE": "100000",
        "TORC_LAUNCHERS__SLURM__ANSWER_SECONDS": "8",
        "TORC_LAUNCHERS__SLURM__LOOK_UP_SECONDS": "0.01",
        "TORC_LAUNCHERS__SLURM__RETRY_SECONDS": "0.01",
    }
    return Config.load(environ={**environ, **fast})


@pytest.fixture
def batch(store: Store, config: Config) -> SlurmBatch:
    return SlurmBatch(store, config, SystemClock(), URL)


@pytest.fixture
def scheduled(store: Store, tmp_path: Path) -> Callable[..., Workflow]:
    """Make a workflow that asks for so many allocations when it starts, and start it."""

    def make(count: int = 3, *, jobs: int = 4, fields: dict[str, Any] | None = None, **more: Any) -> Workflow:
        from dataclasses import replace

        scheduler = PlannedScheduler(
            name="short", fields={"walltime": "00:10:00", "account": "a", **(fields or {})}
        )
        action = PlannedAction(
            trigger_type="on_workflow_start",
            action_type="schedule_nodes",
            config={"scheduler": "short", "scheduler_type": "slurm", "num_allocations": count, **more},
        )
        plan = replace(fan(jobs), schedulers=[scheduler], actions=[action])
        workflow = store.create(plan, "ana")
        store.change(Workflow, workflow.id, {"submit_options": {"output_dir": str(tmp_path / "out")}})
        store.initialize(workflow.id, Initialize())
        return store.get(Workflow, workflow.id)

    return make
