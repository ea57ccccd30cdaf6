"""The small Slurm is like a real one in what torc takes for granted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from torc_core.config import Config
from torc_core.protocols import Launcher
from torc_core.system import SystemClock
from torc_core.testing.launchers import LauncherContract
from torc_core.testing.slurm import FakeSlurm
from torc_core.testing.slurm.contract import Commands, SlurmContract
from torc_slurm.launcher import SlurmLauncher
from torc_slurm.scheduler.slurm import Slurm
from torc_slurm.settings import SlurmSettings


@pytest.fixture
def running(slurm: FakeSlurm) -> FakeSlurm:
    made = FakeSlurm(slurm.folder, accounts=("physics",))
    made.hold(on=False)
    return made


class TestTheSmallSlurm(SlurmContract):
    """It keeps the contract."""

    @pytest.fixture
    def commands(self, running: FakeSlurm, environ: dict[str, str], tmp_path: Path) -> Commands:
        (tmp_path / "shared").mkdir()
        return Commands(environ=environ, folder=tmp_path / "shared", account="physics", partition="standard")


class TestTheLauncher(LauncherContract):
    """The launcher keeps its contract under it."""

    @pytest.fixture
    def launcher(self, running: FakeSlurm, config: Config) -> Iterator[Launcher]:
        return SlurmLauncher(SlurmSettings(), Slurm.of(config, SystemClock()))
