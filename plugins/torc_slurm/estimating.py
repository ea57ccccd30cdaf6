"""When Slurm would start allocations of a shape, without asking for them (`slurm.md` §7.8)."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import datetime
from typing import TYPE_CHECKING

from torc_core.record import record
from torc_slurm.planning.writing import scheduler_fields
from torc_slurm.scheduler.times import written

if TYPE_CHECKING:
    from torc_slurm.planning.plan import Group
    from torc_slurm.scheduler.slurm import Slurm

_START = re.compile(r"to start at (\S+)")
_NODES = re.compile(r"(\d+)/(\d+)/(\d+)/(\d+)")


@record(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What Slurm says of one shape.

    Parameters
    ----------
    waits
        Seconds until it would start; None: not known.
    message
        Why it is not known.
    """

    waits: float | None = None
    message: str | None = None


def estimate(slurm: Slurm, group: Group, account: str, nodes: int, now: float) -> Estimate:
    """Ask when an allocation of so many nodes would start; nothing is submitted.

    Parameters
    ----------
    now
        Seconds since 1970.
    """
    fields = scheduler_fields(group, account)
    options = [f"--account={account}", f"--nodes={nodes}", f"--time={written(group.walltime)}"]
    for key in ("partition", "qos", "mem", "gres"):
        if fields.get(key):
            options.append(f"--{key}={fields[key]}")
    if group.cpus is not None:
        options.append(f"--ntasks-per-node={group.cpus}")
    else:
        options.append("--exclusive")
    descriptor, path = tempfile.mkstemp(prefix="torc-", suffix=".sh")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write("#!/bin/bash\ntrue\n")
        done = slurm.ran("sbatch", "--test-only", *options, path)
    finally:
        os.unlink(path)
    # NOTE: the estimate comes on standard error.
    found = _START.search(done.err) or _START.search(done.out)
    if found is None:
        return Estimate(message=done.said)
    try:
        start = datetime.fromisoformat(found[1]).timestamp()
    except ValueError:
        return Estimate(message=done.said)
    return Estimate(waits=max(0.0, start - now))


def idle_nodes(slurm: Slurm, partition: str) -> int | None:
    """How many nodes of a partition are idle; None: not known."""
    done = slurm.ran("sinfo", "-h", f"--partition={partition}", "-o", "%F")
    counts = [int(found[2]) for found in _NODES.finditer(done.out)]
    return sum(counts) if done.code == 0 and counts else None


def own_nodes(slurm: Slurm, partition: str) -> int | None:
    """How many nodes of a partition allocations of ours have or wait for; None: not known."""
    done = slurm.ran("squeue", "--me", "-h", f"--partition={partition}", "-t", "RUNNING,PENDING", "-o", "%D")
    if done.code != 0:
        return None
    return sum(int(line) for line in done.out.split() if line.isdigit())


def last_end(waits: float | None, allocations: int, walltime: int) -> float | None:
    """Seconds until the last of so many small allocations has ended, about."""
    return None if waits is None else waits * min(allocations, 10) + walltime
