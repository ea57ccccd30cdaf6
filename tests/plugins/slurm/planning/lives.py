"""Runs a plan in the plainest way: each job, each allocation and each moment by itself, with the real claim."""

import random

from torc_core.engine.claim import Ready, Room, pick
from torc_core.model import JobId, Resources
from torc_slurm.planning.packing import needed
from torc_slurm.planning.queue import Block
from torc_slurm.planning.work import outline

PATIENCE = 90


class Allocation:
    """One allocation: from `begin` on its runner claims, after `end` nothing may run there any more."""

    def __init__(self, group, begin, block):
        self.group, self.begin, self.end, self.block = group, begin, begin + block.usable, block
        self.free = block.empty()
        self.running = {}
        self.idle_since = begin
        self.gone = False


class Life:
    """A workflow and its plan, lived through.

    `stretch`: by how much the run time of a job differs from what it declares, as a factor at most; `wait`: seconds that
    an allocation may wait in the queue; `keeper`: whether missing allocations are submitted (`slurm.md` PL22);
    `newest_first`: which of several allocations takes a job.
    """

    def __init__(self, work, plan, *, seed=0, stretch=1.0, wait=0, keeper=False, newest_first=False):
        self.work, self.plan, self.keeper = work, plan, keeper
        self.draw = random.Random(seed)
        seen = outline(work)
        self.need = [seen.needs[kind][0] for kind in seen.kind_of]
        self.group_of = {job: place for place, one in enumerate(plan.groups) for job in one.jobs}
        self.blocks = [self._block(one) for one in plan.groups]
        self.takes = [
            max(1, round(one.runtime * self.draw.uniform(1 / stretch, stretch))) for one in self.need
        ]
        self.wait, self.order = wait, -1 if newest_first else 1
        self.now = 0
        self.status = ["blocked"] * len(self.need)
        self.allocations = []
        self.fired = set()
        self.kept = 0
        self.last_kept = {}
        self.imminent = {}

    def _block(self, group):
        node = group.partition.node
        if group.cpus is not None:
            node = Resources(cpus=group.cpus, memory=group.memory, gpus=group.gpus)
        nodes = 1 if group.per_node else group.nodes
        return Block(node=node, nodes=nodes, usable=group.walltime - self.plan.overhead)

    def run(self):
        """Until nothing moves any more: how many jobs never ran."""
        for place, group in enumerate(self.plan.groups):
            for wave in group.waves:
                if not wave.trigger:
                    self._submit(place, wave.allocations * (group.nodes if group.per_node else 1))
        while True:
            self._release()
            self._foresee()
            for one in self.allocations[:: self.order]:
                self._claim(one)
            self._foresee()
            if self.keeper:
                self._keep()
            after = self._next()
            if after is None:
                return self.status.count("blocked") + self.status.count("ready")
            self.now = after
            for one in self.allocations:
                self._finish(one)

    def _submit(self, group, count):
        for _ in range(count):
            begin = self.now + (self.draw.randint(0, self.wait) if self.wait else 0)
            self.allocations.append(Allocation(group, begin, self.blocks[group]))

    def _release(self):
        dag = self.work.dag
        for job, status in enumerate(self.status):
            if status == "blocked" and all(
                self.status[other] in ("done", "killed")
                for group in dag.waits[job]
                for other in dag.groups[group]
            ):
                self.status[job] = "ready"
        for place, group in enumerate(self.plan.groups):
            for number, wave in enumerate(group.waves):
                due = any(self.status[job] != "blocked" for job in wave.trigger)
                if due and (place, number) not in self.fired:
                    self.fired.add((place, number))
                    self._submit(place, wave.allocations * (group.nodes if group.per_node else 1))

    def _ready(self, group):
        return [
            job for job, status in enumerate(self.status) if status == "ready" and self.group_of[job] == group
        ]

    def _claim(self, one):
        jobs = self._ready(one.group)
        if one.gone or self.now < one.begin or not jobs:
            return
        if not one.running and self.now - one.idle_since > PATIENCE and not self._foreseen(one):
            one.gone = True
            return
        lines = {}
        for job in jobs:
            lines.setdefault(self.need[job], []).append((JobId(job), self.work.dag.steps[job].priority, 0))
        ready = [
            Ready(shape=shape, heads=sorted(heads, key=lambda head: (-head[1], head[0])), count=len(heads))
            for shape, heads in lines.items()
        ]
        room = Room(free=one.free, capacity=one.block.node, time_limit=int(one.end - self.now))
        for choice in pick(ready, room, 10_000).choices:
            shape = choice.shape
            back = [(node, one.block.node if shape.nodes > 1 else shape.resources) for node in choice.nodes]
            for node, amount in back:
                one.free[node] -= amount
                assert one.free[node].covers(Resources()), "more is taken than there is"
            self.status[choice.job] = "running"
            one.running[choice.job] = (self.now + self.takes[choice.job], back)

    def _foreseen(self, one):
        """Whether a job is ready that could be foreseen when the runner would have left: all it waited for ran."""
        return any(
            self.imminent[job] <= one.idle_since + PATIENCE and self.now + self.need[job].runtime <= one.end
            for job in self._ready(one.group)
        )

    def _foresee(self):
        dag = self.work.dag
        for job, status in enumerate(self.status):
            blockers = [other for group in dag.waits[job] for other in dag.groups[group]]
            if status in ("blocked", "ready") and not any(
                self.status[other] in ("blocked", "ready") for other in blockers
            ):
                self.imminent.setdefault(job, self.now)

    def _finish(self, one):
        for job, (end, back) in list(one.running.items()):
            over = self.now >= one.end and end > one.end
            if end <= self.now or over:
                self.status[job] = "killed" if over and end > self.now else "done"
                del one.running[job]
                for node, amount in back:
                    one.free[node] += amount
                one.idle_since = self.now

    def _next(self):
        moments = [end for one in self.allocations for end, _ in one.running.values()]
        moments += [one.end for one in self.allocations if one.running]
        moments += [one.begin for one in self.allocations if not one.gone]
        if self.keeper and "ready" in self.status:
            moments.append(self.now + 60)
        return min((at for at in moments if at > self.now), default=None)

    def _keep(self):
        """Whether somebody has to help: ready jobs that no allocation can run, now or later."""
        for group, block in enumerate(self.blocks):
            jobs = self._ready(group)
            able = [
                one for one in self.allocations if one.group == group and not one.gone and one.end > self.now
            ]
            lost = [
                job
                for job in jobs
                if all(max(self.now, one.begin) + self.need[job].runtime > one.end for one in able)
            ]
            if lost and self.now - self.last_kept.get(group, -60) >= 60:
                self.last_kept[group] = self.now
                demand = {}
                for job in lost:
                    kind = (self.need[job], self.work.dag.steps[job].priority)
                    demand[kind] = demand.get(kind, 0) + 1
                self.kept += 1
                self._submit(group, needed(demand, block).allocations)
