"""What is free on this node, and which job has what. Pure and synchronous."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from torc_core.model import JobId, Resources, Shape
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Slot:
    """What a job holds.

    Parameters
    ----------
    nodes
        Positions in the allocation; several only for jobs that need whole nodes.
    gpus
        Device ids of the first of these nodes, lowest first.
    """

    shape: Shape
    nodes: tuple[int, ...]
    gpus: tuple[str, ...]
    devices: tuple[int, ...]


class Ledger:
    """Reservations on the nodes of an allocation (`runner.md` §4).

    Parameters
    ----------
    capacity
        Of each node.
    gpus
        Device ids of each node; where they are unknown, devices are numbered from 0.
    limit
        More than 0: queue-depth mode. Only jobs are counted, on the first node; resources and devices are ignored.
    """

    def __init__(
        self, capacity: Resources, gpus: Sequence[str] = (), *, nodes: int = 1, limit: int = 0
    ) -> None:
        self._capacity = capacity
        self._names = tuple(gpus)[: capacity.gpus] or tuple(map(str, range(capacity.gpus)))
        self._limit = limit
        self._cpus = [capacity.cpus] * nodes
        self._memory = [capacity.memory] * nodes
        self._devices = [list(range(capacity.gpus)) for _ in range(nodes)]
        self._jobs = [0] * nodes
        self._slots: dict[JobId, Slot] = {}

    def __len__(self) -> int:
        """How many jobs hold something."""
        return len(self._slots)

    def free(self) -> tuple[Resources, ...]:
        """What is free on each node, in the allocation's order."""
        return tuple(
            Resources(cpus=cpus, memory=memory, gpus=len(devices))
            for cpus, memory, devices in zip(self._cpus, self._memory, self._devices, strict=True)
        )

    def spare(self) -> int:
        """At most so many more jobs could start, were they as small as can be; in queue-depth mode exactly."""
        return self._limit - len(self._slots) if self._limit else sum(self._cpus)

    def fits(self, shape: Shape, node: int = 0) -> bool:
        """Whether a job of this shape could be reserved now."""
        return bool(self._room(shape, node))

    def reserve(self, job: JobId, shape: Shape, node: int = 0) -> Slot | None:
        """Reserve what a job needs, on `node` if it has room there; None: it does not fit."""
        nodes = () if job in self._slots else self._room(shape, node)
        if not nodes:
            return None
        devices: tuple[int, ...] = ()
        if not self._limit:
            count = shape.gpus if shape.nodes == 1 else self._capacity.gpus
            for one in nodes:
                whole = shape.nodes > 1
                self._cpus[one] -= self._capacity.cpus if whole else shape.cpus
                self._memory[one] -= self._capacity.memory if whole else shape.memory
                devices = tuple(self._devices[one][:count])
                del self._devices[one][:count]
        for one in nodes:
            self._jobs[one] += 1
        names = tuple(self._names[device] for device in devices)
        self._slots[job] = slot = Slot(shape=shape, nodes=nodes, gpus=names, devices=devices)
        return slot

    def release(self, job: JobId) -> None:
        """Give back what the job holds; no effect when it holds nothing."""
        slot = self._slots.pop(job, None)
        if slot is None:
            return
        for one in slot.nodes:
            self._jobs[one] -= 1
            if not self._limit:
                whole = slot.shape.nodes > 1
                self._cpus[one] += self._capacity.cpus if whole else slot.shape.cpus
                self._memory[one] += self._capacity.memory if whole else slot.shape.memory
                for device in slot.devices:
                    insort(self._devices[one], device)

    def _room(self, shape: Shape, node: int) -> tuple[int, ...]:
        """The nodes that a job of this shape would get; none: it does not fit."""
        if self._limit:
            return (0,) if len(self._slots) < self._limit else ()
        if shape.nodes > 1:
            need, whole = shape.resources, self._capacity
            idle = [one for one, jobs in enumerate(self._jobs) if not jobs]
            return tuple(idle[: shape.nodes]) if len(idle) >= shape.nodes and whole.covers(need) else ()
        for one in (node, *(other for other in range(len(self._cpus)) if other != node)):
            if (
                one < len(self._cpus)
                and self._cpus[one] >= shape.cpus
                and self._memory[one] >= shape.memory
                and len(self._devices[one]) >= shape.gpus
            ):
                return (one,)
        return ()
