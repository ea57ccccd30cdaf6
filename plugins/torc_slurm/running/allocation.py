"""Which allocation this process is in, and where in it, from what Slurm has put into the environment. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torc_core.errors import UsageError
from torc_core.model import Json
from torc_core.record import record
from torc_slurm.running.hostlist import hosts


@record(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in an allocation.

    Parameters
    ----------
    number
        Of the batch job.
    node
        Position of this node among those of the allocation, from 0.
    task
        The process of the batch script, or of the task of a step, as the node numbers it.
    nodes
        How many nodes this runner has: all of the allocation, or its own alone if a step has put one on each.
    names
        Of all nodes of the allocation, in its order; empty if Slurm does not tell.
    restarts
        How often Slurm has begun the batch job anew.
    """

    number: str
    node: int
    task: int
    nodes: int
    names: Sequence[str] = ()
    name: str | None = None
    restarts: int = 0

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> Place:
        """Read the environment; `pid` is this process.

        Raises
        ------
        UsageError
            If this is no allocation.
        """
        number = environ.get("SLURM_JOB_ID") or environ.get("SLURM_JOBID")
        if not number:
            raise UsageError(
                "SLURM_JOB_ID is not set: torc-slurm-job-runner runs in an allocation of Slurm, by sbatch; "
                "on this machine use 'torc run'"
            )
        names = hosts(environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST") or "")
        nodes = _whole(environ, "SLURM_JOB_NUM_NODES", len(names) or 1)
        return cls(
            number=number,
            node=_whole(environ, "SLURM_NODEID", 0),
            task=_whole(environ, "SLURM_TASK_PID", pid),
            nodes=1 if in_step(environ) else max(1, nodes),
            names=names,
            name=environ.get("SLURMD_NODENAME"),
            restarts=_whole(environ, "SLURM_RESTART_COUNT", 0),
        )

    @property
    def label(self) -> str:
        """What names the files of this runner: `sl{number}_n{node}_pid{task}`."""
        return f"sl{self.number}_n{self.node}_pid{self.task}"

    @property
    def told(self) -> Mapping[str, Json]:
        """What the store is told of it."""
        return {
            "type": "slurm",
            "slurm_job_id": int(self.number) if self.number.isdigit() else self.number,
            "node_id": self.node,
            "task_pid": self.task,
        }


def in_step(environ: Mapping[str, str]) -> bool:
    """Whether srun has started this process, and not the batch script."""
    return environ.get("SLURM_STEP_ID", "").isdigit()


def _whole(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else default
