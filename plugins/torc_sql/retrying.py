"""Bad ends that are not the last word: tried again, at once or later, or recovered by a script first (`engine.md` §9)."""

from __future__ import annotations

import json

from torc_core.engine import telling
from torc_core.engine.completion import RECOVERING, Judgement, same_attempt
from torc_core.engine.retry import (
    NO_SCRIPT,
    RECOVERY_FAILED,
    RETRIABLE,
    Retry,
    Rules,
    after_script,
    chosen,
    decide,
    told,
)
from torc_core.engine.runs import RECOVERY_LOST
from torc_core.model import LIVE, Ending, Held, JobId, JobStatus, Recovery, Verdict
from torc_sql.change import Change
from torc_sql.rows import STATUSES
from torc_sql.state import JobState


def decided(change: Change, job: JobState, ending: Ending, judgement: Judgement) -> Retry:
    """What the failure handler of a job makes of the end of an attempt; only ends that its node reports are asked about."""
    if ending.lease is None or judgement.status not in RETRIABLE or judgement.result is None:
        return Retry()
    if job.stop or change.canceled or job.status is not JobStatus.RUNNING:
        return Retry()
    state = change.state
    return decide(
        rules_of(change, job), judgement.status, ending.return_code, ending.reason, attempt_id=job.attempt_id,
        losses=job.losses, retry_on_node_loss=state.retry_on_node_loss,
        use_pending_failed=state.use_pending_failed == 1,
    )  # fmt: skip


def rules_of(change: Change, job: JobState) -> Rules:
    """The rules of the handler of a job; none without one."""
    row = None if job.handler_id is None else change.tx.row("RULES_OF", handler_=job.handler_id)
    rules: Rules = () if row is None else json.loads(row[0])
    return rules


def again(change: Change, job: JobState, return_code: int, retry: Retry) -> None:
    """Make a job ready with its next attempt, now or later."""
    after, now = job.attempt_id + 1, change.tx.now
    message = told(return_code, after, retry)
    change.tell(telling.job_retried(job.id, job.name, job.run_id, job.attempt_id, after, message))
    later = now + retry.delay_ms if retry.delay_ms else None
    change.move(
        job, JobStatus.READY, "TRY_AGAIN", held=later is not None, attempt_=after, now_=now, lost_=int(retry.lost),
        later_=later,
    )  # fmt: skip
    if later is not None:
        change.delayed = True
        # Whoever waits has to look again at that time.
        change.tx.wake(change.wf)


def recover(change: Change, job: JobState, ending: Ending, script: str, result: int | None) -> None:
    """Leave a job with its node, which has to run a script first."""
    change.tx.run("RECOVER", job_=job.id, reason_=RECOVERING, result_=result)
    change.recoveries.append(_order(job, script, ending.return_code))


def repeat(change: Change, job: JobState, ending: Ending) -> None:
    """Order the script again: the answer to the end of its attempt was lost."""
    rule = chosen(rules_of(change, job), ending.return_code) or {}
    change.recoveries.append(_order(job, rule.get("recovery_script") or NO_SCRIPT, ending.return_code))


def recovered(change: Change, held: Held, ok: bool) -> tuple[Verdict, JobState | None]:
    """A script has ended: the job is tried again, or has failed; the job, if it has left its node."""
    job = change.job(held.job)
    if job is None or not same_attempt(job, held):
        known = None if job is None else _standing(change, job.id, job.run_id, held.attempt_id)
        return (Verdict.STALE if known is None else Verdict.SAME), None
    if job.status not in LIVE or job.attempt_id != held.attempt_id:
        # It was canceled or set back meanwhile, and now its node says that the script is gone.
        change.confirm(job, job.result_id)
        return Verdict.CANCELED, job
    stored = _standing(change, job.id, job.run_id, job.attempt_id)
    if job.reason != RECOVERING or stored is None:
        return Verdict.STALE, None
    if ok and not job.stop:
        again(change, job, stored[1], after_script(rules_of(change, job), stored[1], job.attempt_id))
        return Verdict.RETRY, job
    _end(change, job, stored, RECOVERY_FAILED)
    return Verdict.DONE, job


def give_up(change: Change, job: JobState) -> None:
    """The runner of a recovery script is dead: the job ends as its attempt did."""
    stored = _standing(change, job.id, job.run_id, job.attempt_id)
    _end(change, job, stored or (JobStatus.FAILED, 1), RECOVERY_LOST)


def free_due(change: Change) -> None:
    """Delayed retries whose time has come may be handed out; asks nothing while none waits anywhere."""
    tx, first = change.tx, change.state.next_retry
    if first is None or first > tx.now:
        return
    for status, node, job_class in tx.rows("FREE_RETRIES", wf_=change.wf, now_=tx.now):
        if status == JobStatus.READY and node is None:
            tx.ready(job_class, 1)
            tx.wake(change.wf)


def next_retry(change: Change) -> int | None:
    """Milliseconds until the next delayed retry is due; None: none waits."""
    if change.state.next_retry is None and not change.delayed:
        return None
    first = change.tx.row("NEXT_RETRY", wf_=change.wf)[0]
    return None if first is None else max(0, first - change.tx.now)


def _end(change: Change, job: JobState, stored: tuple[JobStatus, int], reason: str) -> None:
    status, code = stored
    change.move(job, status, "END", reason_=reason, result_=job.result_id)
    change.tell(telling.job_ended(job.id, job.name, status, code, reason, job.run_id, job.attempt_id))


def _standing(change: Change, job: JobId, run: int, attempt: int) -> tuple[JobStatus, int] | None:
    row = change.tx.row("STANDING", job_=job, run_=run, attempt_=attempt)
    return None if row is None else (STATUSES[row[0]], row[1])


def _order(job: JobState, script: str, return_code: int) -> Recovery:
    return Recovery(
        job=job.id, attempt_id=job.attempt_id, lease=job.lease or "", script=script, return_code=return_code
    )
