"""A job starts after those it waits for, and only after their good ends if it cancels on failure (I5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from torc_core.model import Event, JobId, JobStatus
from torc_core.testing.checker.evidence import Evidence
from torc_core.testing.checker.executions import spans
from torc_core.testing.checker.violation import Violation

ENDS = {
    "job_completed": JobStatus.COMPLETED,
    "job_failed": JobStatus.FAILED,
    "job_canceled": JobStatus.CANCELED,
    "job_terminated": JobStatus.TERMINATED,
}


def in_order(evidence: Evidence) -> Iterator[Violation]:
    """I5, by the events in commit order and by the ledger."""
    yield from _by_events(evidence)
    yield from _by_ledger(evidence)


def _by_events(evidence: Evidence) -> Iterator[Violation]:
    told: dict[int, list[Event]] = defaultdict(list)
    for event in sorted(evidence.events, key=lambda event: event.id):
        for id in _jobs_of(event):
            told[id].append(event)
    disabled = {job.id for job in evidence.jobs if job.status is JobStatus.DISABLED}
    whole = {workflow.id for workflow in evidence.workflows}
    for job in evidence.jobs:
        blockers = [one for one in evidence.blockers.get(job.id, ()) if one not in disabled]
        if not blockers or job.workflow_id not in whole:
            continue
        for start in (event for event in told[job.id] if event.category == "job_started"):
            for blocker in blockers:
                wrong = _wrong(told[blocker], start, job.cancel_on_blocking_job_failure)
                if wrong is not None:
                    yield Violation(
                        rule="I5", what=f"job {job.id} started (event {start.id}) {wrong} of job {blocker}"
                    )


def _wrong(told: list[Event], start: Event, cancels: bool) -> str | None:
    """What is wrong with a start, by what was told of a blocker before it."""
    before = [
        event
        for event in told
        if event.id < start.id and event.category in (*ENDS, "job_started", "job_retried")
    ]
    if not before:
        return "before the end"
    last = before[-1]
    if last.category not in ENDS:
        return "before the end"
    if cancels and ENDS[last.category].bad:
        return "after the bad end"
    return None


def _jobs_of(event: Event) -> Iterator[int]:
    data: Mapping[str, object] = event.data
    if isinstance(job := data.get("job_id"), int):
        yield job
        return
    first, last = data.get("first_job_id"), data.get("last_job_id")
    # A bundle names a range of ids, and a count that tells whether it is all of them.
    if isinstance(first, int) and isinstance(last, int) and data.get("count") == last - first + 1:
        yield from range(first, last + 1)


def _by_ledger(evidence: Evidence) -> Iterator[Violation]:
    lives = spans(evidence)
    good = {
        (one.job_id, one.run_id): one.attempt_id
        for one in evidence.results
        if one.status is JobStatus.COMPLETED
    }
    for (id, run, attempt), found in lives.items():
        for blocker in evidence.blockers.get(JobId(id), ()):
            last = good.get((blocker, run))
            for end in lives.get((blocker, run, last), ()) if last is not None else ():
                for span in found:
                    if span.first.host == end.first.host and span.first.ns < end.last.ns:
                        what = f"attempt {attempt} of job {id} began before the end of job {blocker} by the ledger"
                        yield Violation(rule="I5", what=what)
