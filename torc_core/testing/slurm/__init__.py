"""A small Slurm in a folder, for tests without a cluster: its commands are programs, its jobs are real processes.

    slurm = FakeSlurm(tmp_path / "slurm")
    environ = slurm.environ(os.environ)           # its programs come first in PATH
    slurm.fault("sbatch", "submits-then-fails")   # once
    ...
    slurm.close()

What it knows: `sbatch` with directives, `--parsable`, `--test-only`, singletons, refusals of unknown accounts and
partitions; `squeue`, `scancel` with `--state`, `sacct` that may lag, `sinfo`, `scontrol show`, `scontrol requeue`, and
`srun`. Nodes are names; the processes of all run on this machine. A minute of a time limit lasts `minute` seconds.
"""

from __future__ import annotations

from torc_core.testing.slurm.fake import FAULTS, FakeSlurm

__all__ = ["FAULTS", "FakeSlurm"]
