"""Capacity for ready jobs that have none and will get none, whatever the plan said (`slurm.md` PL22).

A scheduler is topped up when jobs of it are ready, none of its allocations is intended, queued or running with enough
time left, and no action that could still fire asks for one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote

from torc_core.engine.allocating import OVER
from torc_core.model import (
    Action,
    Allocation,
    AllocationStatus,
    Intent,
    Job,
    JobStatus,
    Node,
    Query,
    Requirement,
    Resources,
    SlurmScheduler,
    Workflow,
)
from torc_core.model.resources import walltime_seconds
from torc_core.protocols import Clock, Store
from torc_core.record import record
from torc_core.runner.options import Execution
from torc_slurm.scheduler.sizes import mebibytes
from torc_slurm.submission.due import schedulers_of, scheduling, whose
from torc_slurm.submission.stagger import window
from torc_slurm.watching.seeing import hours_of

log = logging.getLogger(__name__)

PAUSE_MS = 60_000
"""A scheduler is topped up once in such a time, counted from the last allocation that no action asked for."""
START_UP = 60
"""Seconds until a runner in a new allocation starts its first job."""
MOST_USELESS = 3
"""So many allocations in a row that ended before a runner came are enough: more would end alike."""


@record(frozen=True, slots=True, kw_only=True)
class Short:
    """A scheduler whose ready jobs lack allocations.

    Parameters
    ----------
    newest
        Number of the latest allocation of it; 0: there has been none.
    why_not
        Why none is asked for all the same, in a sentence.
    """

    scheduler: SlurmScheduler
    ready: int
    count: int
    newest: int = 0
    why_not: str | None = None

    @property
    def intent(self) -> Intent:
        """What is to be asked for."""
        return Intent(scheduler=self.scheduler.name, count=self.count, nodes=nodes_of(self.scheduler))

    @property
    def node_hours(self) -> float:
        """What that may take."""
        return self.count * nodes_of(self.scheduler) * walltime_of(self.scheduler) / 3600


def lacking(
    store: Store, clock: Clock, workflow: Workflow, most_node_hours: float | None = None
) -> list[Short]:
    """Schedulers of a workflow whose ready jobs have no allocation, and will get none.

    Parameters
    ----------
    most_node_hours
        What all allocations of the workflow together may take.
    """
    whole = Query(workflow=workflow.id, limit=2**31)
    where = {"status": int(JobStatus.READY)}
    ready = store.find(Job, Query(workflow=workflow.id, where=where, limit=2**31)).items
    bound = {job.scheduler_id for job in ready if job.scheduler_id is not None}
    if not bound:
        return []
    schedulers = schedulers_of(store, workflow.id)
    rows = list(store.find(Allocation, whole).items)
    nodes = list(store.find(Node, whole).items)
    needs = {one.id: one for one in store.find(Requirement, whole).items}
    armed = _armed(store, workflow, schedulers)
    used = hours_of(rows, nodes, clock.now())
    found = []
    for number in sorted(bound & set(schedulers)):
        scheduler = schedulers[number]
        if scheduler.fields.get("auto_top_up") is False or number in armed:
            continue
        own = [one for one in rows if one.scheduler_config_id == number]
        if any(
            one.action_run_id is None and abs(clock.now() - (one.submitted_at or 0)) < PAUSE_MS for one in own
        ):
            continue
        jobs = [needs[job.requirement_id] for job in ready if job.scheduler_id == number]
        if _served(own, nodes, min(one.runtime_s for one in jobs), clock.now()):
            continue
        found.append(_short(workflow, scheduler, jobs, own, nodes, used, most_node_hours))
        used += found[-1].node_hours
    return found


def request_id(workflow: Workflow, short: Short) -> str:
    """The same for all who have seen the same allocations of a scheduler, so that they ask for the same new ones."""
    return f"keeper:{workflow.id}:{workflow.run_id}:{short.scheduler.id}:{short.newest}"


def _armed(store: Store, workflow: Workflow, schedulers: Mapping[int, SlurmScheduler]) -> set[int]:
    """Schedulers for which an action can still fire, or has fired and is not carried out."""
    by_name = {one.name: number for number, one in schedulers.items()}
    due = {one.id for one in store.due_actions(workflow.id) if whose(store, one, None)}
    armed = set()
    for action in store.find(Action, Query(workflow=workflow.id, limit=2**31)).items:
        if not scheduling(action) or action.persistent:
            continue
        number = action.config.get("scheduler_id") or by_name.get(str(action.config.get("scheduler")))
        waits = not action.executed and action.trigger_type in ("on_jobs_ready", "on_jobs_complete")
        if isinstance(number, int) and (action.id in due or (waits and _can_fire(store, workflow, action))):
            armed.add(number)
    return armed


def _can_fire(store: Store, workflow: Workflow, action: Action) -> bool:
    """Whether something that the action waits for can still happen without its own scheduler: one of its jobs is held."""
    moving = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PENDING_FAILED)
    where = {"id": tuple(action.jobs), "status": tuple(int(one) for one in (*moving, JobStatus.BLOCKED))}
    waiting = store.find(Job, Query(workflow=workflow.id, where=where, limit=1)).total if action.jobs else 0
    live = store.find(
        Job, Query(workflow=workflow.id, where={"status": tuple(int(one) for one in moving)}, limit=1)
    ).total
    return bool(waiting and live)


def _served(own: Iterable[Allocation], nodes: Sequence[Node], shortest: int, now: int) -> bool:
    """Whether an allocation waits, or one runs that has the time for the shortest of the jobs."""
    for one in own:
        if one.status in OVER:
            continue
        if one.status is not AllocationStatus.ACTIVE:
            return True
        begun = [node.start_time for node in nodes if node.allocation_id == one.id and node.is_active]
        limit = walltime_seconds(one.walltime or "")
        if not begun or not limit or min(at or now for at in begun) + 1000 * (limit - shortest) > now:
            return True
    return False


def _short(
    workflow: Workflow,
    scheduler: SlurmScheduler,
    jobs: Sequence[Requirement],
    own: Sequence[Allocation],
    nodes: Sequence[Node],
    used: float,
    most_node_hours: float | None,
) -> Short:
    each = nodes_of(scheduler)
    usable = usable_seconds(workflow, scheduler, len(jobs))
    fitting = [one for one in jobs if one.runtime_s <= usable and one.num_nodes <= each]
    if not fitting:
        return Short(
            scheduler=scheduler, ready=len(jobs), count=0,
            why_not=f"no ready job of scheduler '{scheduler.name}' fits into its allocations; plan them anew: torc slurm "
            f"regenerate {workflow.id} --submit",
        )  # fmt: skip
    lost = sorted((one for one in own if not _called_off(one)), key=lambda one: -one.id)[:MOST_USELESS]
    joined = {node.allocation_id for node in nodes}
    if len(lost) == MOST_USELESS and all(one.id not in joined for one in lost):
        told = (
            f"the last {MOST_USELESS} allocations of scheduler '{scheduler.name}' ended before a runner came; look at their "
            "output, then"
        )
        if lost[0].scheduler_id is None:
            told = f"Slurm refuses allocations of scheduler '{scheduler.name}' ({lost[0].reason}); mend that, then"
        again = f"torc slurm schedule-nodes {workflow.id} --scheduler {quote(scheduler.name)}"
        return Short(scheduler=scheduler, ready=len(jobs), count=0, why_not=f"{told}: {again}")
    capacity = capacity_of(scheduler, nodes)
    shares = sum(share_of(one, capacity, usable, each) for one in fitting)
    short = Short(
        scheduler=scheduler, ready=len(jobs), count=max(1, math.ceil(shares - 1e-9)),
        newest=max((one.id for one in own), default=0),
    )  # fmt: skip
    if most_node_hours is not None and used + short.node_hours > most_node_hours:
        return Short(
            scheduler=scheduler, ready=len(jobs), count=0,
            why_not=f"{short.node_hours:.1f} more node-hours for scheduler '{scheduler.name}' would be more than client.slurm.max_node_hours "
            f"allows ({used:.1f} of {most_node_hours:g} are used or asked for)",
        )  # fmt: skip
    return short


def _called_off(one: Allocation) -> bool:
    """Whether we have called it off, and not Slurm, whose word would be the reason."""
    return one.status is AllocationStatus.CANCELED and not (one.reason or "").startswith("CANCELLED")


def nodes_of(scheduler: SlurmScheduler) -> int:
    """Nodes of each of its allocations."""
    nodes = scheduler.fields.get("nodes")
    return nodes if isinstance(nodes, int) else 1


def walltime_of(scheduler: SlurmScheduler) -> int:
    """Seconds of each of its allocations."""
    return walltime_seconds(str(scheduler.fields.get("walltime") or "01:00:00"))


def usable_seconds(workflow: Workflow, scheduler: SlurmScheduler, runners: int) -> float:
    """Seconds of an allocation in which jobs run: neither start nor orderly end."""
    execution = Execution.of(workflow.execution_config)
    spare = max(
        execution.lead + execution.headroom, float(workflow.compute_node_expiration_buffer_seconds or 0)
    )
    return walltime_of(scheduler) - spare - START_UP - window(runners)


def capacity_of(scheduler: SlurmScheduler, nodes: Sequence[Node]) -> Resources | None:
    """What a node offers, by the runners there have been; None: nobody knows."""
    own = [node.capacity for node in nodes if node.scheduler_id == scheduler.id]
    if not own:
        return None
    memory = mebibytes(str(scheduler.fields.get("mem") or ""))
    return Resources(
        cpus=min(one.cpus for one in own), gpus=min(one.gpus for one in own),
        memory=min(one.memory for one in own) if memory is None else memory,
    )  # fmt: skip


def share_of(need: Requirement, capacity: Resources | None, usable: float, nodes: int) -> float:
    """The part of an allocation that a job takes; on a node that nobody knows it takes a whole one."""
    rounds = max(1, int(usable // max(1, need.runtime_s)))
    if need.num_nodes > 1:
        return 1 / (rounds * max(1, nodes // need.num_nodes))
    beside = 1
    if capacity is not None:
        beside = min(
            capacity.cpus // max(1, need.num_cpus),
            capacity.memory // max(1, need.memory_bytes),
            *([capacity.gpus // need.num_gpus] if need.num_gpus else []),
        )
    return 1 / (rounds * max(1, beside) * nodes)
