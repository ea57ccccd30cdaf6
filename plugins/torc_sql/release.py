"""What follows for the waiters when jobs change: the rules of `torc_core.engine.release` over the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torc_core.engine import telling
from torc_core.engine.completion import CASCADE
from torc_core.engine.release import Settled, Waiter, settle
from torc_core.model import BAD, OPEN, JobId, JobStatus, WorkflowId
from torc_sql.rows import STATUSES
from torc_sql.transaction import Transaction

Moves = Mapping[JobId, tuple[JobStatus, JobStatus]]


def follow(tx: Transaction, wf: WorkflowId, moved: Moves) -> None:
    """Release, cancel and restore what waits for jobs that moved, given as (status before, status after)."""
    if all(before in OPEN and after not in OPEN and after not in BAD for before, after in moved.values()):
        _release(tx, wf, moved)
    else:
        graph = Graph(tx)
        _write(tx, wf, settle(moved, graph), graph)


class Graph:
    """Who waits for whom, read from the tables as far as the rules ask."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._waiters: dict[JobId, Any] = {}
        self._users: dict[int, list[JobId]] = {}

    def memberships(self, job: JobId) -> list[int]:
        """Groups that have the job."""
        return [group for (group,) in self._tx.rows("MEMBERSHIPS", job_=job)]

    def uses(self, job: JobId) -> list[int]:
        """Groups that the job waits for."""
        return [group for (group,) in self._tx.rows("USES", job_=job)]

    def users(self, group: int) -> list[JobId]:
        """Jobs that wait for the group."""
        known = self._users.get(group)
        if known is None:
            found = self._tx.rows("USERS", set_=group)
            for row in found:
                self._waiters.setdefault(row[0], row)
            known = self._users[group] = [row[0] for row in found]
        return known

    def counts(self, group: int) -> tuple[int, int]:
        """Open and bad members of the group."""
        remaining, bad = self._tx.row("SET_COUNTS", set_=group)
        return remaining, bad

    def waiter(self, job: JobId) -> Waiter:
        """A job that `users` has named."""
        _, status, unmet, cancels, reason, claimed, attempt, *_ = self._waiters[job]
        state = STATUSES[status]
        cascaded = (
            state is JobStatus.CANCELED and claimed is None and attempt == 1 and (reason or "").startswith(CASCADE)
        )
        return Waiter(state, unmet, cancels == 1, cascaded)

    def row(self, job: JobId) -> Any:
        """(status, unmet, class, name, run, attempt) of such a job."""
        row = self._waiters[job]
        return row[1], row[2], row[7], row[8], row[9], row[6]


def _release(tx: Transaction, wf: WorkflowId, moved: Moves) -> None:
    """The same for ends that are all good.

    PERF: one statement for each job that ended and one for each group that is done, however many wait for it; the
    general walk reads every waiter, and costs three times as much for a chain.
    """
    freed = 0
    for job in moved:
        for group, remaining in tx.rows("LESSEN", job_=job):
            if remaining:
                continue
            for job_class, status, unmet in tx.rows("RELEASE", set_=group, now_=tx.now):
                if status == JobStatus.READY and not unmet:
                    tx.ready(job_class, 1)
                    freed += 1
    if freed:
        tx.moved(wf, JobStatus.BLOCKED, JobStatus.READY, freed)
        tx.wake(wf)


def _write(tx: Transaction, wf: WorkflowId, settled: Settled, graph: Graph) -> None:
    unmet = dict(settled.unmet)
    tx.many(
        "WRITE_SET",
        [{"set_": group, "remaining_": left, "bad_": bad} for group, (left, bad) in settled.counts.items()],
    )
    canceled = []
    for job, blocker in settled.canceled.items():
        was, before, _, name, run, attempt = graph.row(job)
        reason = f"{CASCADE}{blocker}"
        canceled.append({"job_": job, "reason_": reason, "unmet_": unmet.pop(job, before)})
        tx.moved(wf, was, JobStatus.CANCELED)
        tx.tell(wf, *telling.job_ended(job, name, JobStatus.CANCELED, None, reason, run, attempt))
    tx.many("CANCEL_WAITER", canceled)
    freed = []
    for job, status in (*settled.restored.items(), *((job, JobStatus.READY) for job in settled.released)):
        was, before, job_class, *_ = graph.row(job)
        since = tx.now if status is JobStatus.READY else None
        freed.append({"job_": job, "status_": int(status), "since_": since, "unmet_": unmet.pop(job, before)})
        tx.moved(wf, was, status)
        if status is JobStatus.READY:
            tx.ready(job_class, 1)
            tx.wake(wf)
    tx.many("FREE_WAITER", freed)
    tx.many("WRITE_UNMET", [{"job_": job, "unmet_": count} for job, count in unmet.items()])
