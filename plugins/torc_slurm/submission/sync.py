"""Compares what the store takes for granted with what Slurm knows (`slurm.md` §9)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torc_core.model import (
    Allocation,
    AllocationStatus,
    Job,
    JobStatus,
    Node,
    NodeState,
    Query,
    WorkflowId,
)
from torc_core.protocols import Clock, LostJob, Store, Synced
from torc_slurm.scheduler.answers import Sightings
from torc_slurm.scheduler.slurm import Slurm, SlurmSilent
from torc_slurm.scheduler.states import Standing, standing
from torc_slurm.submission.script import comment

log = logging.getLogger(__name__)

QUIET_MS = 300_000
"""An allocation that nobody knows is over only after so much time without a sign of life."""
AGAIN = 30.0
"""Seconds within which the queue is not asked again about the same."""
GONE = "UNKNOWN"
"""The word for the end of an allocation that neither the queue nor the accounting knows."""
OPEN = (AllocationStatus.PENDING.value, AllocationStatus.ACTIVE.value)


def sync(
    store: Store, slurm: Slurm, clock: Clock, workflow: WorkflowId, *, dry_run: bool = False, age: float = 0.0
) -> Synced:
    """Record the ends of allocations that the store does not know of.

    Parameters
    ----------
    age
        An answer of the queue that is so many seconds old will do.

    Raises
    ------
    Unavailable
        If the store does not answer.
    """
    rows = list(store.find(Allocation, Query(workflow=workflow, where={"status": OPEN}, limit=2**31)).items)
    if not dry_run:
        try:
            rows += adopted(store, slurm, workflow, age)
        except SlurmSilent as error:
            return Synced(unanswered=str(error))
    # An answer of some seconds ago cannot know what was submitted since.
    asked = clock.now() - round(1000 * age)
    known = [one for one in rows if one.scheduler_id is not None and (one.submitted_at or 0) <= asked]
    if not known:
        return Synced()
    try:
        seen = slurm.sightings([one.scheduler_id for one in known if one.scheduler_id is not None], age=age)
        if not dry_run:
            _call_off_twins(store, slurm, known)
    except SlurmSilent as error:
        return Synced(unanswered=str(error))
    nodes = _nodes(store, workflow)
    over = [(one, state) for one in known if (state := _end(one, seen, nodes, clock.now())) is not None]
    lost: list[LostJob] = []
    released = 0
    for one, state in over:
        jobs = _jobs(store, workflow, [node for node in nodes if node.allocation_id == one.id])
        lost += [
            LostJob(job=job.id, name=job.name, number=one.scheduler_id or "", state=state)
            for job in jobs
            if job.status is JobStatus.RUNNING
        ]
        released += sum(job.status is JobStatus.PENDING for job in jobs)
        if not dry_run:
            store.allocation_ended(one.id, state, "slurm")
            log.info("slurm_ended allocation_id=%d slurm_job_id=%s state=%s", one.id, one.scheduler_id, state)
    return Synced(
        ended=[one for one, _ in over if one.status is AllocationStatus.ACTIVE],
        cleaned=[one for one, _ in over if one.status is AllocationStatus.PENDING],
        running_jobs=lost,
        released=released,
    )


def _call_off_twins(store: Store, slurm: Slurm, known: Sequence[Allocation]) -> None:
    """Call off what waits under our key and another number: an sbatch that was given up came into the queue late.

    Raises
    ------
    SlurmSilent
        If the queue does not answer.
    """
    ours = {comment(store.server_id, one.submission_key): one.scheduler_id for one in known}
    # What the queue has just told will do.
    rows = [row for row in slurm.queue(age=AGAIN) if row.standing is Standing.QUEUED]
    if twins := [row.number for row in rows if ours.get(row.comment, row.number) != row.number]:
        log.warning("slurm_twins slurm_job_ids=%s", ",".join(twins))
        slurm.cancel(twins, queued_only=True)


def adopted(store: Store, slurm: Slurm, workflow: WorkflowId, age: float = 0.0) -> list[Allocation]:
    """Intents that the queue shows under our key though nobody has heard so (`slurm.md` SJ6): they are submitted.

    Raises
    ------
    SlurmSilent
        If there are intents, and the queue does not answer.
    """
    where = {"status": AllocationStatus.INTENDED.value}
    intents = store.find(Allocation, Query(workflow=workflow, where=where, limit=2**31)).items
    if not intents:
        return []
    by_comment = {row.comment: row.number for row in slurm.queue(age=age)}
    found = []
    for one in intents:
        number = by_comment.get(comment(store.server_id, one.submission_key))
        if number is not None:
            log.info("slurm_adopted allocation_id=%d slurm_job_id=%s", one.id, number)
            found.append(store.submitted(one.id, one.submission_key, number))
    return found


def _end(one: Allocation, seen: Sightings, nodes: Sequence[Node], now: int) -> str | None:
    """In which state an allocation has ended; None: it lives, or nobody can tell."""
    state = seen.states.get(one.scheduler_id or "")
    if state is not None:
        return state if standing(state).over else None
    signs = [one.submitted_at or 0, *(node.last_beat or 0 for node in nodes if node.allocation_id == one.id)]
    return GONE if max(signs) < now - QUIET_MS else None


def _nodes(store: Store, workflow: WorkflowId) -> Sequence[Node]:
    """Runners that the store takes to be there."""
    found = store.find(Node, Query(workflow=workflow, limit=2**31)).items
    return [node for node in found if node.state is not NodeState.ENDED]


def _jobs(store: Store, workflow: WorkflowId, nodes: Sequence[Node]) -> Sequence[Job]:
    """Jobs that these runners hold."""
    if not nodes:
        return ()
    among = {"node_id": tuple(node.id for node in nodes)}
    jobs = store.find(Job, Query(workflow=workflow, where=among, limit=2**31)).items
    return [job for job in jobs if job.status in (JobStatus.RUNNING, JobStatus.PENDING)]
