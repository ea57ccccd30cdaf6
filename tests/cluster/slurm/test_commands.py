"""A real Slurm is what torc takes it for, and the small one is like it; the launcher keeps its contract under it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torc_core.config import Config
from torc_core.protocols import Launcher
from torc_core.system import SystemClock
from torc_core.testing.launchers import LauncherContract
from torc_core.testing.slurm.contract import Commands, SlurmContract
from torc_slurm.launcher import SlurmLauncher
from torc_slurm.scheduler.slurm import Slurm
from torc_slurm.settings import SlurmSettings

if TYPE_CHECKING:
    from slurm import SlurmCluster


class TestARealSlurm(SlurmContract):
    """It keeps the contract."""

    @pytest.fixture
    def commands(self, slurm: SlurmCluster, tmp_path: Path) -> Commands:
        return Commands(environ=slurm.env, folder=tmp_path, account="physics", partition="standard")


class TestTheLauncher(LauncherContract):
    """The launcher keeps its contract under it."""

    @pytest.fixture
    def launcher(self, slurm: SlurmCluster) -> Launcher:
        fast = {"TORC_CLIENT__SLURM__RPC_PER_MINUTE": "100000"}
        environ = {name: value for name, value in slurm.env.items() if name != "XDG_RUNTIME_DIR"}
        return SlurmLauncher(
            SlurmSettings(), Slurm.of(Config.load(environ={**environ, **fast}), SystemClock())
        )
