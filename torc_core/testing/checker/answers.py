"""What clients were told stays true, and every attempt has one result (I2, I6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from torc_core.engine.runs import RETRIED
from torc_core.model import Ending, Event, Job, JobStatus, Node, Result, Verdict, Workflow
from torc_core.testing.checker.evidence import Attempt, Call, Evidence
from torc_core.testing.checker.violation import Violation

TAKEN = (Verdict.DONE, Verdict.SAME, Verdict.RETRY)
"""Verdicts that say: this result is recorded."""


def taken(calls: tuple[Call, ...] | list[Call]) -> Iterator[tuple[Ending, Verdict]]:
    """Results that clients were told are recorded."""
    for call in calls:
        if call.error is not None:
            continue
        if call.name in ("turn", "try_turn"):
            orders = call.answer[0] if call.name == "try_turn" else call.answer
            pairs = zip(call.args[0].endings, orders.endings, strict=True)
        elif call.name in ("finish", "reconcile"):
            pairs = zip(call.args[1], call.answer, strict=True)
        else:
            continue
        yield from ((ending, verdict) for ending, verdict in pairs if verdict in TAKEN)


def answers_last(evidence: Evidence) -> Iterator[Violation]:
    """I2: whatever was answered is there, with the same content."""
    calls = list(evidence.calls)
    deleted = {call.args[0] for call in calls if call.name == "delete"}
    there = {workflow.id for workflow in evidence.workflows}
    for id in sorted(deleted & there):
        if any(call.name == "delete" and call.args[0] == id and call.error is None for call in calls):
            yield Violation(rule="I2", what=f"workflow {id} was deleted and is there")
    removed = {id for call in calls if call.name == "remove" for id in call.args[1]}
    stored = {(one.job_id, one.run_id, one.attempt_id): one for one in evidence.results}
    jobs = {job.id for job in evidence.jobs}
    for ending, _ in taken(calls):
        if ending.job not in jobs and (deleted or removed):
            continue
        yield from _result_stands(ending, stored)
    known: dict[type[Any], set[Any]] = {Workflow: there, Job: jobs, Node: {one.id for one in evidence.nodes}}
    for call in calls:
        for one in _made(call):
            kind = type(one)
            home = one.id if kind is Workflow else one.workflow_id
            if home not in deleted and one.id not in removed and one.id not in known[kind]:
                yield Violation(
                    rule="I2",
                    what=f"{kind.__name__.lower()} {one.id} was answered to {call.name} and is gone",
                )
    events = {one.id for one in evidence.events}
    for call in calls:
        if call.name == "add" and call.error is None:
            for one in call.answer:
                if (
                    isinstance(one, Event)
                    and one.workflow_id not in deleted
                    and one.id not in events | removed
                ):
                    yield Violation(rule="I2", what=f"event {one.id} was answered and is gone")


def _result_stands(ending: Ending, stored: dict[tuple[Any, int, int], Result]) -> Iterator[Violation]:
    runs = [ending.run_id] if ending.run_id else sorted({run for _, run, _ in stored}, reverse=True)
    found = [stored[key] for run in runs if (key := (ending.job, run, ending.attempt_id)) in stored]
    where = f"attempt {ending.attempt_id} of job {ending.job} in run {ending.run_id}"
    if not found:
        yield Violation(rule="I2", what=f"the result of {where} was answered and is gone")
    # NOTE: when a person has a running job tried again, its attempt gets a result at once; that it ends then confirms it.
    elif all(one.return_code != ending.return_code and one.reason != RETRIED for one in found):
        codes = ", ".join(str(one.return_code) for one in found)
        yield Violation(
            rule="I2", what=f"{where} was answered with code {ending.return_code} and has {codes}"
        )


def _made(call: Call) -> list[Any]:
    if call.error is not None or call.answer is None:
        return []
    if call.name in ("create", "join"):
        return [call.answer]
    return list(call.answer) if call.name == "add_jobs" else []


def one_result(evidence: Evidence) -> Iterator[Violation]:
    """I6: one result for each attempt; a job's current one says what the job says."""
    counts = Counter((one.job_id, one.run_id, one.attempt_id) for one in evidence.results)
    for (job, run, attempt), count in counts.items():
        if count > 1:
            yield Violation(
                rule="I6", what=f"attempt {attempt} of job {job} in run {run} has {count} results"
            )
    by_id = {one.id: one for one in evidence.results}
    for job_ in evidence.jobs:
        yield from _current(job_, None if job_.result_id is None else by_id.get(job_.result_id))
    for one in evidence.results:
        if one.status is JobStatus.COMPLETED and one.return_code != 0:
            yield Violation(rule="I6", what=f"result {one.id} is completed with code {one.return_code}")
    yield from _told_twice(evidence)
    yield from _two_answers(evidence)


def _current(job: Job, result: Result | None) -> Iterator[Violation]:
    ran = job.status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TERMINATED)
    if ran and result is None:
        yield Violation(rule="I6", what=f"job {job.id} is {job.status.label} and has no result")
    elif job.result_id is not None and result is None:
        yield Violation(rule="I6", what=f"job {job.id} names result {job.result_id}, which is not there")
    elif result is not None and result.job_id != job.id:
        yield Violation(rule="I6", what=f"job {job.id} names result {result.id} of job {result.job_id}")
    elif ran and result is not None and result.status not in (job.status, JobStatus.PENDING_FAILED):
        # What was pending_failed is classified later, and its result stays as it was reported.
        yield Violation(
            rule="I6", what=f"job {job.id} is {job.status.label}, its result {result.status.label}"
        )


def _told_twice(evidence: Evidence) -> Iterator[Violation]:
    ends = Counter(
        (event.data["job_id"], event.data.get("run_id"), event.data.get("attempt_id"))
        for event in evidence.events
        if event.category == "job_completed" and "job_id" in event.data
    )
    for (job, run, attempt), count in ends.items():
        if count > 1:
            yield Violation(
                rule="I6", what=f"attempt {attempt} of job {job} in run {run} completed {count} times"
            )


def _two_answers(evidence: Evidence) -> Iterator[Violation]:
    first: dict[Attempt, Ending] = {}
    for ending, _ in taken(list(evidence.calls)):
        key = (ending.job, ending.run_id, ending.attempt_id)
        before = first.setdefault(key, ending)
        if (before.status, before.return_code) != (ending.status, ending.return_code):
            said = (
                f"{before.status.label} {before.return_code} and {ending.status.label} {ending.return_code}"
            )
            yield Violation(
                rule="I6", what=f"attempt {ending.attempt_id} of job {ending.job} was taken twice: {said}"
            )
