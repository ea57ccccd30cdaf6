"""Options of all commands that plan allocations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from torc_core.errors import InvalidConfig, UsageError
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.options import Flag

if TYPE_CHECKING:
    from torc_slurm.planning.plan import Wishes


@Parameter(name="*")
@record(frozen=True, slots=True, kw_only=True)
class PlannerOptions:
    """How allocations are planned.

    Parameters
    ----------
    account
        Account to charge; normally that of the specification, the profile or the configuration.
    profile
        Profile of the cluster; normally that of this host, else what Slurm says here (`slurm`).
    group_by
        What shares a scheduler: jobs of one partition, or of one resource requirement.
    walltime_strategy
        How long an allocation is asked for: by the longest job, or as long as the partition allows.
    walltime_multiplier
        Factor on the runtime of the longest job; at least 1.
    partition
        Use this partition only.
    walltime
        Length of each allocation, such as 04:00:00 or 2h.
    single_allocation
        One allocation of many nodes instead of many of one.
    max_allocations
        Ask for no more allocations; make them longer instead.
    max_nodes
        Ask for no more nodes in all.
    max_node_hours
        Refuse plans that cost more.
    """

    account: Annotated[str | None, Parameter(name=["--account", "-a"])] = None
    profile: Annotated[str | None, Parameter(alias="--hpc-profile")] = None
    group_by: Literal["partition", "resource-requirements"] | None = None
    walltime_strategy: Literal["max-job-runtime", "max-partition-time"] | None = None
    walltime_multiplier: float | None = None
    partition: str | None = None
    walltime: str | None = None
    single_allocation: Flag = False
    max_allocations: int | None = None
    max_nodes: int | None = None
    max_node_hours: float | None = None

    def wishes(self, session: Session) -> Wishes:
        """What is wanted of the planner, by these options and else by the configuration.

        Raises
        ------
        UsageError
            If a value is out of range.
        """
        from torc_slurm.planning.plan import GROUPINGS, Wishes
        from torc_slurm.planning.times import STRATEGIES
        from torc_terminal.durations import seconds_of

        keys = session.config.client.slurm
        for name in ("max_allocations", "max_nodes", "max_node_hours"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"--{name.replace('_', '-')} '{value}' is not above 0")
        multiplier = (
            keys.walltime_multiplier if self.walltime_multiplier is None else self.walltime_multiplier
        )
        if not 1 <= multiplier <= 1000:
            raise UsageError(f"--walltime-multiplier '{multiplier:g}' is out of range; it is from 1 to 1000")
        return Wishes(
            group_by=_one_of("group_by", self.group_by or keys.group_by, GROUPINGS),
            strategy=_one_of(
                "walltime_strategy", self.walltime_strategy or keys.walltime_strategy, STRATEGIES
            ),
            multiplier=multiplier,
            partition=self.partition,
            walltime=None if self.walltime is None else seconds_of(self.walltime, "--walltime"),
            single_allocation=self.single_allocation,
            max_allocations=self.max_allocations,
            max_nodes=self.max_nodes,
            max_node_hours=keys.max_node_hours if self.max_node_hours is None else self.max_node_hours,
        )


def _one_of(key: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InvalidConfig(f"client.slurm.{key} must be one of {', '.join(known)}, not '{value}'")
    return value
