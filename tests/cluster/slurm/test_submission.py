"""Lost answers and killed clients, against a real Slurm with a shim before its sbatch (SJ8, F29)."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "slurm"))

from namespaces import until
from slurm_rounds import COUNT, FAST, URL, Faulty, SubmissionRounds, scheduled, settled

from torc_core.config import Config
from torc_core.host import Host
from torc_core.system import SystemClock
from torc_slurm.batch import SlurmBatch

if TYPE_CHECKING:
    from slurm import SlurmCluster


class TestARealSlurm(SubmissionRounds):
    """Allocations are those that were intended."""

    @pytest.fixture
    def queue(self, slurm: SlurmCluster, tmp_path: Path) -> Faulty:
        (tmp_path / "run").mkdir()
        environ = {name: value for name, value in slurm.env.items() if not name.startswith("TORC_")}
        return Faulty(
            tmp_path / "faults", {**environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")}, rounds=2, pause=1.0
        )


def test_what_a_frozen_controller_took_after_all_is_not_submitted_again(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    """sbatch says that it timed out, and the job is in the queue once the controller goes on."""
    (tmp_path / "run").mkdir()
    environ = {name: value for name, value in slurm.env.items() if not name.startswith("TORC_")}
    slow = {
        **FAST, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "TORC_LAUNCHERS__SLURM__ANSWER_SECONDS": "30",
        "TORC_LAUNCHERS__SLURM__LOOK_UP_SECONDS": "1", "TORC_LAUNCHERS__SLURM__RETRY_SECONDS": "1",
    }  # fmt: skip
    config = Config.load(environ={**environ, **slow})
    store = Host.load(config).open_store(f"sqlite://{tmp_path / 'torc.db'}", SystemClock())
    workflow = scheduled(store, tmp_path)
    batch = SlurmBatch(store, config, SystemClock(), URL)

    slurm.fault("slurmctld", "freeze")
    thread = threading.Thread(target=batch.tend, args=(workflow,))
    thread.start()
    until(
        lambda: any(one.command == "sbatch" for one in batch.slurm.budget.calls()),
        60,
        "an sbatch that gave up",
    )
    slurm.fault("slurmctld", "thaw")
    thread.join()
    batch.tend(workflow)

    first = next(one for one in batch.slurm.budget.calls() if one.command == "sbatch")
    known = settled(store, workflow)
    there = slurm.run("squeue", "-h", "-t", "all", "-o", "%i|%k").splitlines()
    store_id = store.server_id
    store.close()
    assert first.code != 0
    assert sorted(line.partition("|")[0] for line in there if f"torc/{store_id}/" in line) == known
    assert len(known) == COUNT
