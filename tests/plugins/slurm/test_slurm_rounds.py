"""Lost answers and killed clients, against the small Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_rounds import Faulty, SubmissionRounds

from torc_core.testing.slurm import FakeSlurm


class TestTheSmallSlurm(SubmissionRounds):
    """Allocations are those that were intended."""

    @pytest.fixture
    def queue(self, slurm: FakeSlurm, environ: dict[str, str], tmp_path: Path) -> Faulty:
        return Faulty(tmp_path / "faults", environ)
