"""`torc hpc match`: the partition for a kind of job."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_core.errors import BadValue, UsageError
from torc_core.given import Given
from torc_core.model import Shape
from torc_core.model.resources import MIB, memory_bytes, walltime_seconds
from torc_slurm.commands.hpc_profiles import PARTITIONS, partition_item
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column, plain


def match(
    profile: str | None = None,
    /,
    *,
    cpus: int = 1,
    memory: str = "1g",
    walltime: str = "1:00:00",
    gpus: int = 0,
    nodes: int = 1,
    profile_name: Annotated[str | None, Parameter(name="--profile")] = None,
    session: Given,
) -> Report:
    """Find the partition for a kind of job, and say why not the others.

    Parameters
    ----------
    profile
        Of the cluster; normally that of this host, else what Slurm says here.
    cpus
        CPUs on each node.
    memory
        Memory on each node, such as 64g; a number alone is in MB.
    walltime
        How long the job takes: 2h, 30m, 3600s, 4:00:00, 2-00:00:00.
    gpus
        GPUs on each node.
    nodes
        Whole nodes, if more than one.
    profile_name
        The same as the argument.
    """
    from torc_slurm.planning.choice import choose
    from torc_slurm.planning.times import Overhead
    from torc_slurm.profiles.reading import profile_for

    if profile is not None and profile_name is not None and profile != profile_name:
        raise UsageError("two profiles are named; give one")
    for name, value, low in (("--cpus", cpus, 1), ("--gpus", gpus, 0), ("--nodes", nodes, 1)):
        if value < low:
            raise UsageError(f"{name} '{value}' is out of range; it is at least {low}")
    one = profile_for(session, profile or profile_name)
    need = Shape(cpus=cpus, memory=_memory(memory), gpus=gpus, nodes=nodes, runtime=_seconds(walltime))
    found = choose(one, need, Overhead().seconds)
    best = found.partition
    text = [f"{plain(best.name)}: {found.why}"] if best else [f"no partition of '{one.name}' fits"]
    text += [
        f"not {misfit}"
        for misfit in sorted(found.misfits, key=lambda one: (len(one.dimensions), one.distance))
    ]
    items = [partition_item(partition) for partition in found.fitting]
    rows = [{**item, "best": "*" if place == 0 else ""} for place, item in enumerate(items)]
    return Report(
        schema="torc.hpc.match/1",
        data={
            "profile": one.name,
            "cpus": cpus,
            "memory_bytes": need.memory,
            "gpus": gpus,
            "nodes": nodes,
            "walltime_seconds": need.runtime,
            "best": best.name if best else None,
            "why": found.why,
            "fitting": items,
            "refused": [
                {
                    "partition": misfit.partition.name,
                    "dimensions": list(misfit.dimensions),
                    "reason": "; ".join(misfit.reasons),
                }
                for misfit in found.misfits
            ],
        },
        text="\n".join(text),
        rows=rows,
        columns=(Column(title="", key="best"), *PARTITIONS),
        noun="partitions",
        exit_code=0 if best else 1,
    )


def _memory(text: str) -> int:
    """Bytes; a number alone is in MB, as Slurm has it."""
    if text.isascii() and text.isdigit():
        return int(text) * MIB
    try:
        return memory_bytes(text)
    except BadValue as error:
        raise UsageError(f"--memory: {error}") from error


def _seconds(text: str) -> int:
    from torc_terminal.durations import seconds_of

    return (
        walltime_seconds(text) if ":" in text and walltime_seconds(text) else seconds_of(text, "--walltime")
    )
