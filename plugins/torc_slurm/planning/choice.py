"""Which partition jobs of one kind go to, and why not the others (`slurm.md` PL3)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import Shape
from torc_core.model.resources import duration_text, memory_text
from torc_core.record import record
from torc_slurm.profiles.model import Partition, Profile


@record(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why a kind of job cannot go to a partition.

    Parameters
    ----------
    dimensions
        Which figures do not fit: `cpus`, `memory`, `gpus`, `nodes`, `time`.
    reasons
        A phrase for each.
    distance
        How far off the worst of them is, as a factor.
    """

    partition: Partition
    dimensions: Sequence[str]
    reasons: Sequence[str]
    distance: float

    def __str__(self) -> str:
        return f"'{self.partition.name}': {'; '.join(self.reasons)}"


@record(frozen=True, slots=True, kw_only=True)
class Choice:
    """The partitions for a kind of job: those that fit, best first, and why the others do not.

    Parameters
    ----------
    why
        What made the first the first, in a phrase.
    """

    fitting: Sequence[Partition]
    misfits: Sequence[Misfit]
    why: str = ""

    @property
    def partition(self) -> Partition | None:
        """The best one; None: none fits."""
        return self.fitting[0] if self.fitting else None

    @property
    def nearest(self) -> Misfit | None:
        """What fails in the fewest ways, and by the least; None: there is nothing."""
        return min(self.misfits, key=lambda one: (len(one.dimensions), one.distance), default=None)


def choose(
    profile: Profile, need: Shape, overhead: int, *, count: int = 1, fixed: str | None = None
) -> Choice:
    """Rank the partitions for `count` jobs that need the same.

    Parameters
    ----------
    overhead
        Seconds that an allocation needs beside the runtime of the job.
    fixed
        Name of the only partition that is allowed.
    """
    known = [one for one in profile.partitions if fixed is None or one.name == fixed]
    misfits = [found for one in known if (found := misfit(one, need, overhead, explicit=fixed is not None))]
    out = {found.partition.name for found in misfits}
    fitting = [one for one in known if one.name not in out]
    spared: list[Partition] = []
    if not need.gpus:
        plain = [one for one in fitting if not one.gpus_per_node or one.gpus_on_some_nodes]
        spared = [one for one in fitting if one not in plain] if plain else []
        fitting = plain or fitting
    places = {one.name: place for place, one in enumerate(profile.partitions)}

    def rank(one: Partition) -> tuple[object, ...]:
        return (
            one.requires_explicit_request,
            one.debug,
            one.memory_mb,
            one.shared != _little(one, need, count),
            one.max_walltime_secs,
            places[one.name],
        )

    fitting = sorted(fitting, key=rank)
    return Choice(
        fitting=fitting,
        misfits=misfits,
        why=_why(fitting, need, count, fixed, spared),
    )


def misfit(one: Partition, need: Shape, overhead: int, *, explicit: bool = False) -> Misfit | None:
    """Why a partition does not fit; None: it does. `explicit`: the user named it, so small jobs get more nodes."""
    found: list[tuple[str, str, float]] = []
    node = one.node
    if node.cpus < need.cpus:
        found.append(("cpus", f"{need.cpus} CPUs are more than its {node.cpus}", need.cpus / node.cpus))
    if node.memory < need.memory:
        reason = f"{memory_text(need.memory)} of memory are more than its {memory_text(node.memory)}"
        found.append(("memory", reason, need.memory / node.memory))
    if node.gpus < need.gpus:
        reason = f"{need.gpus} GPUs are more than its {node.gpus}" if node.gpus else "it has no GPUs"
        found.append(("gpus", reason, need.gpus / node.gpus if node.gpus else 1e9))
    if one.max_nodes is not None and need.nodes > one.max_nodes:
        reason = f"{need.nodes} nodes are more than the {one.max_nodes} it allows"
        found.append(("nodes", reason, need.nodes / one.max_nodes))
    if one.max_nodes_per_user is not None and need.nodes > one.max_nodes_per_user:
        reason = f"{need.nodes} nodes are more than the {one.max_nodes_per_user} of one user"
        found.append(("nodes", reason, need.nodes / one.max_nodes_per_user))
    if not explicit and need.nodes < one.min_nodes:
        reason = f"it is for at least {one.min_nodes} nodes"
        found.append(("nodes", reason, one.min_nodes / need.nodes))
    room = one.max_walltime_secs - overhead
    if need.runtime > room:
        longest = f"at most {duration_text(room)} fit" if room > 0 else "nothing fits"
        reason = (
            f"a runtime of {duration_text(need.runtime)} is too long; {longest} into its "
            f"{duration_text(one.max_walltime_secs)}, of which {overhead} s are overhead"
        )
        found.append(("time", reason, need.runtime / max(1, room)))
    if not found:
        return None
    return Misfit(
        partition=one,
        dimensions=list(dict.fromkeys(dimension for dimension, _, _ in found)),
        reasons=[reason for _, reason, _ in found],
        distance=max(distance for _, _, distance in found),
    )


def _little(one: Partition, need: Shape, count: int) -> bool:
    """Whether all of these jobs together take less than a quarter of one node."""
    node = one.node
    return (
        need.nodes == 1
        and 4 * count * need.cpus < node.cpus
        and 4 * count * need.memory < node.memory
        and 4 * count * need.gpus <= max(0, node.gpus - 1)
    )


def _why(
    fitting: Sequence[Partition], need: Shape, count: int, fixed: str | None, spared: Sequence[Partition]
) -> str:
    """In which way the first differs from the second."""
    if not fitting:
        return ""
    first = fitting[0]
    if fixed is not None:
        return "asked for with --partition"
    if len(fitting) == 1:
        return "the only one without GPUs that fits" if spared else "the only one that fits"
    second = fitting[1]
    if first.requires_explicit_request != second.requires_explicit_request:
        return "the others have to be asked for by name"
    if first.debug != second.debug:
        return "the others are for debugging"
    if first.memory_mb != second.memory_mb:
        return "the smallest memory that fits"
    if first.shared != second.shared:
        if first.shared:
            return "shared nodes, since all these jobs together need less than a quarter of one"
        return "whole nodes, since these jobs fill them"
    if first.max_walltime_secs != second.max_walltime_secs:
        return f"the shortest walltime that fits ({duration_text(first.max_walltime_secs)})"
    return "the first of those that are alike"
