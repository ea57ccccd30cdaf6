"""What would happen on so many nodes: jobs are placed one after the other as soon as there is room (`observability.md` §6)."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence

from torc_core.engine.dag import Dag
from torc_core.record import record

Shape = tuple[int, int, int, int, float]

ROUNDING = 1e-6
"""Part of a walltime by which sums of times may be wrong."""


@record(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is: `nodes` equal nodes, each in allocations of `walltime` seconds that follow each other; None: for ever."""

    nodes: int
    cpus: int
    memory: int | None = None
    gpus: int | None = None
    walltime: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How it goes.

    Parameters
    ----------
    seconds
        From the beginning to the end of the last job.
    busy_cpu_seconds
        What jobs used of CPUs.
    stuck
        Jobs that never run, since they, or others that they wait for, fit nowhere.
    """

    seconds: float
    busy_cpu_seconds: float
    stuck: int

    def node_hours(self, machine: Machine) -> float:
        """Hours of all nodes up to the end; allocations are paid for as a whole."""
        if machine.walltime is None:
            return self.seconds * machine.nodes / 3600
        return math.ceil(self.seconds / machine.walltime - ROUNDING) * machine.walltime * machine.nodes / 3600

    def utilization(self, machine: Machine) -> float:
        """Which part of all CPUs was busy, from 0 to 1."""
        there = self.seconds * machine.nodes * machine.cpus
        return self.busy_cpu_seconds / there if there else 0.0


def simulate(dag: Dag, machine: Machine) -> Forecast:
    """Run the jobs of a workflow on paper: those with a higher priority first, then by position."""
    return _Run(dag, machine).result()


class _Run:
    """One run; jobs of equal shape stand in one queue, so that what fits nowhere is looked at once."""

    def __init__(self, dag: Dag, machine: Machine) -> None:
        self._dag, self._machine = dag, machine
        self._members = dag.members()
        self._missing = [len(jobs) for jobs in dag.groups]
        self._left = [sum(1 for group in groups if self._missing[group]) for groups in dag.waits]
        self._waiting: list[list[int]] = [[] for _ in dag.groups]
        for job, groups in enumerate(dag.waits):
            for group in groups:
                self._waiting[group].append(job)
        self._free = [[machine.cpus, machine.memory, machine.gpus] for _ in range(machine.nodes)]
        self._queues: dict[Shape, list[tuple[int, int]]] = {}
        self._running: list[tuple[float, int, Sequence[int]]] = []
        self._done = 0

    def result(self) -> Forecast:
        now = busy = 0.0
        for job, left in enumerate(self._left):
            if not left:
                self._queue(job)
        while True:
            busy += self._place(now)
            if self._running:
                now = self._running[0][0]
                ended = deque([heapq.heappop(self._running)])
                while self._running and self._running[0][0] <= now:
                    ended.append(heapq.heappop(self._running))
                for _, job, nodes in ended:
                    self._end(job, nodes)
                continue
            later = self._next_allocation(now)
            if later is None:
                return Forecast(seconds=now, busy_cpu_seconds=busy, stuck=len(self._dag.steps) - self._done)
            now = later

    def _next_allocation(self, now: float) -> float | None:
        """When new allocations begin, if a job waits for no more than time; all nodes are idle."""
        walltime = self._machine.walltime
        if walltime is None or not any(
            queue and shape[4] <= walltime and self._fitting(shape) for shape, queue in self._queues.items()
        ):
            return None
        return (math.floor(now / walltime + ROUNDING) + 1) * walltime

    def _queue(self, job: int) -> None:
        one = self._dag.steps[job]
        shape = (one.cpus, one.memory, one.gpus, one.nodes, one.seconds)
        heapq.heappush(self._queues.setdefault(shape, []), (-one.priority, job))

    def _place(self, now: float) -> float:
        """Start what fits; the CPU seconds of it."""
        busy = 0.0
        walltime = self._machine.walltime
        left = math.inf
        if walltime is not None:
            left = walltime * (1 - (now / walltime + ROUNDING) % 1 + 2 * ROUNDING)
        open_ones = [(queue[0], shape) for shape, queue in self._queues.items() if queue and shape[4] <= left]
        heapq.heapify(open_ones)
        while open_ones:
            _, shape = heapq.heappop(open_ones)
            queue = self._queues[shape]
            nodes = self._fitting(shape)
            if not nodes:
                continue
            _, job = heapq.heappop(queue)
            self._take(shape, nodes, -1)
            busy += shape[4] * shape[0] * shape[3]
            heapq.heappush(self._running, (now + shape[4], job, nodes))
            if queue:
                heapq.heappush(open_ones, (queue[0], shape))
        return busy

    def _fitting(self, shape: Shape) -> Sequence[int]:
        """Nodes with room for a job; one that needs several takes idle ones."""
        cpus, memory, gpus, nodes, _ = shape
        idle = [self._machine.cpus, self._machine.memory, self._machine.gpus]
        found: list[int] = []
        for place, free in enumerate(self._free):
            if (
                free[0] is not None
                and free[0] >= cpus
                and (free[1] is None or free[1] >= memory)
                and (free[2] is None or free[2] >= gpus)
                and (nodes == 1 or free == idle)
            ):
                found.append(place)
                if len(found) == nodes:
                    return found
        return ()

    def _take(self, shape: Shape, nodes: Sequence[int], sign: int) -> None:
        for place in nodes:
            free = self._free[place]
            for at in range(3):
                amount = free[at]
                if amount is not None:
                    free[at] = amount + sign * int(shape[at])

    def _end(self, job: int, nodes: Sequence[int]) -> None:
        one = self._dag.steps[job]
        self._take((one.cpus, one.memory, one.gpus, one.nodes, one.seconds), nodes, 1)
        self._done += 1
        for group in self._members[job]:
            self._missing[group] -= 1
            if not self._missing[group]:
                for other in self._waiting[group]:
                    self._left[other] -= 1
                    if not self._left[other]:
                        self._queue(other)
