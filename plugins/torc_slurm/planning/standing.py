"""What the allocations that a workflow has already will still run (`slurm.md` §7.7). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torc_core.model import Json, Resources
from torc_core.model.resources import walltime_seconds
from torc_core.record import record
from torc_slurm.planning.queue import Block
from torc_slurm.planning.replay import Living, Replay
from torc_slurm.planning.times import START_UP
from torc_slurm.planning.work import Work, course, outline
from torc_slurm.profiles.model import Partition, Profile
from torc_slurm.scheduler.sizes import mebibytes

_GPUS = re.compile(r"gpu(?::[A-Za-z][\w.-]*)?:(\d+)")


@record(frozen=True, slots=True, kw_only=True)
class Held:
    """An allocation that is queued or runs.

    Parameters
    ----------
    scheduler
        Its id.
    age
        Seconds since its runner began; queued ones have 0.
    running
        Jobs, by position, that run on it.
    capacity
        Of each node, as its runner said; None: it has not begun.
    """

    scheduler: int
    nodes: int = 1
    age: float = 0.0
    running: Sequence[int] = ()
    capacity: Resources | None = None


def served(
    work: Work,
    bound: Sequence[int | None],
    held: Sequence[Held],
    schedulers: Mapping[int, Mapping[str, Json]],
    profile: Profile,
    *,
    before_end: int,
    patience: float | None,
) -> frozenset[int]:
    """The planned jobs that run to their end in allocations that are there, if nothing else comes.

    Parameters
    ----------
    bound
        Of each job the scheduler that it belongs to.
    schedulers
        By id their fields.
    """
    if not held:
        return frozenset()
    places = {one: place for place, one in enumerate(dict.fromkeys(one.scheduler for one in held))}
    # Jobs of schedulers without an allocation stand in a group that has none.
    nowhere = len(places)
    seen = outline(replace(work, requirements=[str(one) for one in bound]), by_requirement=True)
    group_of = {str(scheduler): place for scheduler, place in places.items()}
    kinds = [group_of.get(name, nowhere) for _, name in seen.needs]
    widest = [1] * (nowhere + 1)
    for kind, (need, _) in enumerate(seen.needs):
        if seen.jobs[kind]:
            widest[kinds[kind]] = max(widest[kinds[kind]], need.nodes)
    blocks = []
    for scheduler in places:
        own = [one for one in held if one.scheduler == scheduler]
        fields = schedulers.get(scheduler, {})
        nodes = 1 if widest[places[scheduler]] == 1 else min(one.nodes for one in own)
        length = walltime_seconds(str(fields.get("walltime") or "")) or 3_600
        blocks.append(
            Block(
                node=_capacity(own, fields, profile),
                nodes=nodes,
                usable=max(0, length - before_end - START_UP),
            )
        )
    blocks.append(Block(node=Resources(), usable=0))
    way = course(seen, kinds)
    cohort_of = {job: place for place, one in enumerate(way.cohorts) for job in one.jobs}
    living = []
    for one in held:
        group = places[one.scheduler]
        pieces = one.nodes // blocks[group].nodes
        running = [cohort_of[job] for job in one.running if job in cohort_of]
        for piece in range(pieces):
            living.append(Living(group=group, age=one.age, running=running[piece::pieces]))
    outcome = Replay(way, blocks, (), patience=patience, living=living).run()
    return frozenset(
        job
        for place, cohort in enumerate(way.cohorts)
        if cohort.group is not None
        for job in cohort.jobs[: outcome.ran.get(place, 0)]
    )


def _capacity(held: Sequence[Held], fields: Mapping[str, Json], profile: Profile) -> Resources:
    """What a node of these allocations offers: as their runners said, else as the scheduler asks."""
    known = [one.capacity for one in held if one.capacity is not None]
    if known:
        return min(known, key=lambda one: (one.gpus, one.cpus, one.memory))
    memory = mebibytes(str(fields.get("mem") or ""))
    partition = _partition(fields, memory or 0, profile)
    node = Resources() if partition is None else partition.node
    cpus = fields.get("ntasks_per_node")
    found = _GPUS.search(str(fields.get("gres") or ""))
    return Resources(
        cpus=cpus if isinstance(cpus, int) else node.cpus,
        memory=node.memory if memory is None else memory,
        gpus=int(found[1]) if found else 0,
    )


def _partition(fields: Mapping[str, Json], memory: int, profile: Profile) -> Partition | None:
    """The partition a scheduler means: the one it names, else the default, else the first that it may be."""
    name = fields.get("partition")
    if isinstance(name, str):
        return profile.partition(name)
    length = walltime_seconds(str(fields.get("walltime") or ""))
    fitting = [
        one
        for one in profile.partitions
        if not one.requires_explicit_request and one.node.memory >= memory and one.max_walltime_secs >= length
    ]
    default = [one for one in fitting if one.is_default]
    return next(iter(default or fitting), None)
