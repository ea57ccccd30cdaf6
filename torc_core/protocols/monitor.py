"""Measuring what jobs use."""

from __future__ import annotations

from typing import Protocol

from torc_core.model import JobId, JobUsage


class Monitor(Protocol):
    """Measures what jobs use while they run."""

    def watch(self, job: JobId, pid: int) -> None:
        """Measure this job from now on."""
        ...

    def sample(self) -> None:
        """Look at every watched job once."""
        ...

    def unwatch(self, job: JobId) -> JobUsage:
        """Stop, and say what was seen."""
        ...
