"""What there is to recover in a workflow, and whether somebody still works on it (`slurm.md` §10, steps 1-3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.engine.allocating import OVER
from torc_core.errors import Conflict, NotFound, UsageError
from torc_core.model import (
    LIVE,
    Allocation,
    AllocationStatus,
    Job,
    JobId,
    JobStatus,
    Node,
    NodeId,
    Query,
    Requirement,
    Result,
    ResultId,
    SlurmScheduler,
    Totals,
    WorkflowId,
)
from torc_core.record import record
from torc_slurm.recovering.diagnosis import FAILED, Diagnosis, diagnose
from torc_terminal.preparing import refuse_closed
from torc_terminal.processes import active

if TYPE_CHECKING:
    from torc_core.protocols import Store

EVERY = 2**31
AT_ONCE = 10_000
"""Ids in one question to the store."""
NAMED = 5
"""At most so many are named in a sentence."""
OPEN = tuple(status.value for status in AllocationStatus if status not in OVER)


@record(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who works on a workflow, and what is left of it."""

    totals: Totals
    nodes: Sequence[Node]
    allocations: Sequence[Allocation]

    @property
    def busy(self) -> bool:
        """Whether somebody works on it, or is about to."""
        return bool(self.nodes or self.allocations or self.live)

    @property
    def live(self) -> int:
        """Jobs that a runner has."""
        return sum(self.totals.counts.get(status, 0) for status in LIVE)

    @property
    def ready(self) -> int:
        """Jobs that wait for a runner."""
        return self.totals.counts.get(JobStatus.READY, 0)

    @property
    def sentence(self) -> str:
        """Who works on it, and how to make them end."""
        number = self.totals.workflow.id
        hosts = [f"{node.hostname} (node {node.id})" for node in self.nodes]
        slurm = [one.scheduler_id or f"not yet submitted ({one.id})" for one in self.allocations]
        parts = [
            *([f"{_amount(len(hosts), 'active runner')}: {_some(hosts)}"] if hosts else []),
            *([f"{_amount(len(slurm), 'live or queued allocation')}: {_some(slurm)}"] if slurm else []),
            *([_amount(self.live, "job") + " pending or running"] if self.live else []),
        ]
        known = [one.scheduler_id for one in self.allocations if one.scheduler_id]
        call_off = f", or call them off: scancel {' '.join(known[:NAMED])}" if known else ""
        return f"workflow {number} is still worked on ({'; '.join(parts)}); wait for it: torc watch {number}{call_off}"


def standing(store: Store, workflow: WorkflowId) -> Standing:
    """Who works on a workflow."""
    query = Query(workflow=workflow, where={"status": OPEN}, limit=EVERY)
    return Standing(
        totals=store.totals([workflow])[0],
        nodes=active(store, workflow),
        allocations=store.find(Allocation, query).items,
    )


def refuse_busy(now: Standing) -> None:
    """Object if somebody works on a workflow, or it is canceled or archived.

    Raises
    ------
    Conflict
        Naming them and what helps.
    """
    refuse_closed(now.totals.workflow, "recovered")
    if now.busy:
        raise Conflict(now.sentence)


def uses_slurm(store: Store, workflow: WorkflowId) -> bool:
    """Whether a workflow is run by allocations of Slurm."""
    query = Query(workflow=workflow, limit=1)
    return bool(store.find(SlurmScheduler, query).total or store.find(Allocation, query).total)


def patients(store: Store, workflow: WorkflowId, wanted: Collection[int] | None = None) -> list[Diagnosis]:
    """The jobs that failed, each with the reason, by id.

    Parameters
    ----------
    wanted
        Only these.

    Raises
    ------
    NotFound
        If one of them is not of this workflow.
    UsageError
        If one of them has not failed.
    """
    where = {"status": tuple(int(status) for status in FAILED)}
    jobs = list(store.find(Job, Query(workflow=workflow, where=where, limit=EVERY)).items)
    if wanted is not None:
        _check_wanted(store, workflow, wanted, {job.id for job in jobs})
        jobs = [job for job in jobs if job.id in wanted]
    needs = {one.id: one for one in store.find(Requirement, Query(workflow=workflow, limit=EVERY)).items}
    results = _results(store, workflow, [job.result_id for job in jobs if job.result_id is not None])
    latest = [results.get(job.result_id) if job.result_id is not None else None for job in jobs]
    states = _states(store, workflow, {one.node_id for one in latest if one is not None} - {None})
    return [
        diagnose(job, needs[job.requirement_id], result, states.get(result.node_id, "") if result else "")
        for job, result in zip(jobs, latest, strict=True)
    ]


def _results(store: Store, workflow: WorkflowId, ids: Sequence[ResultId]) -> Mapping[ResultId, Result]:
    found: dict[ResultId, Result] = {}
    for first in range(0, len(ids), AT_ONCE):
        query = Query(workflow=workflow, where={"id": tuple(ids[first : first + AT_ONCE])}, limit=EVERY)
        found |= {one.id: one for one in store.find(Result, query).items}
    return found


def _states(
    store: Store, workflow: WorkflowId, nodes: Collection[NodeId | None]
) -> Mapping[NodeId | None, str]:
    """How Slurm says that the allocations of these runners ended."""
    if not nodes:
        return {}
    query = Query(workflow=workflow, limit=EVERY)
    reasons = {one.id: one.reason for one in store.find(Allocation, query).items if one.status in OVER}
    homes = {one.id: one.allocation_id for one in store.find(Node, query).items} if reasons else {}
    return {
        node: reason
        for node in nodes
        if node is not None
        and (home := homes.get(node)) is not None
        and (reason := reasons.get(home)) is not None
    }


def _check_wanted(
    store: Store, workflow: WorkflowId, wanted: Collection[int], failed: Collection[JobId]
) -> None:
    for id in sorted(wanted):
        if id in failed:
            continue
        found = store.find(Job, Query(workflow=workflow, where={"id": id}, limit=1)).items
        if not found:
            raise NotFound(f"workflow {workflow} has no job {id}; list them with 'torc jobs list {workflow}'")
        raise UsageError(f"job {id} '{found[0].name}' is {found[0].status.label}; it has not failed")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _amount(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"
