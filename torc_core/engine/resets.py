"""How single jobs are set back, tried again and moved by hand (`engine.md` §4.1, §6.5, §8.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from torc_core.engine.completion import CANCEL, RECOVERING, Attempt
from torc_core.engine.moves import BY_HAND
from torc_core.engine.records import user_action
from torc_core.engine.telling import Told
from torc_core.errors import Conflict, Invalid, WrongState
from torc_core.model import LIVE, JobId, JobStatus, Json, Node, Requirement, Reset
from torc_core.record import record

ENDED_BADLY = frozenset(
    {JobStatus.FAILED, JobStatus.CANCELED, JobStatus.TERMINATED, JobStatus.PENDING_FAILED}
)
"""What `failed_only` resets, besides all that waits for it."""

REVIVED = frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.TERMINATED, JobStatus.PENDING_FAILED})
"""What can be tried again."""

NAMED = 20
"""At most so many jobs are named in a refusal."""


class Attempted(Attempt, Protocol):
    """An attempt, and whether it has a result."""

    @property
    def result_id(self) -> int | None: ...


@record(frozen=True, slots=True, kw_only=True)
class Moved:
    """How a job goes on that is taken out of its present attempt.

    Parameters
    ----------
    attempt
        The number of its next attempt.
    run_id
        Its run; an attempt of another run would have another number.
    stop
        The order that its node gets, which keeps the job until it has confirmed; 0: no node has it any more.
    """

    attempt: int
    run_id: int
    stop: int = 0


def is_used(job: Attempted) -> bool:
    """Whether the number of its present attempt stands for something: a result, or a process that may be alive."""
    return job.result_id is not None or job.status is JobStatus.RUNNING or job.stop != 0


def set_back(job: Attempted) -> Moved | None:
    """How a job becomes uninitialized; None: it is.

    Its next attempt counts on above every number that was used in its run. A node that runs it, or has yet to stop
    it, keeps it until it has confirmed; one that only holds it loses it at once, since a start would be refused.
    """
    if job.status is JobStatus.UNINITIALIZED:
        return None
    return Moved(attempt=job.attempt_id + is_used(job), run_id=job.run_id, stop=_stop(job))


def follows(status: JobStatus) -> bool:
    """Whether a job is set back with one that it waits for: disabled ones stay disabled."""
    return status not in (JobStatus.UNINITIALIZED, JobStatus.DISABLED)


def check_reset(jobs: Iterable[tuple[Attempted, str]], *, force: bool) -> None:
    """Refuse to set back jobs that are pending or running; jobs come with their names.

    Raises
    ------
    WrongState
        Without force, if there are any.
    """
    if force:
        return
    live = [(job, name) for job, name in jobs if job.status in LIVE]
    if len(live) == 1:
        job, name = live[0]
        raise WrongState(f"job {job.id} ({name}) is {job.status.label}; cancel it first, or use --force")
    if live:
        more = f" and {len(live) - NAMED} more" if len(live) > NAMED else ""
        named = ", ".join(f"{job.id} ({name})" for job, name in live[:NAMED])
        raise WrongState(f"jobs {named}{more} are pending or running; cancel them first, or use --force")


def reset_told(how: Reset, workflow: int, count: int) -> Told:
    """The event of a reset that has set so many jobs back."""
    jobs: list[Json] = [] if how.jobs is None else [*how.jobs[:NAMED]]
    return user_action(
        "reset", "workflow", workflow, [], count=count, jobs=jobs, failed_only=how.failed_only, reason=how.reason
    )  # fmt: skip


def check_doubts(jobs: Iterable[int], doubtful: Mapping[JobId, Node], *, force: bool) -> None:
    """Refuse to run jobs again whose attempt was given up as lost and may still run (`doubtful`, each with its node).

    Raises
    ------
    Conflict
        Without force, naming the first.
    """
    for job in jobs if doubtful and not force else ():
        node = doubtful.get(JobId(job))
        if node is not None:
            raise Conflict(
                f"job {job} may still be running on {node.hostname}; make sure that it is not, or use --force"
            )


def retried(job: Attempted, run_id: int, workflow_run: int, max_retries: int | None) -> Moved:
    """How a job is tried again by somebody's word (`engine.md` §8.4).

    A node with a lease keeps it until it has confirmed the stop order; a client without one speaks for itself.

    Raises
    ------
    Invalid
        If the run is over, it has had its attempts, or it has another status.
    """
    check_run(job, run_id, workflow_run)
    if job.status not in REVIVED:
        raise WrongState(
            f"job {job.id} is {job.status.label}; only a running, failed, terminated or pending_failed job is retried"
        )
    if max_retries is not None and job.attempt_id >= max_retries:
        raise Invalid(
            f"job {job.id} is in attempt {job.attempt_id}, and max_retries is {max_retries}; it is not retried"
        )
    stop = _stop(job) if job.lease is not None else 0
    return Moved(attempt=job.attempt_id + 1, run_id=job.run_id or workflow_run, stop=stop)


def moved(job: Attempted, status: JobStatus, run_id: int, workflow_run: int) -> Moved | None:
    """How a person sets the status of a job (`manage_status_change`); None: it has it already.

    An attempt that a node runs and that is moved away gets a stop order first.

    Raises
    ------
    Invalid
        If the run is over, or the table of `engine.md` §4.1 does not have the move.
    """
    check_run(job, run_id, workflow_run)
    if status.ended:
        raise Invalid(f"job {job.id} cannot be set to {status.label}; use complete_job")
    if status is job.status:
        return None
    closed = job.status.ended or job.status is JobStatus.DISABLED
    if status not in BY_HAND or (closed and status is not JobStatus.UNINITIALIZED):
        raise Invalid(f"job {job.id} cannot go from {job.status.label} to {status.label}")
    if status is JobStatus.UNINITIALIZED:
        return set_back(job)
    if job.status in LIVE and status in LIVE:
        return Moved(attempt=job.attempt_id, run_id=job.run_id)
    if status in LIVE and job.stop:
        raise Invalid(
            f"job {job.id} is {job.status.label}, but its node has not ended it yet; try again later"
        )
    if status is JobStatus.PENDING_FAILED:
        return Moved(attempt=job.attempt_id, run_id=job.run_id or workflow_run, stop=_stop(job))
    if job.run_id not in (0, workflow_run):
        return Moved(attempt=1, run_id=workflow_run, stop=_stop(job))
    return Moved(attempt=job.attempt_id + is_used(job), run_id=job.run_id or workflow_run, stop=_stop(job))


def check_run(job: Attempt, run_id: int, workflow_run: int) -> None:
    """Refuse a call that speaks of another run than the job's or the workflow's; 0 is the current one (§6.1).

    Raises
    ------
    Invalid
        If it does.
    """
    if run_id not in (0, job.run_id, workflow_run):
        raise Invalid(f"run {run_id} is over; the workflow is in run {workflow_run}")


def next_number(run_id: int, current: int) -> int | None:
    """The run that a client has raised a workflow to; None: it stays (`engine.md` §6.1).

    Raises
    ------
    Invalid
        If it is smaller than the current one, or nothing could be counted on from it.
    """
    if run_id in (0, current):
        return None
    if run_id < current:
        raise Invalid(f"run {run_id} is smaller than the current run {current}; runs only go up")
    if run_id > 2**62:
        raise Invalid(f"run {run_id} is too large; the number of a run is at most 2^62")
    return run_id


def check_open(workflow: int, archived: bool, verb: str) -> None:
    """Refuse to begin anything with an archived workflow.

    Raises
    ------
    WrongState
        If it is archived.
    """
    if archived:
        helps = f"take it out first: torc workflows unarchive {workflow}"
        raise WrongState(f"workflow {workflow} is archived and cannot be {verb}; {helps}")


def check_idle(workflow: int, found: Iterable[tuple[int, str]], *, force: bool) -> None:
    """Refuse what needs a workflow without live jobs, runners and allocations; `found`: how many of what.

    Raises
    ------
    WrongState
        Without force, if there are any; the sentence says how many of each.
    """
    counted = list(found)
    if not force and any(count for count, _ in counted):
        *most, last = [f"{count} {noun}" for count, noun in counted]
        said = f"{', '.join(most)} and {last}" if most else last
        raise WrongState(f"workflow {workflow} has {said}; cancel it first, or use --force")


def check_recovery(workflow: int, seen: int, run_id: int, *, canceled: bool) -> None:
    """Refuse to recover a workflow that is in another run than the one that was looked at (`seen`), or is canceled.

    Raises
    ------
    Conflict
        Saying so.
    """
    if canceled:
        raise Conflict(
            f"workflow {workflow} is canceled; to let it run: torc workflows reset-status {workflow}"
        )
    if seen != run_id:
        raise Conflict(f"workflow {workflow} is in run {run_id} by now; what failed in run {seen} is over")


def adjusted(old: Requirement, new: Requirement) -> list[tuple[str, Json, Json]]:
    """What a job asks for otherwise than before: the field, its old value and its new one."""
    names = ("num_cpus", "num_gpus", "num_nodes", "memory", "runtime")
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in names)
    return [(name, before, after) for name, before, after in pairs if before != after]


def check_archive(workflow: int, pending: int, running: int) -> None:
    """Refuse to archive a workflow at work.

    Raises
    ------
    Conflict
        If jobs are pending or running.
    """
    if pending or running:
        raise Conflict(
            f"workflow {workflow} has {pending} pending and {running} running jobs; cancel it before archiving it"
        )


def _stop(job: Attempt) -> int:
    """The order for the node that has the job; a recovery script runs only after the attempt has ended."""
    runs = (job.status is JobStatus.RUNNING and job.reason != RECOVERING) or job.stop != 0
    return CANCEL if runs and job.node_id is not None else 0
