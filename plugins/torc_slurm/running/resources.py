"""What a node of an allocation offers: what Slurm says, else what was found (`slurm.md` §5, 4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torc_core.detection import Detected
from torc_core.model import Resources
from torc_core.model.resources import MIB
from torc_slurm.running.hostlist import counts

USABLE = 0.98
"""Part of the memory of a node that is offered where Slurm does not say how much was allocated."""

DEVICES = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def is_node(environ: Mapping[str, str]) -> bool:
    """Whether this process is on a node of an allocation, and not beside it, as in the shell of salloc."""
    return bool(environ.get("SLURM_JOB_ID") and environ.get("SLURMD_NODENAME"))


def offered(
    environ: Mapping[str, str],
    found: Detected,
    *,
    nodes: int = 1,
    is_subtask: bool = False,
    usable: float = USABLE,
) -> Detected:
    """What each of the nodes offers.

    Parameters
    ----------
    found
        What this machine has.
    nodes
        So many nodes of the allocation are offered; the least of each counts for all.
    is_subtask
        This is one of several tasks on its node, each with a part of its own.
    usable
        Part of the memory that was found to offer, where Slurm does not say how much was allocated.
    """
    cpus = _cpus(environ, nodes, is_subtask=is_subtask) or found.capacity.cpus
    gpus, amd = _devices(environ)
    if gpus is None:
        count = _number(environ, "SLURM_GPUS_ON_NODE")
        gpus = found.gpus if count is None else (*found.gpus[:count],) or tuple(map(str, range(count)))
        amd = found.amd
    return Detected(
        capacity=Resources(
            cpus=cpus, memory=_memory(environ, cpus) or int(found.capacity.memory * usable), gpus=len(gpus)
        ),
        gpus=gpus,
        amd=amd,
        num_nodes=nodes,
    )


def _cpus(environ: Mapping[str, str], nodes: int, *, is_subtask: bool) -> int | None:
    if is_subtask and (each := _number(environ, "SLURM_CPUS_PER_TASK")):
        return each
    all_nodes = counts(environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    if nodes > 1 and len(all_nodes) >= nodes:
        return min(all_nodes) or None
    return _number(environ, "SLURM_CPUS_ON_NODE") or None


def _memory(environ: Mapping[str, str], cpus: int) -> int | None:
    # NOTE: 0 is Slurm's word for all that there is.
    if whole := _number(environ, "SLURM_MEM_PER_NODE"):
        return whole * MIB
    if each := _number(environ, "SLURM_MEM_PER_CPU"):
        return each * cpus * MIB
    return None


def _devices(environ: Mapping[str, str]) -> tuple[Sequence[str] | None, bool]:
    """Ids of the devices of this node, and whether they are AMD's; None: Slurm does not tell."""
    for name in DEVICES:
        if name in environ:
            ids = [one.strip() for one in environ[name].split(",") if one.strip()]
            # Two numberings meet here: those of the machine, and, where devices are confined, those from 0 on.
            shown = environ.get("CUDA_VISIBLE_DEVICES") or environ.get("ROCR_VISIBLE_DEVICES")
            visible = [one.strip() for one in (shown or "").split(",") if one.strip()]
            if len(visible) == len(ids):
                ids = visible
            return [one for one in ids if one != "NoDevFiles"], bool(environ.get("ROCR_VISIBLE_DEVICES"))
    return None, False


def _number(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None
