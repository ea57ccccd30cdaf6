"""The cluster itself is what the tests take it for: commands, accounting, limits, and faults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from namespaces import until

if TYPE_CHECKING:
    from slurm import SlurmCluster

HOG = "import sys; kept = bytearray(300 << 20)"


def test_jobs_run_on_all_nodes_and_are_accounted(slurm: SlurmCluster) -> None:
    (slurm.folder / "hog.py").write_text(HOG)

    names = slurm.run("srun", "-N8", "hostname").split()
    fails, hog = slurm.submit("exit 3"), slurm.submit("exec python3 hog.py", "--mem=100")
    gpus = slurm.submit("echo $(hostname) $CUDA_VISIBLE_DEVICES", "--gres=gpu:1", "--output=gpus")

    assert sorted(names) == sorted(slurm.nodes)
    until(lambda: slurm.accounted(fails) == ["FAILED|3:0"], 90, "an accounted failure")
    too_much = ["OUT_OF_MEMORY|0:125"] if slurm.enforces_memory else ["FAILED|0:9"]
    until(lambda: slurm.accounted(hog) == too_much, 90, "an accounted lack of memory")
    slurm.await_state(gpus)
    assert Path(slurm.folder, "gpus").read_text() in {
        f"{node} {gpu}\n" for node in ("n3", "n7") for gpu in (0, 1)
    }


def test_the_daemons_crash_and_come_back(slurm: SlurmCluster) -> None:
    slurm.fault("slurmdbd", "crash")
    job = slurm.submit("true")
    slurm.fault("slurmdbd", "boot")
    until(lambda: slurm.accounted(job) == ["COMPLETED|0:0"], 90, "accounting that has caught up")

    slurm.fault("slurmctld", "crash")
    assert not slurm.run("squeue", check=False)
    slurm.fault("slurmctld", "boot")
    slurm.await_state(slurm.submit("true"))
