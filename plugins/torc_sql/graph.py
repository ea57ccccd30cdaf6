"""Who waits for whom, as the rules of `torc_core.engine.release` ask for it."""

from __future__ import annotations

from typing import Any

from torc_core.engine.completion import CASCADE
from torc_core.engine.release import Waiter
from torc_core.model import JobId, JobStatus
from torc_sql.rows import STATUSES
from torc_sql.transaction import Transaction


class Graph:
    """The sets around jobs, read as far as the rules ask, and each row once.

    PERF: a cascade down a chain of 100,000 jobs asks half a million times; two statements a job take 2 s.
    """

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._memberships: dict[JobId, list[int]] = {}
        self._counts: dict[int, tuple[int, int]] = {}
        self._users: dict[int, list[JobId]] = {}
        self._rows: dict[JobId, Any] = {}
        self._waiters: dict[JobId, Waiter] = {}

    def memberships(self, job: JobId) -> list[int]:
        """Groups that have the job."""
        known = self._memberships.get(job)
        if known is None:
            known = self._memberships[job] = []
            for group, remaining, bad in self._tx.rows("MEMBERSHIPS", job_=job):
                known.append(group)
                self._counts[group] = (remaining, bad)
        return known

    def uses(self, job: JobId) -> list[int]:
        """Groups that the job waits for."""
        return [group for (group,) in self._tx.rows("USES", job_=job)]

    def users(self, group: int) -> list[JobId]:
        """Jobs that wait for the group."""
        known = self._users.get(group)
        if known is None:
            found = self._tx.rows("USERS", set_=group)
            for row in found:
                self._rows.setdefault(row[0], row)
            known = self._users[group] = [row[0] for row in found]
        return known

    def counts(self, group: int) -> tuple[int, int]:
        """Open and bad members of the group."""
        known = self._counts.get(group)
        if known is None:
            remaining, bad = self._tx.row("SET_COUNTS", set_=group)
            known = self._counts[group] = (remaining, bad)
        return known

    def waiter(self, job: JobId) -> Waiter:
        """A job that `users` has named."""
        known = self._waiters.get(job)
        if known is None:
            _, status, unmet, cancels, reason, claimed, attempt, *_ = self._rows[job]
            cascaded = (
                status == JobStatus.CANCELED
                and claimed is None
                and attempt == 1
                and (reason or "").startswith(CASCADE)
            )
            known = self._waiters[job] = Waiter(STATUSES[status], unmet, cancels == 1, cascaded)
        return known

    def row(self, job: JobId) -> tuple[JobStatus, int, int, str, int, int, int | None]:
        """(status, unmet, class, name, run, attempt, node) of such a job."""
        _, status, unmet, _, _, _, attempt, job_class, name, run, node = self._rows[job]
        return STATUSES[status], unmet, job_class, name, run, attempt, node
