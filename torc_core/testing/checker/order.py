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
    """What is wrong with a start, by what was told of a blocker before it.

    A blocker that a person opens again stops nobody who could start already; a failure that is tried again by itself is
    not told as an end.
    """
    before = [event for event in told if event.id < start.id and event.category in ENDS]
    if not before:
        return "before the end"
    return "after the bad end" if cancels and ENDS[before[-1].category].bad else None


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
    """Those that waited for a job which ran once and completed began after it."""
    lives = spans(evidence)
    twice = {
        job
        for event in evidence.events
        if event.category in (*ENDS, "job_retried") and event.category != "job_completed"
        for job in _jobs_of(event)
    }
    good = {
        (one.job_id, one.run_id)
        for one in evidence.results
        if one.status is JobStatus.COMPLETED and one.attempt_id == 1 and one.job_id not in twice
    }
    for (id, run, attempt), found in lives.items():
        for blocker in evidence.blockers.get(JobId(id), ()):
            ends = lives.get((blocker, run, 1), ()) if (blocker, run) in good else ()
            for first in found:
                if any(one.first.host == first.first.host and first.first.ns < one.last.ns for one in ends):
                    what = (
                        f"attempt {attempt} of job {id} began before the end of job {blocker} by the ledger"
                    )
                    yield Violation(rule="I5", what=what)
