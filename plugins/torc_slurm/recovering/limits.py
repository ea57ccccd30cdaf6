"""How much a job may ask for at most: what the user allows, and what the largest partition that takes it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from torc_core.model import Requirement, RequirementId, Resources, Workflow
from torc_slurm.recovering.adjusting import Caps

START_UP = 60
"""Seconds that an allocation needs before its first job runs."""


class Room(Protocol):
    """A partition: what one node has, and for how long."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def node(self) -> Resources:
        """What one node has."""
        ...

    @property
    def max_walltime_secs(self) -> int:
        """How long an allocation lasts at most, in seconds."""
        ...


def caps_of(
    needs: Iterable[Requirement],
    partitions: Sequence[Room],
    *,
    max_memory: int | None,
    max_runtime: int | None,
    before_end: int = 90,
) -> Mapping[RequirementId, Caps]:
    """The caps of each requirement.

    Parameters
    ----------
    partitions
        Of the cluster; none: it is not known, or there is none.
    before_end
        Seconds before the end of an allocation in which no job may run any more.
    """
    users = Caps(
        memory=max_memory, memory_from="--max-memory", runtime=max_runtime, runtime_from="--max-runtime"
    )
    overhead = START_UP + before_end
    found: dict[RequirementId, Caps] = {}
    for one in needs:
        caps = users
        fitting = [
            room for room in partitions if room.node.cpus >= one.num_cpus and room.node.gpus >= one.num_gpus
        ]
        # More memory is of use only where there is time enough, and the other way round.
        in_time = [room for room in fitting if room.max_walltime_secs - overhead >= one.runtime_s] or fitting
        with_memory = [room for room in fitting if room.node.memory >= one.memory_bytes] or fitting
        if in_time:
            large = max(in_time, key=lambda room: room.node.memory)
            caps = caps.tightened(memory=large.node.memory, runtime=None, by=f"partition '{large.name}'")
        if with_memory:
            long = max(with_memory, key=lambda room: room.max_walltime_secs)
            most = max(0, long.max_walltime_secs - overhead)
            caps = caps.tightened(memory=None, runtime=most, by=f"partition '{long.name}'")
        found[one.id] = caps
    return found


def before_end(workflow: Workflow) -> int:
    """Seconds before the end of an allocation that its runner keeps for itself."""
    config = workflow.execution_config or {}

    def seconds(key: str, default: int) -> int:
        value = config.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    own = seconds("sigterm_lead_seconds", 30) + seconds("sigkill_headroom_seconds", 60)
    return max(own, workflow.compute_node_expiration_buffer_seconds or 0)
