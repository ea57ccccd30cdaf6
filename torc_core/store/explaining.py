"""Why jobs do not run, asked of any store (`observability.md` §2); commands and the server use the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Any, TypeVar

from torc_core.engine.liveness import seen
from torc_core.engine.reasons import NAMED, Explanation, Facts, Parent, Seat, explain_job
from torc_core.model import (
    LIVE,
    Action,
    Allocation,
    AllocationStatus,
    Event,
    Job,
    JobDependency,
    JobId,
    JobStatus,
    Json,
    Node,
    NodeId,
    Query,
    Requirement,
    RequirementId,
    Resources,
    Result,
    Shape,
    Totals,
    Waiting,
    Workflow,
    WorkflowId,
)
from torc_core.model.instants import instant_text
from torc_core.record import record

if TYPE_CHECKING:
    from torc_core.protocols import Outlook, Store

R = TypeVar("R")

ALL = 2**31
MOST_COUNTED = 1_000
"""Ready jobs that are looked at to say how many come before a job."""

MOST_PARENTS = 1_000
SAMPLE = 500
"""Ready jobs of a workflow, and those at work, that are looked at to find their kinds."""

MOST_KINDS = 100
MOST_QUEUED = 1_000
"""Queued allocations whose reasons are told."""
OF_RUNNERS = ("on_worker_start", "on_worker_complete")
"""Triggers of actions that only runners carry out: they cannot bring the first one."""


@record(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs of a workflow that do not run for the same reason, with examples."""

    code: str
    text: str
    count: int
    examples: Sequence[tuple[JobId, str]]
    remedies: Sequence[str] = ()


@record(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all jobs of a workflow share."""

    workflow: Workflow
    now: int
    seats: Sequence[Seat] = ()
    queued: int = 0
    waits: Sequence[Waiting] = ()
    to_schedule: Sequence[int] = ()
    armed: Sequence[str] = ()
    decisions: Sequence[str] = ()
    missing_data: Sequence[str] = ()
    needs: Mapping[RequirementId, Requirement] = field(default_factory=dict)

    def shape(self, job: Job) -> Shape:
        """What a job takes."""
        need = self.needs[job.requirement_id]
        return Shape(
            cpus=need.num_cpus, memory=need.memory_bytes, gpus=need.num_gpus, nodes=need.num_nodes,
            runtime=need.runtime_s, scheduler=job.scheduler_id, label=job.label,
        )  # fmt: skip

    def facts(self, job: Job, **more: Any) -> Facts:
        """What is known of a job, with what only this job has."""
        return Facts(
            job=job, workflow=self.workflow, shape=self.shape(job), now=self.now, seats=self.seats, queued=self.queued,
            waits=self.waits, to_schedule=self.to_schedule, armed=self.armed, decisions=self.decisions,
            missing_data=self.missing_data, **more,
        )  # fmt: skip


def explained_job(
    store: Store, id: JobId, now: int, batches: Sequence[Outlook] = ()
) -> tuple[Job, Explanation]:
    """A job, and why it does not run.

    Parameters
    ----------
    batches
        Batch systems that say why allocations wait.

    Raises
    ------
    NotFound
        If there is none.
    """
    job = store.get(Job, id)
    around = surroundings(store, job.workflow_id, now, ready=job.status is JobStatus.READY, batches=batches)
    more: dict[str, Any] = {}
    if job.status in (JobStatus.BLOCKED, JobStatus.CANCELED):
        more |= _parents(store, job)
    if job.status.live and job.node_id is not None:
        home = store.get(Node, job.node_id)
        more["home"] = _as_seen(home, now)
    if not job.status.open:
        more["result"] = _latest(store, job)
    if job.status is JobStatus.READY:
        more["before"] = _before(store, around, job)
    return job, explain_job(around.facts(job, **more))


def explained_workflow(
    store: Store, workflow: WorkflowId, now: int, batches: Sequence[Outlook] = ()
) -> tuple[Totals, Sequence[Group]]:
    """How far a workflow is, and why what is left of it does not run, by reason; the largest group first."""
    (totals,) = store.totals([workflow])
    return totals, reasons(store, totals, now, batches)


def reasons(
    store: Store, totals: Totals, now: int, batches: Sequence[Outlook] = (), nodes: Sequence[Node] | None = None
) -> Sequence[Group]:  # fmt: skip
    """Why what is left of a workflow does not run; `nodes` are its runners that have not left, if the caller has them."""
    workflow = totals.workflow.id
    ready = bool(totals.counts.get(JobStatus.READY))
    around = surroundings(store, workflow, now, ready=ready, batches=batches, nodes=nodes)
    found: dict[str, list[Group]] = {}
    for status in (JobStatus.UNINITIALIZED, JobStatus.BLOCKED, JobStatus.PENDING_FAILED):
        if totals.counts.get(status):
            jobs = _jobs(store, workflow, {"status": status}, 3)
            more = _parents(store, jobs[0]) if status is JobStatus.BLOCKED and jobs else {}
            _into(found, around, jobs, totals.counts[status], more)
    for status in (status for status in LIVE if totals.counts.get(status)):
        _live(store, found, around, status, totals.counts[status])
    if ready:
        sample = _jobs(store, workflow, {"status": JobStatus.READY}, SAMPLE)
        kinds = {
            (job.requirement_id, job.scheduler_id, job.label, job.node_id, job.not_before): job
            for job in sample
        }
        whole = len(sample) < SAMPLE
        for kind, job in list(kinds.items())[:MOST_KINDS]:
            keys = ("requirement_id", "scheduler_id", "label", "node_id")
            where = {"status": JobStatus.READY, **dict(zip(keys, kind, strict=False))}
            if whole:
                same = [
                    one
                    for one in sample
                    if (one.requirement_id, one.scheduler_id, one.label, one.node_id, one.not_before) == kind
                ]
                count = len(same)
            else:
                page = store.find(Job, Query(workflow=workflow, where=where, limit=3))
                same, count = list(page.items), page.total
            _into(found, around, same[:3] or [job], count, {})
    groups = [_merged(code, parts) for code, parts in found.items()]
    return sorted(groups, key=lambda group: -group.count)


def surroundings(
    store: Store, workflow: WorkflowId, now: int, *, ready: bool, batches: Sequence[Outlook] = (),
    nodes: Sequence[Node] | None = None,
) -> Surroundings:  # fmt: skip
    """Runners, allocations and actions of a workflow; `ready`: somebody asks about a ready job."""
    record_ = store.get(Workflow, workflow)
    needs = {one.id: one for one in _every(store, Requirement, workflow)}
    around = Surroundings(workflow=record_, now=now, needs=needs)
    if not ready:
        missing = [one.name for one in store.missing_user_data(workflow)] if not record_.run_id else []
        return Surroundings(workflow=record_, now=now, needs=needs, missing_data=missing)
    if nodes is None:
        nodes = active_nodes(store, workflow)
    waiting = (AllocationStatus.INTENDED.value, AllocationStatus.PENDING.value)
    most = MOST_QUEUED if batches else 0
    page = store.find(Allocation, Query(workflow=workflow, where={"status": waiting}, limit=most))
    numbers = [one.scheduler_id for one in page.items if one.scheduler_id is not None]
    due: Sequence[Action] = store.due_actions(workflow)
    return Surroundings(
        workflow=record_, now=now, needs=needs, seats=_seats(store, around, nodes), queued=page.total,
        waits=[one for batch in batches if numbers for one in batch.waiting(numbers).values()],
        to_schedule=[one.id for one in due if _asks(one) and not one.executed],
        armed=_armed(store, workflow, due), decisions=_decisions(store, workflow, batches),
    )  # fmt: skip


def _asks(action: Action) -> bool:
    """Whether an action asks for allocations, and could do so for the first runner."""
    return action.action_type == "schedule_nodes" and action.trigger_type not in OF_RUNNERS


def _armed(store: Store, workflow: WorkflowId, due: Sequence[Action]) -> list[str]:
    """What will ask for allocations, and has not fired."""
    fired = {one.id for one in due}
    return [
        f"action {one.id} asks for some when {one.required_triggers} of its jobs are "
        f"{'ready' if one.trigger_type == 'on_jobs_ready' else 'over'}, and {one.trigger_count} are"
        for one in _every(store, Action, workflow)
        if _asks(one) and one.jobs and not one.executed and one.id not in fired
        and one.trigger_count < one.required_triggers
    ]  # fmt: skip


def _decisions(store: Store, workflow: WorkflowId, batches: Sequence[Outlook]) -> list[str]:
    """Why allocations were not asked for, or not taken: what is so now, and the latest that was decided or refused."""
    told = [sentence for batch in batches for sentence in batch.reluctance(workflow)]
    failed = {"status": AllocationStatus.FAILED.value}
    refused = store.find(Allocation, Query(workflow=workflow, where=failed, reverse=True, limit=1)).items
    told += [f"the last allocation was not taken: {one.reason}" for one in refused if one.reason]
    where = {"category": "scheduling_decision"}
    for event in store.find(Event, Query(workflow=workflow, where=where, reverse=True, limit=1)).items:
        asked = "asked for" if event.data.get("allocations") else "asked for nothing"
        told.append(
            f"'torc {event.data.get('source', 'watch')}' {asked} at {instant_text(event.timestamp)}: "
            f"{event.data.get('reason')}"
        )
    return told


def active_nodes(store: Store, workflow: WorkflowId) -> Sequence[Node]:
    """Runners of a workflow that have not left."""
    return store.find(Node, Query(workflow=workflow, where={"is_active": True}, limit=ALL)).items


def _seats(store: Store, around: Surroundings, nodes: Sequence[Node]) -> Sequence[Seat]:
    if not nodes:
        return ()
    left = {
        one.id: Resources(
            cpus=one.capacity.cpus * one.num_nodes, memory=one.capacity.memory * one.num_nodes,
            gpus=one.capacity.gpus * one.num_nodes,
        )
        for one in nodes
    }  # fmt: skip
    for node, used in store.used(around.workflow.id).items():
        if node in left:
            left[node] -= used
    return [
        Seat(node=_as_seen(one, around.now), left=left[one.id], time_left=_time_left(one, around.now))
        for one in nodes
    ]


def _time_left(node: Node, now: int) -> int | None:
    return None if node.time_limit is None else max(0, node.time_limit - (now - node.start_time) // 1000)


def _as_seen(node: Node, now: int) -> Node:
    from dataclasses import replace

    state = seen(node, now)
    return node if state is node.state else replace(node, state=state)


def _before(store: Store, around: Surroundings, job: Job) -> int | None:
    """How many ready jobs a claim takes before this one (`engine.md` §7.3); None: too many to count."""
    page = store.find(
        Job, Query(workflow=job.workflow_id, where={"status": JobStatus.READY}, limit=MOST_COUNTED)
    )
    if page.total > len(page.items):
        return None

    def place(one: Job) -> tuple[int, ...]:
        shape = around.shape(one)
        return (-one.priority, -shape.gpus, -shape.runtime, -shape.memory, -shape.cpus, one.id)

    own = place(job)
    return sum(place(one) < own for one in page.items)


def _parents(store: Store, job: Job) -> dict[str, Any]:
    """Whom a job waits for, and the chain to the oldest job that holds it up."""
    parents = _waits_for(store, job)
    waits = [one for one in parents if one.status.open]
    chain: list[Parent] = []
    at: Job | None = next(iter(waits), None)
    while at is not None and len(chain) < NAMED:
        chain.append(_parent(at))
        if at.status is not JobStatus.BLOCKED:
            break
        at = next((one for one in _waits_for(store, at) if one.status.open), None)
    ordered = sorted(parents, key=lambda one: (not one.status.open, not one.status.bad, one.id))
    return {"parents": [_parent(one) for one in ordered], "parent_count": len(waits), "chain": chain}


def _waits_for(store: Store, job: Job) -> Sequence[Job]:
    """The blockers of a job; those that hold up something first."""
    query = Query(workflow=job.workflow_id, where={"job_id": job.id}, limit=MOST_PARENTS)
    ids = [one.depends_on_job_id for one in store.find(JobDependency, query).items]
    if not ids:
        return ()
    found = store.find(
        Job, Query(workflow=job.workflow_id, where={"id": tuple(ids)}, limit=MOST_PARENTS)
    ).items
    return sorted(found, key=lambda one: (one.status is JobStatus.BLOCKED, one.id))


def _parent(job: Job) -> Parent:
    return Parent(id=job.id, name=job.name, status=job.status)


def _latest(store: Store, job: Job) -> Result | None:
    query = Query(workflow=job.workflow_id, where={"job_id": job.id}, reverse=True, limit=1)
    return next(iter(store.find(Result, query).items), None)


def _jobs(store: Store, workflow: WorkflowId, where: dict[str, Any], limit: int) -> list[Job]:
    return list(store.find(Job, Query(workflow=workflow, where=where, limit=limit)).items)


def _every(store: Store, kind: type[R], workflow: WorkflowId) -> Sequence[R]:
    return store.find(kind, Query(workflow=workflow, limit=ALL)).items


def _into(
    found: dict[str, list[Group]],
    around: Surroundings,
    jobs: Sequence[Job],
    count: int,
    more: Mapping[str, Any],
) -> None:
    """Add jobs that have one verdict, that of the first of them."""
    if not jobs:
        return
    told = explain_job(around.facts(jobs[0], **more))
    examples = [(one.id, one.name) for one in jobs]
    group = Group(code=told.code, text=told.text, count=count, examples=examples, remedies=told.remedies)
    found.setdefault(told.code, []).append(group)


def _live(
    store: Store, found: dict[str, list[Group]], around: Surroundings, status: JobStatus, count: int
) -> None:
    """Add jobs that run or are held, by what is known of their runners."""
    by_node: dict[NodeId | None, list[Job]] = {}
    for job in _jobs(store, around.workflow.id, {"status": status}, SAMPLE):
        by_node.setdefault(job.node_id, []).append(job)
        count -= 1
    where = {"id": tuple([node for node in by_node if node is not None])}
    homes: dict[NodeId | None, Node] = {
        one.id: _as_seen(one, around.now)
        for one in store.find(Node, Query(workflow=around.workflow.id, where=where, limit=ALL)).items
    }
    for node, jobs in by_node.items():
        _into(found, around, jobs[:3], len(jobs) + count, {"home": homes.get(node)})
        count = 0


def _merged(code: str, parts: Sequence[Group]) -> Group:
    return Group(
        code=code,
        text=parts[0].text,
        count=sum(one.count for one in parts),
        examples=[example for one in parts for example in one.examples][:3],
        remedies=tuple(dict.fromkeys(remedy for one in parts for remedy in one.remedies))[:10],
    )


def job_json(job: Job, told: Explanation) -> dict[str, Json]:
    """`torc.explain/1` of a job, without its schema."""
    return {
        "job_id": job.id, "job_name": job.name, "workflow_id": job.workflow_id, "status": job.status.label,
        "verdict": {"code": told.code, "text": told.text}, "checks": [asdict(one) for one in told.checks],
        "remedies": list(told.remedies), "eta": None,
    }  # fmt: skip


def workflow_json(totals: Totals, groups: Sequence[Group]) -> dict[str, Json]:
    """`torc.explain-workflow/1`, without its schema."""
    return {
        "workflow_id": totals.workflow.id,
        "workflow_name": totals.workflow.name,
        "is_complete": totals.complete,
        "reasons": [
            {
                "code": one.code, "text": one.text, "count": one.count,
                "examples": [{"job_id": id, "job_name": name} for id, name in one.examples],
                "remedies": list(one.remedies),
            }
            for one in groups
        ],
    }  # fmt: skip
