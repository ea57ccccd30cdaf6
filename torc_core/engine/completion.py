"""What becomes of starts, endings and give-backs: judged one by one, from the job as it stands (`engine.md` §8)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torc_core.errors import Conflict, Invalid, TorcError
from torc_core.model import ENDED, LIVE, OPEN, Ending, Held, JobId, JobStatus, NodeId, ResultId, Verdict
from torc_core.record import record

CANCEL, TERMINATE = 1, 2
"""The values of `Job.stop`: what the node of a live job was ordered to do with it; 0: nothing."""

CASCADE = "blocker:"
"""How the reason of a job begins that was canceled because of a blocker; the blocker's id follows."""

RECOVERING = "recovering"
"""Reason of a job that is running on record while its recovery script runs: its attempt has ended (`engine.md` §9)."""

_REPORTED = ENDED | {JobStatus.PENDING_FAILED}
_EARLY = frozenset({JobStatus.UNINITIALIZED, JobStatus.BLOCKED, JobStatus.READY})
_OVERRIDES = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TERMINATED})


class Attempt(Protocol):
    """What the rules look at of a job; a `Job` has it, a database row may."""

    @property
    def id(self) -> JobId: ...
    @property
    def status(self) -> JobStatus: ...
    @property
    def run_id(self) -> int: ...
    @property
    def attempt_id(self) -> int: ...
    @property
    def node_id(self) -> NodeId | None: ...
    @property
    def lease(self) -> str | None: ...
    @property
    def stop(self) -> int: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def claimed_at(self) -> int | None: ...
    @property
    def result_id(self) -> int | None: ...


class Standing(NamedTuple):
    """The result that stands for an attempt.

    Parameters
    ----------
    id
        Of the result.
    provisional
        Nobody has reported it: the attempt was given up as lost with its node, which held it under `lease`.
    """

    status: JobStatus
    return_code: int
    id: ResultId | None = None
    provisional: bool = False
    lease: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to be done about an ending, a start or a give-back.

    Parameters
    ----------
    status
        The job's next status; None: it stays as it is.
    result
        The status of the result to store; None: none is stored.
    run_id, attempt_id
        The numbers that were meant; a result is stored under them.
    override
        The job had not been started: event `override`.
    settled
        The node has confirmed that the attempt is over: its node, lease and stop order are cleared.
    replaces
        The provisional result that gives way to this one.
    current
        The result is the one that the job points to; not that of an attempt which the job has left behind.
    refusal
        The error to raise when the call stands alone.
    """

    verdict: Verdict
    status: JobStatus | None = None
    result: JobStatus | None = None
    run_id: int = 0
    attempt_id: int = 0
    override: bool = False
    settled: bool = False
    replaces: ResultId | None = None
    current: bool = True
    refusal: TorcError | None = None


def judge(job: Attempt, ending: Ending, workflow_run: int, stored: Standing | None) -> Judgement:
    """Decide about an ending (`engine.md` §8.2).

    Parameters
    ----------
    workflow_run
        The current run of the workflow.
    stored
        The result that stands for `meant(job, ending)`. It need not be looked for when `holds(job, ending)`: then
        the ending is accepted without it.
    """
    run, attempt = meant(job, ending, workflow_run)
    said, code = ending.status, ending.return_code
    if said not in _REPORTED:
        return _refused(Invalid(f"job {job.id} cannot end as {said.label}; report completed, failed, canceled, "
                                "terminated or pending_failed"))  # fmt: skip
    if said is JobStatus.COMPLETED and code != 0:
        return _refused(
            Invalid(f"job {job.id} cannot be completed with return code {code}; report it as failed")
        )
    if holds(job, ending, workflow_run):
        return _held(job, said, run, attempt)
    if confirms(job, ending, workflow_run):
        return _confirmed(job, run, attempt, stored)
    if stored is not None and stored.provisional and ending.lease is not None:
        return _late(job, ending, stored, run, attempt)
    if stored is not None:
        # A canceled attempt keeps the code that was reported, not the status.
        if stored[1] == code and (stored[0] == said or stored[0] is JobStatus.CANCELED):
            return Judgement(verdict=Verdict.SAME, run_id=run, attempt_id=attempt)
        if stored[1] == code and stored[0] is JobStatus.TERMINATED and said is JobStatus.CANCELED:
            return Judgement(verdict=Verdict.SAME, run_id=run, attempt_id=attempt)
    if ending.lease is None:
        return _unfenced(job, ending, workflow_run, stored)
    if stored is not None:
        text = f"a different result stands for job {job.id}, run {run}, attempt {attempt}: {stored[0].label}, code {stored[1]}"
        return Judgement(verdict=Verdict.DIFFERENT, run_id=run, attempt_id=attempt, refusal=Conflict(text))
    return _refused(Conflict(f"job {job.id} is no longer held under lease {ending.lease!r}"))


def meant(job: Attempt, ending: Ending, workflow_run: int) -> tuple[int, int]:
    """The run and attempt that an ending speaks of: 0 is the current one (`engine.md` §6.1)."""
    current = job.run_id or workflow_run
    run = current if ending.run_id in (0, workflow_run) and ending.lease is None else ending.run_id or current
    return run, ending.attempt_id or job.attempt_id


def holds(job: Attempt, ending: Ending, workflow_run: int) -> bool:
    """Whether the ending comes from who holds the job: same lease, run and attempt, and not yet reported."""
    return (
        ending.lease is not None
        and job.reason != RECOVERING
        and job.lease == ending.lease
        and job.status in LIVE
        and (job.run_id, job.attempt_id) == meant(job, ending, workflow_run)
    )


def late(judgement: Judgement, ending: Ending) -> bool:
    """Whether an ending was refused because its attempt is no longer anybody's, which has to be told (P5)."""
    return (
        judgement.verdict is Verdict.STALE
        and ending.lease is not None
        and isinstance(judgement.refusal, Conflict)
    )


def confirms(job: Attempt, ending: Ending, workflow_run: int) -> bool:
    """Whether a node says that an attempt is over which it was ordered to stop, while the job has gone on.

    A node without leases, of a published client, has to name another run or attempt than the present one.
    """
    if not job.stop or job.status in LIVE or job.node_id is None or job.lease != ending.lease:
        return False
    return job.lease is not None or (job.run_id, job.attempt_id) != meant(job, ending, workflow_run)


def same_attempt(job: Attempt, held: Held) -> bool:
    """Whether a node speaks of the attempt for which it has the job, although the job may have a newer one by now."""
    return job.lease == held.lease and (job.attempt_id == held.attempt_id or job.stop != 0)


def started(job: Attempt, held: Held) -> Verdict:
    """Decide about a start (`engine.md` §8.1); `done`: the job has to become running."""
    if job.attempt_id != held.attempt_id or job.lease not in (held.lease, None):
        return Verdict.STALE
    if job.status is JobStatus.CANCELED:
        return Verdict.CANCELED
    if job.lease is None:
        return Verdict.STALE
    if job.status is JobStatus.PENDING:
        return Verdict.DONE
    return Verdict.SAME if job.status is JobStatus.RUNNING else Verdict.STALE


def started_by_hand(job: Attempt, run_id: int, workflow_run: int) -> Verdict:
    """Decide about an unfenced start: of a pending job, or of a ready one whose own claim ran out (§7.8).

    Raises
    ------
    Invalid
        If the run is over.
    Conflict
        If the job is neither of the two.
    """
    if run_id not in (0, job.run_id, workflow_run):
        raise _over(run_id, workflow_run)
    if job.status is JobStatus.RUNNING:
        return Verdict.SAME
    if job.status is JobStatus.PENDING or (job.status is JobStatus.READY and job.claimed_at is not None):
        return Verdict.DONE
    raise Conflict(f"job {job.id} is {job.status.label}; only a pending job can be started")


def given_back(job: Attempt, held: Held, forked: bool) -> Judgement | None:
    """Decide about a job that its node will not run: ready again, same attempt; None: nothing changes.

    `forked`: its node has listed it as running, and can no longer vouch that it never was (`engine.md` §7.10).
    """
    if not same_attempt(job, held) or forked or job.reason == RECOVERING:
        return None
    if job.status in LIVE:
        return Judgement(verdict=Verdict.DONE, status=JobStatus.READY, settled=True)
    # It was canceled, and now its node says that it never ran.
    return Judgement(verdict=Verdict.DONE, settled=True) if job.stop else None


def occupied(job: Attempt) -> bool:
    """Whether a node may still run the job: it is pending, running, or stopped and not yet confirmed.

    Such a job is neither removed, disabled nor started over: two of its attempts could be alive at once (I1).
    """
    return job.status in LIVE or job.stop != 0


def rescued(job: Attempt, held: Held, stored: Standing | None) -> bool:
    """Whether an attempt that was given up as lost is still the job's last: its real result will be taken (§15.4)."""
    return (
        stored is not None
        and stored.provisional
        and stored.lease == held.lease
        and job.status is JobStatus.FAILED
        and job.attempt_id == held.attempt_id
        and job.result_id == stored.id
    )


def cascaded(job: Attempt) -> bool:
    """Whether the job was canceled only because of a blocker, before it was ever claimed in this run."""
    return (
        job.status is JobStatus.CANCELED
        and (job.reason or "").startswith(CASCADE)
        and job.claimed_at is None
        and job.attempt_id == 1
    )


def _held(job: Attempt, said: JobStatus, run: int, attempt: int) -> Judgement:
    if job.stop == TERMINATE and said is JobStatus.CANCELED:
        # The runner knows one kind of stop order; this one was to terminate.
        said = JobStatus.TERMINATED
    return Judgement(
        verdict=Verdict.DONE, status=said, result=said, run_id=run, attempt_id=attempt, settled=True
    )


def _late(job: Attempt, ending: Ending, stored: Standing, run: int, attempt: int) -> Judgement:
    """The first real result of an attempt that was given up as lost replaces the provisional one (§15.4)."""
    held = Held(job=job.id, attempt_id=attempt, lease=ending.lease or "")
    if run != job.run_id or not rescued(job, held, stored):
        text = f"job {job.id} was given up as lost, and attempt {attempt} of run {run} is no longer its last"
        return _refused(Conflict(text))
    said = {JobStatus.CANCELED: JobStatus.TERMINATED, JobStatus.PENDING_FAILED: JobStatus.FAILED}.get(
        ending.status, ending.status
    )
    return Judgement(
        verdict=Verdict.DONE, status=None if said is job.status else said, result=said, run_id=run,
        attempt_id=attempt, replaces=stored.id,
    )  # fmt: skip


def _confirmed(job: Attempt, run: int, attempt: int, stored: Standing | None) -> Judgement:
    """An attempt is over that was canceled, or that the job had been taken away from: now it can be claimed."""
    return Judgement(
        verdict=Verdict.DONE, result=JobStatus.CANCELED if stored is None else None, run_id=run, attempt_id=attempt,
        settled=True, current=job.status.ended and (run, attempt) == (job.run_id, job.attempt_id),
    )  # fmt: skip


def _unfenced(job: Attempt, ending: Ending, workflow_run: int, stored: Standing | None) -> Judgement:
    run, attempt = meant(job, ending, workflow_run)
    said = ending.status
    if run != (job.run_id or workflow_run):
        return _refused(_over(run, workflow_run))
    if attempt != job.attempt_id:
        return _refused(Conflict(f"job {job.id} is in attempt {job.attempt_id}, not {attempt}"))
    result = None if stored is not None else said
    if job.stop and job.status is JobStatus.CANCELED:
        return _confirmed(job, run, attempt, stored)
    if job.status in OPEN and (said is not job.status or stored is None):
        return Judgement(
            verdict=Verdict.DONE, status=None if said is job.status else said, result=result, run_id=run,
            attempt_id=attempt, override=job.status in _EARLY, settled=job.status in LIVE or not job.stop,
        )  # fmt: skip
    if cascaded(job) and said in _OVERRIDES:
        return Judgement(
            verdict=Verdict.DONE, status=said, result=result, run_id=run, attempt_id=attempt, override=True
        )
    if job.status is JobStatus.DISABLED:
        return _refused(Invalid(f"job {job.id} cannot go from disabled to {said.label}"))
    return _refused(Invalid(f"job {job.id} is already complete: {job.status.label}"))


def _over(run: int, workflow_run: int) -> Invalid:
    return Invalid(f"run {run} is over; the workflow is in run {workflow_run}")


def _refused(refusal: TorcError) -> Judgement:
    return Judgement(verdict=Verdict.STALE, refusal=refusal)
