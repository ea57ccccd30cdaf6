"""Makes a plan of a list of commands: what `torc exec` hands to the store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from torc_cli.execute.inputs import Made
from torc_core.errors import BadValue, UsageError
from torc_core.model import Job, Json, Plan, PlannedHandler, PlannedJob, PlannedRequirement, PlannedWorkflow
from torc_core.model.resources import memory_bytes
from torc_core.record import record
from torc_terminal.durations import seconds_of

PREFIX = "job"
"""Jobs of a list are called `job1`, `job2`, … by the number of their command."""

STDIO = ("separate", "combined", "no-stdout", "no-stderr", "none")


@record(frozen=True, slots=True, kw_only=True)
class Needs:
    """What each command of a list needs; None: not given.

    Parameters
    ----------
    timeout
        A duration that ends it, which is no estimate for packing; or a percentage (`patience`).
    """

    cpus: int | None = None
    memory: str | None = None
    gpus: int | None = None
    runtime: str | None = None
    timeout: str | None = None

    @property
    def patience(self) -> float | None:
        """The factor in a timeout such as `300%`; None: it is no percentage.

        Raises
        ------
        UsageError
            If it is out of range.
        """
        text = (self.timeout or "").strip()
        if not text.endswith("%"):
            return None
        number = text.removesuffix("%")
        if not number.isdecimal() or not 100 < int(number) <= 1_000_000:
            raise UsageError(f"--timeout '{text}' is not a percentage above 100%; write e.g. 300%, or 30m")
        return int(number) / 100

    @property
    def limited(self) -> bool:
        """Whether commands are ended after a time that is known before they begin."""
        return self.runtime is not None or (self.timeout is not None and self.patience is None)

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
        if not self.given and not self.limited:
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
        if self.timeout is not None and self.patience is None:
            limit = seconds_of(self.timeout, "--timeout")
            seconds = limit if self.runtime is None else min(limit, seconds)
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
    retries: int = 0,
    stdio: str | None = None,
    monitor: Mapping[str, Json] | None = None,
    source_path: str | None = None,
    source_digest: str | None = None,
) -> Plan:
    """The plan of a list of commands, by their numbers.

    Raises
    ------
    UsageError
        If what the commands need, `retries` or `stdio` is out of range.
    """
    config: dict[str, Json] = {}
    needs = needs or Needs()
    if stdio is not None:
        if stdio not in STDIO:
            raise UsageError(f"--stdio '{stdio}' is unknown; choose from {', '.join(STDIO)}")
        config["stdio"] = {"mode": stdio.replace("-", "_")}
    if needs.limited:
        config["limit_runtime"] = True
    if not 0 <= retries <= 1_000_000:
        raise UsageError(f"--retries '{retries}' is out of range; give 0 or more")
    return Plan(
        workflow=PlannedWorkflow(
            name=name,
            description=description,
            execution_config=config or None,
            resource_monitor_config=monitor,
            submission_directory=os.getcwd(),
            source_path=source_path,
            source_digest=source_digest,
        ),
        jobs=[
            PlannedJob(name=f"{PREFIX}{number}", command=made.command, handler=0 if retries else None)
            for number, made in commands.items()
        ],
        requirements=(needs.requirement(),),
        handlers=(retried(retries),) if retries else (),
    )


def retried(times: int) -> PlannedHandler:
    """A failure handler that tries a failed command so many more times."""
    rule: Mapping[str, Json] = {
        "exit_codes": [],
        "match_all_exit_codes": True,
        "recovery_script": None,
        "max_retries": times + 1,
        "delay_seconds": 0,
        "backoff_multiplier": 2.0,
        "max_delay_seconds": 3_600,
    }
    return PlannedHandler(name="retries", rules=(rule,))


def number_of(job: Job) -> int:
    """The number of a job's command in its list."""
    digits = job.name.removeprefix(PREFIX)
    return int(digits) if digits.isdecimal() else job.id


def numbered(commands: Sequence[Made]) -> dict[int, Made]:
    """Commands by their numbers, from 1."""
    return dict(enumerate(commands, start=1))
