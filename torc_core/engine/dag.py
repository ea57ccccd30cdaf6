"""A workflow as jobs that wait for groups of jobs: its order, its levels and the chain that takes longest."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from torc_core.model import InputKind, JobStatus, Json, Plan
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Step:
    """A job as plans see it.

    Parameters
    ----------
    seconds
        How long it took, or what it declares.
    cpus, memory, gpus
        On each of `nodes` nodes.
    status
        None: it is of a document.
    reads, writes, takes, gives
        Positions of files that it reads and writes, of user data that it reads and writes.
    """

    name: str
    seconds: float = 60.0
    cpus: int = 1
    memory: int = 0
    gpus: int = 0
    nodes: int = 1
    priority: int = 0
    status: JobStatus | None = None
    reads: Sequence[int] = ()
    writes: Sequence[int] = ()
    takes: Sequence[int] = ()
    gives: Sequence[int] = ()


@record(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """Allocations that are asked for at a moment: at the start, or when jobs (positions) are ready."""

    scheduler: str
    scheduler_type: str = "slurm"
    allocations: int = 1
    at_start: bool = True
    jobs: Sequence[int] = ()


@record(frozen=True, slots=True, kw_only=True)
class Dag:
    """The jobs of a workflow and what they wait for.

    Parameters
    ----------
    workflow
        Its id; None: it is of a document.
    waits
        Of each job the positions of the groups that it waits for.
    groups
        Distinct lists of jobs, by position.
    """

    name: str
    workflow: int | None = None
    steps: Sequence[Step] = ()
    waits: Sequence[Sequence[int]] = ()
    groups: Sequence[Sequence[int]] = ()
    files: Sequence[str] = ()
    user_data: Sequence[str] = ()
    schedulings: Sequence[Scheduling] = ()

    def blockers(self, job: int) -> Sequence[int]:
        """The jobs that a job waits for, ascending."""
        return merged(self.groups[group] for group in self.waits[job])

    def members(self) -> Sequence[Sequence[int]]:
        """Of each job the groups that it belongs to."""
        found: list[list[int]] = [[] for _ in self.steps]
        for group, jobs in enumerate(self.groups):
            for job in jobs:
                found[job].append(group)
        return found

    def order(self) -> Iterator[int]:
        """Every job after all that it waits for, otherwise by position."""
        members = self.members()
        left = [len(groups) for groups in self.waits]
        # A group without members is complete from the beginning.
        missing = [len(jobs) for jobs in self.groups]
        waiting: list[list[int]] = [[] for _ in self.groups]
        for job, groups in enumerate(self.waits):
            for group in groups:
                waiting[group].append(job)
                left[job] -= not missing[group]
        queue = deque(job for job, count in enumerate(left) if not count)
        while queue:
            job = queue.popleft()
            yield job
            for group in members[job]:
                missing[group] -= 1
                if missing[group]:
                    continue
                for other in waiting[group]:
                    left[other] -= 1
                    if not left[other]:
                        queue.append(other)

    def levels(self) -> Sequence[int]:
        """Of each job the number of jobs on the longest chain that ends with it; the first ones have 1."""
        depth = [0] * len(self.steps)
        below: dict[int, int] = {}
        for job in self.order():
            depth[job] = 1 + max((self._most(group, depth, below) for group in self.waits[job]), default=0)
        return depth

    def _most(self, group: int, depth: Sequence[int], known: dict[int, int]) -> int:
        if group not in known:
            known[group] = max((depth[job] for job in self.groups[group]), default=0)
        return known[group]

    def critical_path(self) -> tuple[Sequence[int], float]:
        """The chain of jobs that takes longest when nothing has to wait for room, and its seconds."""
        end = [0.0] * len(self.steps)
        last: dict[int, int] = {}
        before: dict[int, int] = {}
        for job in self.order():
            latest: int | None = None
            for group in self.waits[job]:
                if group not in last and self.groups[group]:
                    last[group] = max(self.groups[group], key=end.__getitem__)
                if group in last and (latest is None or end[last[group]] > end[latest]):
                    latest = last[group]
            end[job] = self.steps[job].seconds + (0.0 if latest is None else end[latest])
            if latest is not None:
                before[job] = latest
        if not self.steps:
            return (), 0.0
        path = [max(range(len(end)), key=end.__getitem__)]
        while path[-1] in before:
            path.append(before[path[-1]])
        return path[::-1], max(end)

    def cpu_hours(self) -> float:
        """What all jobs take of CPUs together."""
        return sum(one.seconds * one.cpus * one.nodes for one in self.steps) / 3600


def merged(lists: Iterator[Sequence[int]] | Sequence[Sequence[int]]) -> Sequence[int]:
    """Several ascending lists as one, without repetitions."""
    parts = list(lists)
    return parts[0] if len(parts) == 1 else sorted({one for part in parts for one in part})


def of_plan(plan: Plan) -> Dag:
    """A planned workflow; its jobs take as long as they declare."""
    return Dag(
        name=plan.workflow.name,
        steps=[
            Step(
                name=job.name,
                seconds=float(needs.runtime_s),
                cpus=needs.num_cpus,
                memory=needs.memory_bytes,
                gpus=needs.num_gpus,
                nodes=needs.num_nodes,
                priority=job.priority,
                reads=_items(plan, job.inputs, InputKind.FILE),
                takes=_items(plan, job.inputs, InputKind.USER_DATA),
                writes=job.output_files,
                gives=job.output_user_data,
            )
            for job in plan.jobs
            for needs in [plan.requirements[job.requirement]]
        ],
        waits=[[group for group, _ in job.groups] for job in plan.jobs],
        groups=plan.groups,
        files=[file.name for file in plan.files],
        user_data=[datum.name for datum in plan.user_data],
        schedulings=[
            scheduling(one.trigger_type, one.config, one.jobs)
            for one in plan.actions
            if one.action_type == "schedule_nodes"
        ],
    )


def scheduling(trigger: str, config: Mapping[str, Json], jobs: Sequence[int]) -> Scheduling:
    """An action `schedule_nodes`."""
    number = config.get("num_allocations")
    return Scheduling(
        scheduler=str(config.get("scheduler") or ""),
        scheduler_type=str(config.get("scheduler_type") or "slurm"),
        allocations=number if isinstance(number, int) else 1,
        at_start=trigger == "on_workflow_start",
        jobs=jobs,
    )


def _items(plan: Plan, inputs: Sequence[int], kind: InputKind) -> Sequence[int]:
    return merged([plan.inputs[one].items for one in inputs if plan.inputs[one].kind is kind])
