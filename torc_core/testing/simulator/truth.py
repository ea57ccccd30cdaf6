"""What really happens on the hosts of a simulation: which process trees live, whatever anybody believes."""

from __future__ import annotations

from torc_core.model import Assignment, Event, Job, JobStatus, Query, Resources
from torc_core.protocols import Store
from torc_core.testing.checker import Mark, Violation
from torc_core.testing.checker.order import ENDS
from torc_core.testing.simulator.world import World


class Tree:
    """The processes of one attempt."""

    def __init__(self, given: Assignment, host: Host) -> None:
        self.given = given
        self.host = host
        self.ends = False
        """It was told to end."""

    @property
    def attempt(self) -> tuple[int, int, int]:
        """Job, run, attempt."""
        job = self.given.job
        return job.id, job.run_id, job.attempt_id


class Host:
    """A machine: what lives on it, what lies on its disk."""

    def __init__(self, name: str, capacity: Resources) -> None:
        self.name = name
        self.capacity = capacity
        self.boots = 1
        self.trees: list[Tree] = []

    @property
    def boot_id(self) -> str:
        """Another one after each start of the machine."""
        return f"{self.name} {self.boots}"


class Truth:
    """Sees every birth and death, and at once what must not be."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._hosts: list[Host] = []
        self._pids = 0
        self._pid: dict[int, int] = {}
        self.marks: list[Mark] = []
        self.violations: list[Violation] = []
        self.forced: set[int] = set()

    def born(self, host: Host, given: Assignment) -> Tree:
        """A process is created."""
        job = given.job
        if host not in self._hosts:
            self._hosts.append(host)
        others = [tree for one in self._hosts for tree in one.trees if tree.given.job.id == job.id]
        tree = Tree(given, host)
        host.trees.append(tree)
        self._pids += 1
        self._pid[id(tree)] = self._pids
        alone = not others or job.id in self.forced
        self._mark("start", tree, alone=alone)
        if not alone:
            self._wrong(
                "I1", f"job {job.id}: attempt {tree.attempt[1:]} began beside {others[0].attempt[1:]}"
            )
        used = sum((one.given.shape.resources for one in host.trees), Resources())
        if not host.capacity.covers(used):
            self._wrong("I4", f"{host.name} has {host.capacity}, and lives with {used}")
        self._check_order(job)
        return tree

    def died(self, tree: Tree) -> bool:
        """A process tree is gone; whether it was there."""
        if tree not in tree.host.trees:
            return False
        tree.host.trees.remove(tree)
        self._mark("end", tree)
        return True

    def _check_order(self, job: Job) -> None:
        row = self._store.get(Job, job.id)
        if (row.run_id, row.attempt_id) != (job.run_id, job.attempt_id) or not row.num_blockers:
            return
        blockers = tuple(self._store.relations([job.id])[0].depends_on)
        for one in self._store.find(Job, Query(workflow=job.workflow_id, where={"id": blockers})).items:
            over = one.status.ended or one.status is JobStatus.DISABLED
            if row.status is JobStatus.RUNNING and not over and not self._ended_once(one):
                self._wrong(
                    "I5", f"job {job.id} began while job {one.id}, which it waits for, was {one.status.label}"
                )

    def _ended_once(self, blocker: Job) -> bool:
        """Whether it had ended in this run and was opened again, which stops nobody who could start already."""
        if blocker.attempt_id > 1:
            return True
        told = self._store.find(
            Event, Query(workflow=blocker.workflow_id, where={"category": tuple(ENDS)})
        ).items
        return any(
            (one.data.get("job_id"), one.data.get("run_id")) == (blocker.id, blocker.run_id) for one in told
        )

    def _mark(self, what: str, tree: Tree, *, alone: bool = True) -> None:
        job, run, attempt = tree.attempt
        self.marks.append(
            Mark(
                what=what, workflow=tree.given.job.workflow_id, job=job, run=run, attempt=attempt, alone=alone,
                host="one clock", pid=self._pid[id(tree)], ns=round(self._world.time * 1e9),
            )
        )  # fmt: skip

    def effect(self, key: str) -> None:
        """Something was done outside of torc."""
        self.marks.append(Mark(what="effect", key=key, ns=round(self._world.time * 1e9)))

    def _wrong(self, rule: str, what: str) -> None:
        self.violations.append(Violation(rule=rule, what=f"at {self._world.time:.1f} s {what}"))
