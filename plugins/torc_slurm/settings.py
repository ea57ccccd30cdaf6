"""What can be configured of Slurm beside `[client.slurm]`: how long its commands may take."""

from __future__ import annotations

from dataclasses import field

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class SlurmSettings:
    """`[launchers.slurm]`: how Slurm is asked."""

    answer_seconds: float = field(
        default=60.0,
        metadata={
            "help": "Patience with a command of Slurm, in seconds, and with sbatch 85 at most; what took longer has an unclear "
            "outcome."
        },
    )
    look_up_seconds: float = field(
        default=5.0,
        metadata={
            "help": "Pause between the two looks that have to miss an allocation before it is submitted again."
        },
    )
    sample_seconds: float = field(
        default=30.0,
        metadata={
            "help": "Pause between two looks at the steps of an allocation (mode slurm), in seconds, for each allocation that "
            "the workflow has at the time: all of them together ask as often as one."
        },
    )
    retry_seconds: float = field(
        default=5.0,
        metadata={"help": "Pause before an allocation is submitted again; it triples with each try."},
    )
