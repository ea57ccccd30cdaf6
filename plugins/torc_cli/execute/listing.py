"""Makes a plan of a list of commands: what `torc exec` hands to the store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from torc_cli.execute.durations import seconds_of
from torc_cli.execute.inputs import Made
from torc_core.errors import BadValue, UsageError
from torc_core.model import Job, Json, Plan, PlannedJob, PlannedRequirement, PlannedWorkflow
from torc_core.model.resources import memory_bytes
from torc_core.record import record

PREFIX = "job"
"""Jobs of a list are called `job1`, `job2`, … by the number of their command."""

STDIO = ("separate", "combined", "no-stdout", "no-stderr", "none")


@record(frozen=True, slots=True, kw_only=True)
class Needs:
    """What each command of a list needs; None: not given."""

    cpus: int | None = None
    memory: str | None = None
    gpus: int | None = None
    runtime: str | None = None

    @property
    def given(self) -> bool:
        """Whether commands are packed by resources instead of counted."""
        return any(value is not None for value in (self.cpus, self.memory, self.gpus, self.runtime))

    def requirement(self) -> PlannedRequirement:
        """The one requirement that all commands share.

        Raises
        ------
        UsageError
            If a value is out of range.
        """
        cpus = 1 if self.cpus is None else self.cpus
        gpus = self.gpus or 0
        if not 1 <= cpus <= 1_000_000:
            raise UsageError(f"--cpus '{cpus}' is out of range; give at least 1")
        if not 0 <= gpus <= 10_000:
            raise UsageError(f"--gpus '{gpus}' is out of range; give 0 or more")
        default = PlannedRequirement(name="default")
        if not self.given:
            return default
        memory = self.memory or default.memory
        try:
            size = memory_bytes(memory)
        except BadValue as error:
            raise UsageError(f"--memory: {error}") from error
        runtime, seconds = default.runtime, default.runtime_s
        if self.runtime is not None:
            seconds = seconds_of(self.runtime, "--runtime")
            runtime = f"PT{seconds}S"
        return PlannedRequirement(
            name="command",
            num_cpus=cpus,
            num_gpus=gpus,
            memory=memory,
            runtime=runtime,
            memory_bytes=size,
            runtime_s=seconds,
        )


def plan_of(
    commands: Mapping[int, Made],
    *,
    name: str,
    description: str | None = None,
    needs: Needs | None = None,
    stdio: str | None = None,
    monitor: Mapping[str, Json] | None = None,
    source_path: str | None = None,
    source_digest: str | None = None,
) -> Plan:
    """The plan of a list of commands, by their numbers.

    Raises
    ------
    UsageError
        If what the commands need, or `stdio`, is out of range.
    """
    config: Mapping[str, Json] | None = None
    if stdio is not None:
        if stdio not in STDIO:
            raise UsageError(f"--stdio '{stdio}' is unknown; choose from {', '.join(STDIO)}")
        config = {"stdio": {"mode": stdio.replace("-", "_")}}
    return Plan(
        workflow=PlannedWorkflow(
            name=name,
            description=description,
            execution_config=config,
            resource_monitor_config=monitor,
            submission_directory=os.getcwd(),
            source_path=source_path,
            source_digest=source_digest,
        ),
        jobs=[
            PlannedJob(name=f"{PREFIX}{number}", command=made.command) for number, made in commands.items()
        ],
        requirements=(((needs or Needs()).requirement()),),
    )


def number_of(job: Job) -> int:
    """The number of a job's command in its list."""
    digits = job.name.removeprefix(PREFIX)
    return int(digits) if digits.isdecimal() else job.id


def numbered(commands: Sequence[Made]) -> dict[int, Made]:
    """Commands by their numbers, from 1."""
    return dict(enumerate(commands, start=1))
