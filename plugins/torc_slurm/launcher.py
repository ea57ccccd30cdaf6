"""The launcher: commands of ours as batch jobs, without a workflow."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.config import Config
from torc_core.errors import Unavailable, UsageError
from torc_core.protocols import AllocationState, LaunchRequest
from torc_core.system import SystemClock
from torc_slurm.scheduler.answers import Refused, Submitted
from torc_slurm.scheduler.slurm import Slurm
from torc_slurm.scheduler.states import Standing, standing

if TYPE_CHECKING:
    from torc_slurm.settings import SlurmSettings


class SlurmLauncher:
    """Starts runners in allocations; the id is the number that Slurm gives it."""

    def __init__(self, settings: SlurmSettings, slurm: Slurm | None = None) -> None:
        self._slurm = slurm or Slurm.of(Config.load(), SystemClock(), limit=settings.answer_seconds)

    def submit(self, request: LaunchRequest) -> Sequence[str]:
        """Ask for an allocation of so many nodes that runs the command once on each.

        Raises
        ------
        UsageError
            If Slurm refuses.
        Unavailable
            If it is not clear whether Slurm has taken it.
        """
        command = shlex.join(request.command)
        each = f"srun --ntasks-per-node=1 --nodes={request.nodes} --wait=0 " if request.nodes > 1 else ""
        with tempfile.NamedTemporaryFile("w", prefix="torc-", suffix=".sh") as script:
            script.write(f"#!/bin/sh\nexec {each}{command}\n")
            script.flush()
            told = self._slurm.sbatch(
                script.name,
                f"--nodes={request.nodes}",
                f"--job-name={request.name}",
                f"--output={os.devnull}",
            )
        if isinstance(told, Submitted):
            return [told.number]
        if isinstance(told, Refused):
            raise UsageError(f"Slurm does not take it: {told.message}")
        raise Unavailable(f"nobody knows whether Slurm has taken it: {told.message}; look with 'squeue --me'")

    def status(self, ids: Sequence[str]) -> Mapping[str, AllocationState]:
        """Where they are.

        Raises
        ------
        SlurmSilent
            If Slurm does not answer.
        """
        states = self._slurm.sightings(list(ids)).states
        return {one: _state(states[one]) if one in states else AllocationState.ENDED for one in ids}

    def cancel(self, ids: Sequence[str]) -> None:
        """End them.

        Raises
        ------
        Unavailable
            If Slurm does not take the order.
        """
        numbers = [one for one in ids if one.isdigit()]
        if numbers and (errors := self._slurm.cancel(numbers)):
            raise Unavailable(errors[0])


def _state(word: str) -> AllocationState:
    found = standing(word)
    if found.over:
        return AllocationState.ENDED
    return AllocationState.QUEUED if found is Standing.QUEUED else AllocationState.RUNNING
