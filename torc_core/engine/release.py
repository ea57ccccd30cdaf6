"""What follows for the waiters when jobs change: released, canceled, restored (`engine.md` §5.4-§5.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import NamedTuple, Protocol

from torc_core.model import JobId, JobStatus
from torc_core.record import record


class Waiter(NamedTuple):
    """What the rules look at of a job that waits.

    Parameters
    ----------
    unmet
        Its distinct groups with open members.
    cancels
        Whether it is canceled when a blocker ends badly.
    cascaded
        Whether it was canceled by just that, and never claimed in this run.
    """

    status: JobStatus
    unmet: int
    cancels: bool
    cascaded: bool


class Graph(Protocol):
    """Who waits for whom, as it was before the change; asked only about what the change reaches."""

    def memberships(self, job: JobId) -> Iterable[int]:
        """The groups that have this job among their members: those who wait for it use them."""
        ...

    def uses(self, job: JobId) -> Iterable[int]:
        """The groups that this job waits for."""
        ...

    def users(self, group: int) -> Iterable[JobId]:
        """The jobs that wait for this group."""
        ...

    def counts(self, group: int) -> tuple[int, int]:
        """Members of the group that are open, and that ended badly."""
        ...

    def waiter(self, job: JobId) -> Waiter:
        """A job that waits."""
        ...


@record(frozen=True, slots=True, kw_only=True)
class Settled:
    """What has to be written, besides the change itself.

    Parameters
    ----------
    counts
        New (remaining, bad) of the groups that changed.
    unmet
        New number of unmet groups of the waiters where it changed.
    canceled
        Jobs that the cascade cancels, with the blocker to name as the reason. One that is canceled already
        (restored by one part of the batch, canceled by another) only changes its reason.
    restored
        Jobs that were canceled by the cascade and are blocked or ready again.
    released
        Jobs that are ready now; restored ones are not among them.
    """

    counts: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    unmet: Mapping[JobId, int] = field(default_factory=dict)
    canceled: Mapping[JobId, JobId] = field(default_factory=dict)
    restored: Mapping[JobId, JobStatus] = field(default_factory=dict)
    released: tuple[JobId, ...] = ()


def settle(
    moved: Mapping[JobId, tuple[JobStatus, JobStatus]], graph: Graph, *, restores: bool = True
) -> Settled:
    """Follow a batch of moves, given as (status before, status after), to its end.

    Restoring comes first, cancelling second, releasing last, so that nothing is ready for a moment and canceled
    the next. Every group is expanded once per direction: linear in the rows reached, and unbounded in depth.
    `restores`: whether jobs come back that the cascade had canceled; they do not when a reset takes a bad end away.
    """
    walk = _Walk(moved, graph)
    for job, (before, after) in moved.items():
        walk.count(job, before, after)
    if restores:
        walk.restore()
    walk.cascade()
    return walk.release()


def recount(members: Iterable[JobStatus]) -> tuple[int, int]:
    """What the counters of a group have to be: its open members, and its bad ones (`engine.md` §5.2)."""
    remaining = bad = 0
    for status in members:
        remaining += status.open
        bad += status.bad
    return remaining, bad


class _Walk:
    """One run of `settle`: what has changed so far, over the graph as it was."""

    def __init__(self, moved: Mapping[JobId, tuple[JobStatus, JobStatus]], graph: Graph) -> None:
        self._graph = graph
        self._now = {job: after for job, (_, after) in moved.items()}
        self._moved = moved
        self._counts: dict[int, tuple[int, int]] = {}
        self._was: dict[int, tuple[int, int]] = {}
        self._canceled: dict[JobId, JobId] = {}
        self._restored: dict[JobId, JobStatus] = {}
        self._cleaned: set[int] = set()

    def count(self, job: JobId, before: JobStatus, after: JobStatus) -> list[int]:
        """Carry one move into the counters of the groups that have the job; those groups."""
        opened, soured = after.open - before.open, after.bad - before.bad
        if not opened and not soured:
            return []
        groups = list(self._graph.memberships(job))
        for group in groups:
            remaining, bad = self._of(group)
            self._counts[group] = (remaining + opened, bad + soured)
        return groups

    def restore(self) -> None:
        """Bring back what was canceled only because of blockers that are no longer bad (`engine.md` §5.7)."""
        queue = [group for group, (_, bad) in self._counts.items() if not bad and self._was[group][1]]
        while queue:
            self._cleaned.add(group := queue.pop())
            for job in self._graph.users(group):
                if job in self._now or not self._graph.waiter(job).cascaded:
                    continue
                if any(self._of(used)[1] for used in self._graph.uses(job)):
                    continue
                self._now[job] = self._restored[job] = JobStatus.BLOCKED
                groups = self.count(job, JobStatus.CANCELED, JobStatus.BLOCKED)
                queue.extend(group for group in groups if not self._counts[group][1])

    def cascade(self) -> None:
        """Cancel what waits for a job that ended badly, level by level; the lowest bad id is the reason."""
        level = [job for job, (before, after) in self._moved.items() if after.bad and not before.bad]
        expanded: set[int] = set()
        while level:
            blamed: dict[int, JobId] = {}
            for blocker in level:
                for group in self._graph.memberships(blocker):
                    blamed[group] = min(blocker, blamed.get(group, blocker))
            waiting: dict[JobId, JobId] = {}
            for group, blocker in blamed.items():
                if group in expanded or (self._was[group][1] and group not in self._cleaned):
                    continue  # it was bad before: its waiters are canceled already, or do not cancel
                expanded.add(group)
                for job in self._graph.users(group):
                    if self._status(job) is JobStatus.BLOCKED and self._graph.waiter(job).cancels:
                        waiting[job] = min(blocker, waiting.get(job, blocker))
            for job in waiting:
                self._now[job] = JobStatus.CANCELED
                self.count(job, JobStatus.BLOCKED, JobStatus.CANCELED)
                self._restored.pop(job, None)
            self._canceled.update(waiting)
            level = list(waiting)

    def release(self) -> Settled:
        """Make ready what waits for nothing any more."""
        unmet: dict[JobId, int] = {}
        for group, (remaining, _) in self._counts.items():
            step = (remaining > 0) - (self._was[group][0] > 0)
            if step:
                for job in self._graph.users(group):
                    unmet[job] = unmet.get(job, self._graph.waiter(job).unmet) + step
        released = []
        for job in self._restored:
            if not unmet.get(job, self._graph.waiter(job).unmet):
                self._restored[job] = JobStatus.READY
        for job, count in unmet.items():
            if not count and self._status(job) is JobStatus.BLOCKED and job not in self._restored:
                released.append(job)
        changed = {group: counts for group, counts in self._counts.items() if counts != self._was[group]}
        return Settled(
            counts=changed, unmet=unmet, canceled=self._canceled, restored=self._restored,
            released=tuple(sorted(released)),
        )  # fmt: skip

    def _of(self, group: int) -> tuple[int, int]:
        if group not in self._counts:
            self._counts[group] = self._was[group] = self._graph.counts(group)
        return self._counts[group]

    def _status(self, job: JobId) -> JobStatus:
        return self._now[job] if job in self._now else self._graph.waiter(job).status
