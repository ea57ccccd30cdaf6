"""What this host offers to jobs: what was given, else what was found less what other runners hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torc_core.detection import Detected
from torc_core.errors import Conflict, UsageError
from torc_core.model import Node, Resources
from torc_core.model.resources import GIB, memory_text
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user says this host has; None: whatever is found. Memory in GiB."""

    cpus: int | None = None
    memory_gb: float | None = None
    gpus: int | None = None


def offered(found: Detected, asked: Asked, others: Sequence[Node]) -> Detected:
    """The capacity to register: given values as given, found ones less what live runners hold (`runner.md` §2.3).

    Raises
    ------
    UsageError
        If a given value is out of range.
    Conflict
        If nothing is left.
    """
    check(asked)
    held = sum((node.capacity for node in others), Resources())
    taken = {device for node in others for device in node.gpus}
    left = found.capacity - held
    cpus = left.cpus if asked.cpus is None else asked.cpus
    memory = left.memory if asked.memory_gb is None else int(asked.memory_gb * GIB)
    if asked.gpus is None:
        devices: Sequence[str] = [device for device in found.gpus if device not in taken]
        gpus = len(devices)
    else:
        gpus = asked.gpus
        devices = list(found.gpus[:gpus]) if found.gpus else [str(number) for number in range(gpus)]
        if len(devices) < gpus:
            raise UsageError(f"--num-gpus '{gpus}': this host has {len(devices)} GPUs")
    if cpus <= 0 or memory <= 0:
        raise Conflict(nothing_free(found, others, "CPUs" if cpus <= 0 else "memory"))
    return replace(found, capacity=Resources(cpus=cpus, memory=memory, gpus=gpus), gpus=tuple(devices))


def check(asked: Asked) -> None:
    """Refuse given values out of range.

    Raises
    ------
    UsageError
        If one is.
    """
    if asked.cpus is not None and not 1 <= asked.cpus <= 1_000_000:
        raise UsageError(f"--num-cpus '{asked.cpus}' is out of range; give at least 1")
    if asked.memory_gb is not None and not 0 < asked.memory_gb <= 8_000_000:
        raise UsageError(f"--memory-gb '{asked.memory_gb:g}' is out of range; give GiB above 0")
    if asked.gpus is not None and not 0 <= asked.gpus <= 10_000:
        raise UsageError(f"--num-gpus '{asked.gpus}' is out of range; give 0 or more")


def nothing_free(found: Detected, others: Sequence[Node], what: str) -> str:
    """Who holds it all."""
    amount = found.capacity.cpus if what == "CPUs" else memory_text(found.capacity.memory)
    holders = " and ".join(f"runner {node.id} (pid {node.pid})" for node in others) or "nobody"
    verb = "holds" if len(others) == 1 else "hold"
    return (
        f"nothing free on this host: {holders} {verb} all {amount} {what}; wait, or give this run a part of its own "
        "with --num-cpus and --memory-gb"
    )
