"""Measuring what jobs use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from torc_core.model import JobId, JobUsage
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a job uses at one moment, with all its processes; None: not known.

    Parameters
    ----------
    cpu_percent
        Of one core (400 = four cores), since the sample before.
    memory_bytes
        The sum of resident memory.
    gpu_percent
        Of one device (200 = two devices).
    read_bytes, write_bytes
        What the job has moved so far.
    """

    job: JobId
    cpu_percent: float | None
    memory_bytes: int
    num_processes: int
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None


@record(frozen=True, slots=True, kw_only=True)
class NodeSample:
    """What the whole node uses at one moment, whoever uses it; units as in `Sample`."""

    cpu_percent: float | None = None
    memory_bytes: int | None = None
    gpu_percent: float | None = None
    gpu_memory_bytes: int | None = None
    load1: float | None = None


class Monitor(Protocol):
    """Measures what jobs use while they run.

    `sample` and `node` are called by one thread, `watch` and `unwatch` meanwhile by any.
    """

    def watch(
        self, job: JobId, pid: int, *, mark: str = "", gpus: Sequence[str] = (), shared: bool = False
    ) -> None:
        """Measure this job from now on: a process, and all that descends from it or carries the mark.

        Parameters
        ----------
        gpus
            The ids of its devices.
        shared
            Others use these devices too: only what its own processes have there counts.
        """
        ...

    def sample(self, jobs: Collection[JobId] | None = None, *, full: bool = True) -> Sequence[Sample]:
        """Look at every watched job once, or at some of them, in one pass.

        Parameters
        ----------
        full
            Measure also what goes into no summary: devices, bytes read and written.
        """
        ...

    def shared(self, job: JobId, counted: int) -> int:
        """The memory of a watched job, with what its processes share counted once, in bytes.

        Costs far more than a sample. `counted`, the sum over the processes, is the answer where the system cannot
        tell.
        """
        ...

    def unwatch(self, job: JobId) -> JobUsage:
        """Stop, and say what was seen."""
        ...

    def node(self, gpus: Sequence[str] = ()) -> NodeSample:
        """Look at the whole node, `gpus` being its devices; CPU time since the look before."""
        ...

    def close(self) -> None:
        """Let go of processes and descriptors."""
        ...
