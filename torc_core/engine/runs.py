"""How a run begins, goes on after its runner died, and is called off (`engine.md` §5.3, §6, §8.4, §8.6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256

from torc_core.engine.completion import CANCEL, RECOVERING, TERMINATE, Attempt
from torc_core.engine.release import Graph, recount
from torc_core.errors import WrongState
from torc_core.model import LIVE, JobId, JobStatus, NodeId
from torc_core.record import record

AGAIN = frozenset({"interrupted", "runner_died", "node_lost"})
"""Reasons of an end that say nothing about the job itself: `torc run` runs such a job again."""

RETRIED = "retried"
"""Reason of the result that is written for an attempt that never reported one."""

RECOVERY_LOST = "recovery_lost"
"""Reason of the end of a job whose runner died while its recovery script ran (`engine.md` §9)."""

LOST_CODE = -128
"""Return code of an attempt whose end nobody saw."""

_FULL = frozenset({
    JobStatus.UNINITIALIZED, JobStatus.BLOCKED, JobStatus.READY, JobStatus.TERMINATED, JobStatus.PENDING_FAILED
})  # fmt: skip


def next_run(run_id: int, initialized_run: int) -> int:
    """The number of the run that an initialisation starts (`engine.md` §6.1).

    A client that raised `run_id` itself beforehand is not counted twice.
    """
    return run_id + 1 if run_id == initialized_run else run_id


def starts_over(status: JobStatus, only_uninitialized: bool) -> bool:
    """Whether an initialisation sets a job of this status anew (`engine.md` §6.2, step 5)."""
    return status is JobStatus.UNINITIALIZED if only_uninitialized else status in _FULL


def spread(uninitialized: Iterable[JobId], graph: Graph) -> set[JobId]:
    """All jobs downstream of these, themselves left out (`engine.md` §6.2, step 2)."""
    reached: set[JobId] = set()
    seen: set[int] = set()
    start = set(uninitialized)
    queue = list(start)
    while queue:
        for group in graph.memberships(queue.pop()):
            if group in seen:
                continue
            seen.add(group)
            fresh = [job for job in graph.users(group) if job not in reached]
            reached.update(fresh)
            queue.extend(fresh)
    return reached - start


@record(frozen=True, slots=True, kw_only=True)
class Begun:
    """How jobs and groups stand at the beginning of a run.

    Parameters
    ----------
    status
        Of the jobs that start over: ready, blocked or canceled.
    canceled
        The canceled ones, each with the blocker to name as the reason.
    counts
        (remaining, bad) of every group.
    unmet
        Of every job that waits for a group.
    """

    status: Mapping[JobId, JobStatus]
    canceled: Mapping[JobId, JobId]
    counts: Mapping[int, tuple[int, int]]
    unmet: Mapping[JobId, int]


def begin(
    status: Mapping[JobId, JobStatus],
    fresh: Collection[JobId],
    members: Mapping[int, Sequence[JobId]],
    uses: Mapping[JobId, Sequence[int]],
    cancels: Collection[JobId],
) -> Begun:
    """Set jobs anew: ready without an unmet group, else blocked; canceled below a bad blocker, if they cancel.

    Parameters
    ----------
    status
        Of all jobs, before.
    fresh
        The jobs that start over.
    members, uses
        The jobs in each group; the groups that each job waits for.
    cancels
        The jobs that are canceled when a blocker ends badly.
    """
    now = dict(status)
    now.update(dict.fromkeys(fresh, JobStatus.BLOCKED))
    counts = {group: recount(now[job] for job in jobs) for group, jobs in members.items()}
    canceled: dict[JobId, JobId] = {}
    bad = {group for group, count in counts.items() if count[1]}
    if bad:
        canceled = _doomed(now, bad, members, uses, [job for job in fresh if job in cancels])
        now.update(dict.fromkeys(canceled, JobStatus.CANCELED))
        counts = {group: recount(now[job] for job in jobs) for group, jobs in members.items()}
    unmet = {job: sum(counts[group][0] > 0 for group in groups) for job, groups in uses.items()}
    for job in fresh:
        if job not in canceled:
            now[job] = JobStatus.BLOCKED if unmet.get(job) else JobStatus.READY
    return Begun(status={job: now[job] for job in fresh}, canceled=canceled, counts=counts, unmet=unmet)


def _doomed(
    now: Mapping[JobId, JobStatus],
    bad: set[int],
    members: Mapping[int, Sequence[JobId]],
    uses: Mapping[JobId, Sequence[int]],
    cancels: Sequence[JobId],
) -> dict[JobId, JobId]:
    """Those of `cancels` that wait, directly or not, for a bad blocker; each with the lowest one it waits for."""
    users: dict[int, list[JobId]] = {}
    memberships: dict[JobId, list[int]] = {}
    candidates = set(cancels)
    for job in cancels:
        for group in uses.get(job, ()):
            users.setdefault(group, []).append(job)
    for group, jobs in members.items():
        for job in jobs:
            if job in candidates:
                memberships.setdefault(job, []).append(group)
    blamed = {group: min(job for job in members[group] if now[job].bad) for group in bad}
    doomed: dict[JobId, JobId] = {}
    expanded: set[int] = set()
    while blamed:
        level: dict[JobId, JobId] = {}
        for group, blocker in blamed.items():
            for job in users.get(group, ()):
                if job not in doomed:
                    level[job] = min(blocker, level.get(job, blocker))
        expanded.update(blamed)
        doomed.update(level)
        blamed = {}
        for job in level:
            for group in memberships.get(job, ()):
                if group not in expanded:
                    blamed[group] = min(job, blamed.get(group, job))
    return doomed


def digest(members: Iterable[int]) -> bytes:
    """Under what a group is found again: SHA-256 over the ascending ids, 8 bytes each, big-endian (§5.1)."""
    return sha256(b"".join(member.to_bytes(8, "big") for member in members)).digest()


def producers(items: Iterable[int], writers: Mapping[int, Collection[JobId]]) -> tuple[JobId, ...]:
    """The jobs that write any of these items, ascending: the group that the readers wait for (§5.3)."""
    return tuple(sorted({job for item in items for job in writers.get(item, ())}))


def blockers(groups: Sequence[Sequence[JobId]]) -> int:
    """How many distinct jobs these groups have; to be asked once per distinct combination (§5.8)."""
    if len(groups) < 2:
        return len(groups[0]) if groups else 0
    return len(set().union(*groups))


def cycle(members: Mapping[int, Sequence[JobId]], uses: Mapping[JobId, Sequence[int]]) -> list[JobId] | None:
    """Jobs that wait for each other in a circle, each for the one before it and the first for the last; or None.

    Jobs and groups are the nodes of one graph, so that the cost is that of the rows, not of the pairs.
    """
    waiting = {job: len(groups) for job, groups in uses.items() if groups}
    open_members = {group: len(jobs) for group, jobs in members.items()}
    memberships: dict[JobId, list[int]] = {}
    users: dict[int, list[JobId]] = {}
    for group, jobs in members.items():
        for job in jobs:
            memberships.setdefault(job, []).append(group)
    for job, groups in uses.items():
        for group in groups:
            users.setdefault(group, []).append(job)
    free = [job for job in memberships if job not in waiting]
    empty = [group for group, count in open_members.items() if not count]
    while free or empty:
        groups = [empty.pop()] if empty else []
        for group in memberships.get(free.pop(), ()) if free else ():
            open_members[group] -= 1
            if not open_members[group]:
                groups.append(group)
        for group in groups:
            for job in users.get(group, ()):
                waiting[job] -= 1
                if not waiting[job]:
                    del waiting[job]
                    free.append(job)
    return _circle(waiting, members, uses) if waiting else None


def _circle(
    waiting: Mapping[JobId, int], members: Mapping[int, Sequence[JobId]], uses: Mapping[JobId, Sequence[int]]
) -> list[JobId]:
    """Walk back from any job that can never run to a blocker that can never run, until one comes up again."""
    path: dict[JobId, int] = {}
    job = min(waiting)
    while job not in path:
        path[job] = len(path)
        job = min(other for group in uses[job] for other in members[group] if other in waiting)
    return list(reversed(list(path)[path[job] :]))


@record(frozen=True, slots=True, kw_only=True)
class Resumption:
    """How a job goes on after its runner died.

    Parameters
    ----------
    again
        It becomes ready: with the next attempt if `attempt` says so, else with the same.
    attempt
        Whether a new attempt begins.
    result
        Whether a `failed` result with reason `retried` has to be written for the old one.
    ends
        It ends as its stored result says: its recovery script is never run twice.
    """

    again: bool = True
    attempt: bool = False
    result: bool = False
    ends: bool = False


def resumed(job: Attempt, dead: Collection[NodeId]) -> Resumption | None:
    """Decide how a job goes on when these nodes are known to be dead; None: it stays as it is (`engine.md` §8.4)."""
    if job.status in (JobStatus.FAILED, JobStatus.TERMINATED) and _kind(job.reason) in AGAIN:
        return Resumption(attempt=True)
    if job.node_id not in dead:
        return None
    if job.status is JobStatus.PENDING:
        return Resumption()
    if job.status is JobStatus.RUNNING and job.reason == RECOVERING:
        return Resumption(again=False, ends=True)
    if job.status is JobStatus.RUNNING:
        return Resumption(attempt=True, result=True)
    # Canceled, and its node can no longer confirm it.
    return Resumption(again=False) if job.stop else None


@record(frozen=True, slots=True, kw_only=True)
class Stopping:
    """How a job is stopped: its next status (None: it stays), and the order that its node gets (0: none)."""

    status: JobStatus | None
    stop: int = 0


def canceled(job: Attempt) -> Stopping | None:
    """How one job is canceled; None: it is canceled already (`engine.md` §8.6).

    A job that a node runs, or has still to stop, keeps it until the node has confirmed; without one nobody could.

    Raises
    ------
    Invalid
        If it has ended otherwise or is disabled.
    """
    if job.status is JobStatus.CANCELED:
        return None
    if job.status.ended or job.status is JobStatus.DISABLED:
        raise WrongState(f"job {job.id} is {job.status.label}; it cannot be canceled")
    if job.node_id is not None and (job.status is JobStatus.RUNNING or job.stop):
        return Stopping(status=JobStatus.CANCELED, stop=CANCEL)
    return Stopping(status=JobStatus.CANCELED)


def called_off(job: Attempt) -> Stopping | None:
    """What the cancelling of its workflow does to a job: only what is pending or running ends (`engine.md` §8.6)."""
    return canceled(job) if job.status in LIVE else None


def terminated(job: Attempt) -> Stopping:
    """How one job is terminated: its node is told, the status follows with the node's report.

    Raises
    ------
    Invalid
        If it does not run.
    """
    if job.status is not JobStatus.RUNNING:
        raise WrongState(f"job {job.id} is not running")
    return Stopping(status=None, stop=TERMINATE)


def _kind(reason: str | None) -> str:
    return (reason or "").partition(":")[0]
