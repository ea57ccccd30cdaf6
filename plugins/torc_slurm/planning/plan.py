"""What a planner is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from torc_core.model import Shape
from torc_core.record import record
from torc_slurm.planning.choice import Choice
from torc_slurm.profiles.model import Partition, Profile

GROUPINGS = ("partition", "resource-requirements")


@record(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user wants of a plan.

    Parameters
    ----------
    group_by
        What is put together under one scheduler: `partition` or `resource-requirements`.
    strategy, multiplier
        How long allocations are asked for: `max-job-runtime` times the factor, or `max-partition-time`.
    partition, walltime
        Fixed by the user; seconds.
    single_allocation
        One allocation of N nodes instead of N of one.
    max_allocations, max_nodes, max_node_hours
        No more of these in all; None: no limit.
    """

    group_by: str = "partition"
    strategy: str = "max-job-runtime"
    multiplier: float = 1.5
    partition: str | None = None
    walltime: int | None = None
    single_allocation: bool = False
    max_allocations: int | None = None
    max_nodes: int | None = None
    max_node_hours: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the workflow says about its runners.

    Parameters
    ----------
    before_end
        Seconds that a runner keeps for itself before the end of its allocation.
    patience
        Seconds after which an idle runner leaves; None: never.
    staggered
        Whether runners spread their start.
    steps
        Whether jobs run as steps of Slurm (mode `slurm`), where there is one runner for all nodes.
    taken
        Names of schedulers that exist already.
    suffix
        Of the names of schedulers.
    apart
        Names of requirements whose jobs have schedulers of their own, however others are grouped.
    """

    before_end: int = 90
    patience: float | None = 90
    staggered: bool = True
    steps: bool = False
    taken: Sequence[str] = ()
    suffix: str = ""
    apart: frozenset[str] = frozenset()


@record(frozen=True, slots=True, kw_only=True)
class Wave:
    """Allocations that are asked for at one moment.

    Parameters
    ----------
    trigger
        The jobs, by position, the first of which being ready is the moment; empty: the start of the workflow.
    jobs
        For how many jobs it is meant.
    """

    allocations: int
    jobs: int
    trigger: Sequence[int] = ()


@record(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs that share a scheduler, and the allocations they get.

    Parameters
    ----------
    name
        Of the scheduler.
    named_partition
        Whether the partition is named to Slurm, or found by it.
    jobs
        By position.
    nodes
        Of one allocation.
    per_node
        One runner on each of them; else one for all.
    walltime
        Seconds.
    memory
        Bytes asked for of each node.
    gpus
        Asked for of each node; 0: none.
    cpus
        Asked for of each node; None: whole nodes.
    concurrent
        The most jobs that run at one time in one allocation.
    rounds
        How often the longest job fits, one after the other.
    """

    name: str
    partition: Partition
    named_partition: bool
    jobs: Sequence[int]
    nodes: int
    per_node: bool
    walltime: int
    memory: int
    gpus: int = 0
    cpus: int | None = None
    concurrent: int = 1
    rounds: int = 1
    waves: Sequence[Wave] = ()

    @property
    def allocations(self) -> int:
        """In all waves."""
        return sum(one.allocations for one in self.waves)

    @property
    def node_hours(self) -> float:
        """What all allocations cost if they last to their ends."""
        return self.allocations * self.nodes * self.walltime / 3600

    @property
    def gres(self) -> str | None:
        """Generic resources as sbatch takes them."""
        return f"gpu:{self.gpus}" if self.gpus else None


@record(frozen=True, slots=True, kw_only=True)
class Proof:
    """The plan replayed with the real claims.

    Parameters
    ----------
    simulated
        Every job ran to its end.
    utilisation
        Part of the time of nodes that was in use, from 0 to 1.
    """

    simulated: bool
    makespan_seconds: float
    utilisation: float
    most_nodes: int


@record(frozen=True, slots=True, kw_only=True)
class Kind:
    """Jobs that need the same, and which partition was chosen for them."""

    need: Shape
    jobs: Sequence[int]
    requirement: str
    choice: Choice


@record(frozen=True, slots=True, kw_only=True)
class SlurmPlan:
    """A whole plan; `overhead` is what an allocation loses at its ends, in seconds."""

    profile: Profile
    groups: Sequence[Group]
    kinds: Sequence[Kind]
    proof: Proof
    overhead: int
    warnings: Sequence[str] = field(default_factory=tuple)

    @property
    def allocations(self) -> int:
        """In all groups."""
        return sum(one.allocations for one in self.groups)

    @property
    def node_hours(self) -> float:
        """In all groups."""
        return sum(one.node_hours for one in self.groups)

    @property
    def nodes(self) -> int:
        """Of all allocations together."""
        return sum(one.allocations * one.nodes for one in self.groups)

    @property
    def charge(self) -> float:
        """What it costs at most, in units of account."""
        return sum(self.profile.charge(one.partition, one.node_hours) for one in self.groups)

    @property
    def max_concurrent_nodes(self) -> int:
        """The most nodes at one time, as far as limits for one user allow."""
        return min(self.proof.most_nodes, self._limit())

    def _limit(self) -> int:
        limits: dict[str, int] = {}
        for one in self.groups:
            of_user = one.partition.max_nodes_per_user
            limits[one.partition.name] = of_user if of_user is not None else 10**9
        return sum(limits.values())
