"""How much of a shared node an allocation asks for (`slurm.md` PL15)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torc_core.model import Resources, Shape
from torc_core.model.resources import MIB
from torc_core.record import record
from torc_slurm.planning.packing import Kind, Packings
from torc_slurm.planning.queue import Block
from torc_slurm.profiles.model import Partition

RUNNER = 256 * MIB
"""Memory for the runner itself, which lives within the limit of its allocation."""

UNSTATED = MIB
"""Up to so much memory of a job says nothing about what it needs (`workflow-spec.md` §6)."""


@record(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of a node; `memory` is asked for in bytes, `usable` is what the runner may give to jobs."""

    usable: Resources
    memory: int


def share(
    partition: Partition,
    block: Block,
    demands: Sequence[Mapping[Kind, int]],
    shapes: Collection[Shape],
    packings: Packings,
) -> Share | None:
    """The smallest part of a node with which no more allocations are needed than with whole ones.

    None: whole nodes, since jobs take several.

    Parameters
    ----------
    demands
        What each wave is for; a kind of job may be in none, since it runs where others have left.
    shapes
        What jobs of the group need: each has to fit.
    """
    if any(shape.nodes > 1 for shape in shapes):
        return None
    if len(shapes) == 1:
        (shape,) = shapes
        rounds = max(1, block.usable // shape.runtime)
        at_once = max(
            -(-sum(demand.values()) // (rounds * max(1, packings.needed(demand, block).allocations)))
            for demand in demands
        )
        part = Resources(cpus=at_once * shape.cpus, memory=at_once * shape.memory, gpus=at_once * shape.gpus)
    else:
        peaks = [packings.needed(demand, block).peak for demand in demands]
        peaks += [one.resources for one in shapes]
        part = Resources(
            cpus=max(one.cpus for one in peaks),
            memory=max(one.memory for one in peaks),
            gpus=max(one.gpus for one in peaks),
        )
    node = partition.node
    asked = part.memory
    if any(shape.memory <= UNSTATED for shape in shapes):
        asked = max(asked, node.memory * part.cpus // node.cpus)
    memory = min(node.memory, -(-(asked + RUNNER) // MIB) * MIB)
    return Share(
        usable=Resources(cpus=part.cpus, memory=memory, gpus=min(node.gpus, part.gpus)), memory=memory
    )
