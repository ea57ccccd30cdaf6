"""Bad ends that are not the last word: tried again, at once or later, or recovered by a script first (`engine.md` §9)."""

from __future__ import annotations

from typing import Any

from torc_core.engine import telling
from torc_core.engine.completion import RECOVERING, Judgement, Standing, same_attempt
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
from torc_core.model import (
    LIVE,
    Ending,
    FailureHandler,
    Held,
    Job,
    JobStatus,
    Recovery,
    Verdict,
)
from torc_core.testing.memory.change import FREED, Change
from torc_core.testing.memory.flow import Flow


def decided(change: Change, job: Job, ending: Ending, judgement: Judgement) -> Retry:
    """What the failure handler of a job makes of the end of an attempt; only ends that its node reports are asked about."""
    flow = change.flow
    workflow = flow.workflow
    if ending.lease is None or judgement.status not in RETRIABLE or judgement.result is None:
        return Retry()
    if job.stop or workflow.is_canceled or job.status is not JobStatus.RUNNING:
        return Retry()
    return decide(
        rules_of(flow, job), judgement.status, ending.return_code, ending.reason, attempt_id=job.attempt_id,
        losses=job.losses, retry_on_node_loss=workflow.retry_on_node_loss,
        use_pending_failed=workflow.use_pending_failed,
    )  # fmt: skip


def rules_of(flow: Flow, job: Job) -> Rules:
    """The rules of the handler of a job; none without one."""
    handlers: dict[int, FailureHandler] = flow.tables[FailureHandler]
    handler = None if job.failure_handler_id is None else handlers.get(job.failure_handler_id)
    return () if handler is None else handler.rules


def again(change: Change, job: Job, return_code: int, retry: Retry) -> None:
    """Make a job ready with its next attempt, now or later."""
    after = job.attempt_id + 1
    message = told(return_code, after, retry)
    change.tell(telling.job_retried(job.id, job.name, job.run_id, job.attempt_id, after, message))
    change.again(
        job, attempt_id=after, result_id=None, losses=job.losses + retry.lost, origin=job.origin or "retry",
        not_before=change.now + retry.delay_ms if retry.delay_ms else None,
    )  # fmt: skip


def recover(change: Change, job: Job, ending: Ending, script: str, **fields: Any) -> None:
    """Leave a job with its node, which has to run a script first."""
    change.set(job, reason=RECOVERING, result_id=fields.get("result_id"))
    change.flow.forked.add(job.id)
    change.recoveries.append(_order(job, script, ending.return_code))


def repeat(change: Change, job: Job, ending: Ending) -> None:
    """Order the script again: the answer to the end of its attempt was lost."""
    rule = chosen(rules_of(change.flow, job), ending.return_code) or {}
    change.recoveries.append(_order(job, rule.get("recovery_script") or NO_SCRIPT, ending.return_code))


def recovered(change: Change, held: Held, ok: bool) -> Verdict:
    """A script has ended: the job is tried again, or has failed."""
    flow = change.flow
    job = flow.jobs.get(held.job)
    if job is None or not same_attempt(job, held):
        known = job is not None and flow.result(job.id, job.run_id, held.attempt_id) is not None
        return Verdict.SAME if known else Verdict.STALE
    if job.status not in LIVE or job.attempt_id != held.attempt_id:
        # It was canceled or set back meanwhile, and now its node says that the script is gone.
        change.set(job, **FREED)
        return Verdict.CANCELED
    stored = flow.result(job.id, job.run_id, job.attempt_id)
    if job.reason != RECOVERING or stored is None:
        return Verdict.STALE
    if ok and not job.stop:
        again(change, job, stored[1], after_script(rules_of(flow, job), stored[1], job.attempt_id))
        return Verdict.RETRY
    _end(change, job, stored, RECOVERY_FAILED)
    return Verdict.DONE


def give_up(change: Change, job: Job) -> None:
    """The runner of a recovery script is dead: the job ends as its attempt did."""
    stored = change.flow.result(job.id, job.run_id, job.attempt_id)
    _end(change, job, stored or Standing(JobStatus.FAILED, 1), RECOVERY_LOST)


def free_due(change: Change) -> None:
    """Delayed retries whose time has come may be handed out."""
    for job in list(change.flow.jobs.values()):
        if job.not_before is not None and job.not_before <= change.now:
            change.set(job, not_before=None)


def next_retry(flow: Flow, now: int) -> int | None:
    """Milliseconds until the next delayed retry is due; None: none waits."""
    first = min((job.not_before for job in flow.jobs.values() if job.not_before is not None), default=None)
    return None if first is None else max(0, first - now)


def _end(change: Change, job: Job, stored: Standing, reason: str) -> None:
    job = change.move(job, stored[0], reason=reason, **FREED)
    change.tell(
        telling.job_ended(job.id, job.name, job.status, stored[1], reason, job.run_id, job.attempt_id)
    )


def _order(job: Job, script: str, return_code: int) -> Recovery:
    return Recovery(
        job=job.id, attempt_id=job.attempt_id, lease=job.lease or "", script=script, return_code=return_code
    )
