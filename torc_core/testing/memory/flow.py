"""One workflow in memory: its records, and the indexes by which the rules find what they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any

from torc_core.engine.claim import Head
from torc_core.engine.completion import Standing, cascaded
from torc_core.engine.release import Waiter, recount
from torc_core.engine.runs import blockers
from torc_core.model import (
    OPEN,
    ActionId,
    Event,
    InputKind,
    Job,
    JobId,
    JobStatus,
    NodeId,
    Requirement,
    Result,
    ResultId,
    Shape,
    Source,
    UserData,
    Workflow,
)
from torc_core.record import record
from torc_core.store.fields import FIELDS, PAIRS, WITHOUT_WORKFLOW

KINDS = tuple(kind for kind in FIELDS if kind not in (Workflow, Job, Event, *WITHOUT_WORKFLOW, *PAIRS))
"""Records of a workflow that are kept as they are, in one table per kind."""


@dataclass(slots=True)
class Line:
    """The ready jobs of one class, in order; the heap may hold jobs that are ready no more."""

    shape: Shape
    count: int = 0
    heap: list[tuple[int, JobId]] = field(default_factory=list)


class Links:
    """Who waits for whom: distinct lists of blockers with their counters (`engine.md` §5.1, §5.2)."""

    def __init__(self) -> None:
        self.members: dict[int, tuple[JobId, ...]] = {}
        self.counts: dict[int, tuple[int, int]] = {}
        self.memberships: dict[JobId, list[int]] = {}
        self.uses: dict[JobId, dict[int, Source]] = {}
        self.users: dict[int, dict[JobId, None]] = {}
        self._shared: dict[tuple[JobId, ...], int] = {}
        self._sizes: dict[tuple[int, ...], int] = {}

    def group(self, members: tuple[JobId, ...]) -> int:
        """The group with these members, ascending; made if there is none. Its counters have to be set."""
        group = self._shared.get(members)
        if group is None:
            group = self._shared[members] = len(self.members) + 1
            self.members[group], self.users[group] = members, {}
            for job in members:
                self.memberships.setdefault(job, []).append(group)
        return group

    def use(self, job: JobId, group: int, source: Source) -> None:
        """Let a job wait for a group."""
        uses = self.uses.setdefault(job, {})
        uses[group] = uses.get(group, Source(0)) | source
        self.users[group][job] = None

    def unuse(self, job: JobId, group: int, source: Source) -> None:
        """Let a job no longer wait for a group because of this source."""
        left = self.uses[job][group] & ~source
        if left:
            self.uses[job][group] = left
        else:
            del self.uses[job][group], self.users[group][job]

    def leave(self, job: JobId) -> list[int]:
        """Take a job out of all groups, as member and as waiter; the groups that had it are shared no more."""
        groups = self.memberships.pop(job, [])
        for group in groups:
            self._shared.pop(self.members[group], None)
            self.members[group] = tuple(member for member in self.members[group] if member != job)
        for group in self.uses.pop(job, {}):
            del self.users[group][job]
        self._sizes.clear()
        return groups

    def blockers(self, job: JobId) -> int:
        """How many distinct jobs it waits for, counted once per combination of groups."""
        groups = tuple(sorted(self.uses.get(job, ())))
        if groups not in self._sizes:
            self._sizes[groups] = blockers([self.members[group] for group in groups])
        return self._sizes[groups]


@record(frozen=True, slots=True, kw_only=True)
class InputSet:
    """A distinct list of files or user data that jobs read."""

    kind: InputKind
    items: tuple[int, ...]


@dataclass(slots=True)
class Told:
    """What a node was last told, so that a held turn is answered early only for what is new."""

    ended: tuple[bool, ...] = (False, False, False, False)
    orders: frozenset[JobId] = frozenset()
    due: frozenset[ActionId] = frozenset()


class Flow:
    """One workflow with all that belongs to it; a `Graph` for `engine.release`. Not locked: the store is."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.first_start: int | None = None
        self.last_end: int | None = None
        """Of the current run: when its first job started, when its last attempt ended."""
        self.jobs: dict[JobId, Job] = {}
        self.shapes: dict[JobId, Shape] = {}
        self.lines: dict[Shape, Line] = {}
        self.tally: dict[JobStatus, int] = dict.fromkeys(JobStatus, 0)
        self.links = Links()
        self.input_sets: list[InputSet] = []
        self.inputs: dict[JobId, tuple[int, ...]] = {}
        self.outputs: dict[JobId, Mapping[InputKind, tuple[int, ...]]] = {}
        self.first_data: dict[int, UserData] = {}
        self.results: dict[tuple[JobId, int, int], ResultId] = {}
        self.leases: dict[ResultId, str] = {}
        """Under which claim the attempts of provisional results were held."""
        self.live: dict[NodeId, dict[JobId, None]] = {}
        self.forked: set[JobId] = set()
        self.missed: dict[JobId, int] = {}
        self.beat_numbers: dict[NodeId, int] = {}
        self.recalled: set[JobId] = set()
        self.claims: dict[str, int] = {}
        self.claims_by_hand: dict[str, tuple[int, NodeId | None, tuple[JobId, ...]]] = {}
        self.requests: dict[str, list[int]] = {}
        """The allocations that were intended under each request id."""
        self.told: dict[NodeId, Told] = {}
        self.hits: dict[ActionId, dict[JobId, int]] = {}
        self.tables: dict[type[Any], dict[int, Any]] = {kind: {} for kind in KINDS}
        self._shape_of: dict[tuple[int, int | None, str | None], Shape] = {}

    # Who waits for whom, as the rules ask for it.

    def memberships(self, job: JobId) -> Iterable[int]:
        """Groups that have the job."""
        return self.links.memberships.get(job, ())

    def uses(self, job: JobId) -> Iterable[int]:
        """Groups that the job waits for."""
        return self.links.uses.get(job, ())

    def users(self, group: int) -> Iterable[JobId]:
        """Jobs that wait for the group."""
        return self.links.users[group]

    def counts(self, group: int) -> tuple[int, int]:
        """Members that are open, and bad."""
        return self.links.counts[group]

    def waiter(self, job: JobId) -> Waiter:
        """What the rules look at of a job that waits."""
        row = self.jobs[job]
        return Waiter(row.status, row.unmet, row.cancel_on_blocking_job_failure, cascaded(row))

    # Jobs.

    @property
    def open(self) -> int:
        """Jobs that are neither ended nor disabled."""
        return sum(self.tally[status] for status in OPEN)

    @property
    def complete(self) -> bool:
        """Canceled, or initialised and nothing is left to do (`engine.md` §4)."""
        return self.workflow.is_canceled or (self.workflow.run_id > 0 and not self.open)

    def put(self, job: Job) -> None:
        """Store a job, and keep the indexes true."""
        old, shape = self.jobs.get(job.id), self.shape(job)
        was = self.shapes.get(job.id)
        if old is not None and was is not None:
            self._count(old, was, -1)
            if old.node_id is not None and old.node_id != job.node_id:
                del self.live[old.node_id][old.id]
        if job.status is JobStatus.RUNNING and (old is None or old.status is not job.status):
            self.first_start = self.first_start or job.start_time
        self.jobs[job.id], self.shapes[job.id] = job, shape
        self._count(job, shape, 1)
        if claimable(job) and (
            old is None or not claimable(old) or old.priority != job.priority or was != shape
        ):
            heappush(self.lines[shape].heap, (-job.priority, job.id))
        if job.node_id is not None:
            self.live.setdefault(job.node_id, {})[job.id] = None
        elif old is not None and old.node_id is not None:
            self.forked.discard(job.id)
            self.missed.pop(job.id, None)
            self.recalled.discard(job.id)

    def drop(self, job: Job) -> None:
        """Forget a job that nobody waits for any more."""
        self._count(job, self.shapes[job.id], -1)
        for index in (self.jobs, self.shapes, self.inputs, self.outputs):
            index.pop(job.id, None)

    def shape(self, job: Job) -> Shape:
        """The class of a job (`engine.md` §7.2)."""
        key = (job.requirement_id, job.scheduler_id, job.label)
        if key not in self._shape_of:
            need: Requirement = self.tables[Requirement][job.requirement_id]
            self._shape_of[key] = Shape(
                cpus=need.num_cpus, memory=need.memory_bytes, gpus=need.num_gpus, nodes=need.num_nodes,
                runtime=need.runtime_s, scheduler=job.scheduler_id, label=job.label,
            )  # fmt: skip
        return self._shape_of[key]

    def reshape(self) -> None:
        """Look at all requirements anew, and move the jobs that nobody has claimed to their class."""
        self._shape_of.clear()
        for job in list(self.jobs.values()):
            if not job.status.live:
                self.put(job)

    def recount(self) -> None:
        """Set all counters of those who wait anew from the statuses (`engine.md` §5.6)."""
        self.links.counts.update({
            group: recount(self.jobs[job].status for job in members) for group, members in self.links.members.items()
        })  # fmt: skip
        for job in list(self.jobs.values()):
            unmet = sum(self.links.counts[group][0] > 0 for group in self.uses(job.id))
            self.put(replace(job, unmet=unmet, num_blockers=self.links.blockers(job.id)))

    def claimed_for(self, node: NodeId) -> list[Job]:
        """What was claimed in the name of a node of a published client, and is not started."""
        claims = [(at, jobs) for at, named, jobs in self.claims_by_hand.values() if named == node]
        return [job for at, jobs in claims for job in self.not_started(at, jobs)]

    def not_started(self, at: int, jobs: Sequence[JobId]) -> list[Job]:
        """The jobs of a claim without a node that still wait for their start."""
        found = [self.jobs[id] for id in jobs if id in self.jobs]
        return [
            job
            for job in found
            if job.status is JobStatus.PENDING and job.node_id is None and job.claimed_at == at
        ]

    def heads(self, line: Line, limit: int) -> Sequence[Head]:
        """The first ready jobs of a class."""
        found: list[Head] = []
        while line.heap and len(found) < limit:
            negative, id = heappop(line.heap)
            job = self.jobs.get(id)
            if job is None or not claimable(job) or self.shapes[id] != line.shape:
                continue
            if job.priority == -negative and not (found and found[-1][0] == id):
                found.append((id, job.priority, job.ready_since or 0))
        for id, priority, _ in found:
            heappush(line.heap, (-priority, id))
        return found

    def _count(self, job: Job, shape: Shape, step: int) -> None:
        self.tally[job.status] += step
        if claimable(job):
            if shape not in self.lines:
                self.lines[shape] = Line(shape)
            self.lines[shape].count += step

    # Results and relations.

    def result(self, job: JobId, run: int, attempt: int) -> Standing | None:
        """The result that stands for an attempt."""
        id = self.results.get((job, run, attempt))
        if id is None:
            return None
        found: Result = self.tables[Result][id]
        return Standing(found.status, found.return_code, id, found.provisional, self.leases.get(id))

    def keep(self, result: Result) -> None:
        """Store a result."""
        if result.run_id == self.workflow.run_id:
            self.last_end = max(result.completed_at, self.last_end or 0)
        self.results[result.job_id, result.run_id, result.attempt_id] = result.id
        self.tables[Result][result.id] = result

    def seen(self, result: Result) -> Result:
        """A result as it is shown: whether it is current depends on its job."""
        job = self.jobs.get(result.job_id)
        return replace(result, current=job is not None and job.result_id == result.id)

    def input_set(self, kind: InputKind, items: Sequence[int]) -> int:
        """The position of a distinct list of inputs, made if there is none."""
        one = InputSet(kind=kind, items=tuple(sorted(set(items))))
        if one not in self.input_sets:
            self.input_sets.append(one)
        return self.input_sets.index(one)

    def writers(self, kind: InputKind) -> dict[int, list[JobId]]:
        """The jobs that write each file, or each user data record, ascending."""
        found: dict[int, list[JobId]] = {}
        for job, outputs in sorted(self.outputs.items(), key=lambda entry: entry[0]):
            for item in outputs.get(kind, ()):
                found.setdefault(item, []).append(job)
        return found

    def readers(self, kind: InputKind) -> dict[int, list[list[JobId]]]:
        """For each file, or each user data record, the jobs that read it: one list per distinct list of inputs."""
        users: dict[int, list[JobId]] = {}
        for job, sets in self.inputs.items():
            for index in sets:
                if self.input_sets[index].kind is kind:
                    users.setdefault(index, []).append(job)
        found: dict[int, list[list[JobId]]] = {}
        for index, jobs in users.items():
            for item in self.input_sets[index].items:
                found.setdefault(item, []).append(jobs)
        return found


def claimable(job: Job) -> bool:
    """Whether a job may be handed out: it is ready, no delayed retry, and no node has an older attempt to stop."""
    return job.status is JobStatus.READY and job.not_before is None and job.node_id is None
