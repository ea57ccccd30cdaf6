"""Clusters and their partitions as planners see them (`slurm.md` §12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from torc_core.model import Json, Resources
from torc_core.model.resources import MIB
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition; all figures are of one node.

    Parameters
    ----------
    memory_mb
        In units of 1,024 x 1,024 bytes, as Slurm counts.
    max_nodes, max_nodes_per_user
        Of one allocation, and of all that a user has at once; None: not limited.
    min_nodes
        Of one allocation.
    gpu_memory_gb
        Of one GPU.
    gpus_on_some_nodes
        `gpus_per_node` holds for some nodes only; jobs without GPUs may go to any.
    shared
        Allocations may share a node, so that one asks for as much of it as it needs.
    requires_explicit_request
        Slurm never sends a job there by itself.
    is_default
        Slurm sends those there that name no partition.
    guessed
        Fields whose values nobody stated.
    """

    name: str
    cpus_per_node: int
    memory_mb: int
    max_walltime_secs: int
    description: str | None = None
    max_nodes: int | None = None
    max_nodes_per_user: int | None = None
    min_nodes: int = 1
    gpus_per_node: int = 0
    gpu_type: str | None = None
    gpu_memory_gb: int | None = None
    gpus_on_some_nodes: bool = False
    local_disk_gb: int | None = None
    shared: bool = False
    requires_explicit_request: bool = False
    default_qos: str | None = None
    features: Sequence[str] = ()
    is_default: bool = False
    guessed: Sequence[str] = ()

    @property
    def node(self) -> Resources:
        """What one node has."""
        return Resources(cpus=self.cpus_per_node, memory=self.memory_mb * MIB, gpus=self.gpus_per_node)

    @property
    def debug(self) -> bool:
        """Meant for short trials."""
        return "debug" in self.features or "debug" in self.name.lower()


@record(frozen=True, slots=True, kw_only=True)
class Sign:
    """How one knows that one is on a cluster: an environment variable has a value, or the host name matches.

    Parameters
    ----------
    env
        Name and value.
    hostname
        Regular expression that has to match the whole name.
    """

    env: tuple[str, str] | None = None
    hostname: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Profile:
    """A cluster.

    Parameters
    ----------
    signs
        One of them is enough.
    charge_factor_cpu, charge_factor_gpu
        Units of account that an hour of a node costs.
    internal_hostname
        What other nodes call this host; `{short}` and `{fqdn}` stand for its names.
    auto_route
        Slurm finds the partition by the limits of a job, unless the partition has to be named.
    source
        `built-in`, `custom`, or `live` for what the cluster itself says.
    """

    name: str
    display_name: str = ""
    description: str = ""
    signs: Sequence[Sign] = ()
    default_account: str | None = None
    charge_factor_cpu: float = 1.0
    charge_factor_gpu: float = 10.0
    internal_hostname: str | None = None
    auto_route: bool = False
    partitions: Sequence[Partition] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict)
    source: str = "custom"

    def partition(self, name: str) -> Partition | None:
        """The partition of this name; None: there is none."""
        return next((one for one in self.partitions if one.name == name), None)

    def charge(self, partition: Partition, node_hours: float) -> float:
        """What so many hours of nodes there cost."""
        factor = self.charge_factor_gpu if partition.gpus_per_node else self.charge_factor_cpu
        return node_hours * factor
