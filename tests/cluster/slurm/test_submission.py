"""Lost answers and killed clients, against a real Slurm with a shim before its sbatch (SJ8, F29)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "slurm"))

from slurm_rounds import Faulty, SubmissionRounds

if TYPE_CHECKING:
    from slurm import SlurmCluster


class TestARealSlurm(SubmissionRounds):
    """Allocations are those that were intended."""

    @pytest.fixture
    def queue(self, slurm: SlurmCluster, tmp_path: Path) -> Faulty:
        (tmp_path / "run").mkdir()
        environ = {name: value for name, value in slurm.env.items() if not name.startswith("TORC_")}
        return Faulty(
            tmp_path / "faults", {**environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")}, rounds=10, pause=1.0
        )
