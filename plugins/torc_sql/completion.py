"""How attempts begin and end on record (`engine.md` §8): judged one by one by the rules, written together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.completion import (
    RECOVERING,
    Judgement,
    Standing,
    given_back,
    holds,
    judge,
    late,
    meant,
    started,
    started_by_hand,
)
from torc_core.errors import NotFound
from torc_core.model import (
    Ending,
    Fingerprint,
    Held,
    JobId,
    JobStatus,
    Node,
    NodeId,
    Verdict,
)
from torc_sql import retrying, rows
from torc_sql.change import Change
from torc_sql.rows import STATUSES
from torc_sql.state import JobState
from torc_sql.transaction import Transaction


def finish(change: Change, endings: Sequence[Ending]) -> list[Judgement]:
    """Record endings; what waited for them follows when the change settles. A refused one harms no other."""
    if endings:
        change.reserve(len(endings))
    if len({ending.job for ending in endings}) == len(endings):
        return [_finish(change, ending) for ending in endings]
    judgements = []
    for ending in endings:
        judgements.append(_finish(change, ending))
        # A second ending of the same job is judged by what the first one has left.
        change.write_late()
        change.write_results()
    return judgements


def start(change: Change, held: Held, node: Node) -> Verdict:
    """Record a start (`engine.md` §8.1)."""
    job = change.job(held.job)
    if job is None:
        return Verdict.STALE
    verdict = started(job, held)
    if verdict is Verdict.DONE:
        _run(change, job, node)
    return verdict


def start_by_hand(change: Change, job: JobId, run_id: int, node: NodeId | None) -> Verdict:
    """Record an unfenced start.

    Raises
    ------
    NotFound
        If the workflow has no such job, or no such node.
    """
    state = change.job(job)
    if state is None:
        raise NotFound(f"no job {job}")
    verdict = started_by_hand(state, run_id, change.run_id)
    if verdict is Verdict.DONE:
        row = None if node is None else change.tx.row("NODE", node_=node)
        if node is not None and (row is None or row[1] != change.wf):
            raise NotFound(f"workflow {change.wf} has no node {node}")
        if row is not None:
            # Clients that never beat are heard of when they start a job.
            change.tx.run("BEAT", node_=node, now_=change.tx.now)
        _run(change, state, None if row is None else rows.node(row))
    return verdict


def give_back(change: Change, held: Held) -> None:
    """Take back what a node will not run (`engine.md` §7.7, §7.10)."""
    job = change.job(held.job)
    judgement = None if job is None else given_back(job, held, job.forked == 1)
    if job is None or judgement is None:
        return
    change.tell_moved("job_given_back", [job.id])
    if judgement.status is not None:
        change.again(job)
    else:
        change.confirm(job, job.result_id)
    fill_place(change, job)


def fingerprint(tx: Transaction, wf: int, seen: Sequence[Fingerprint]) -> None:
    """Keep what files were last seen to be."""
    tx.many(
        "FINGERPRINT",
        [
            {
                "file_": one.file,
                "wf_": wf,
                "mtime_": one.st_mtime,
                "size_": one.size,
                "hash_": one.content_hash,
            }
            for one in seen
        ],
    )


def _finish(change: Change, ending: Ending) -> Judgement:
    job = change.job(ending.job)
    if job is None:
        missing = NotFound(f"no job {ending.job} in workflow {change.wf}")
        return Judgement(verdict=Verdict.STALE, refusal=missing)
    run = change.run_id
    stored = None if holds(job, ending, run) else standing(change.tx, job.id, *meant(job, ending, run))
    judgement = judge(job, ending, run, stored)
    if judgement.verdict is Verdict.DIFFERENT:
        change.tell(
            telling.different_result(
                job.id, judgement.run_id, judgement.attempt_id, ending.status, ending.return_code
            )
        )
    elif late(judgement, ending):
        change.tell(telling.stale_result(job.id, *meant(job, ending, run), ending.status, ending.return_code))
    elif judgement.replaces is not None:
        _replace(change, job, ending, judgement)
    elif judgement.verdict is Verdict.DONE:
        return _end(change, job, ending, judgement)
    elif judgement.verdict is Verdict.SAME and job.reason == RECOVERING and job.lease == ending.lease:
        retrying.repeat(change, job, ending)
    return judgement


def _replace(change: Change, job: JobState, ending: Ending, judgement: Judgement) -> None:
    """The real result of an attempt that was given up as lost (`engine.md` §15.4)."""
    status, usage = judgement.result or job.status, ending.usage
    change.tx.run(
        "REPLACE_RESULT", id_=judgement.replaces, status_=int(status), code_=ending.return_code,
        reason_=ending.reason, minutes_=ending.exec_minutes, completed_=ending.completed_at or change.tx.now,
        node_=ending.node, peak_memory_=usage.peak_memory_bytes, avg_memory_=usage.avg_memory_bytes,
        peak_cpu_=usage.peak_cpu_percent, avg_cpu_=usage.avg_cpu_percent,
    )  # fmt: skip
    change.unsum()
    change.ended_at(judgement.run_id, ending.completed_at or change.tx.now)
    if judgement.status is None:
        change.tx.run("EXPLAIN", job_=job.id, reason_=ending.reason)
    else:
        change.move_late(job, status, "END", reason_=ending.reason, result_=job.result_id)
    run, attempt = judgement.run_id, judgement.attempt_id
    change.tell(telling.job_ended(job.id, job.name, status, ending.return_code, ending.reason, run, attempt))
    if ending.status is JobStatus.COMPLETED and ending.outputs:
        fingerprint(change.tx, change.wf, ending.outputs)


def standing(tx: Transaction, job: JobId, run: int, attempt: int) -> Standing | None:
    """The result that stands for an attempt."""
    row = tx.row("STANDING", job_=job, run_=run, attempt_=attempt)
    if row is None:
        return None
    status, code, id, provisional, lease = row
    return Standing(STATUSES[status], code, id, provisional == 1, lease)


def _end(change: Change, job: JobState, ending: Ending, judgement: Judgement) -> Judgement:
    run, attempt = judgement.run_id, judgement.attempt_id
    result = job.result_id
    if judgement.result is not None:
        stored = change.result(job, ending, judgement.result, run, attempt)
        result = stored if judgement.current else result
    retry = retrying.decided(change, job, ending, judgement)
    if retry.script is not None:
        change.unsum()
        retrying.recover(change, job, ending, retry.script, result)
        return judgement
    if retry.status is not None:
        judgement = replace(judgement, status=retry.status)
    if retry.again:
        retrying.again(change, job, ending.return_code, retry)
        judgement = replace(judgement, verdict=Verdict.RETRY)
    elif judgement.status is not None:
        statement = "END" if judgement.settled else "END_HELD"
        change.move_late(job, judgement.status, statement, reason_=ending.reason, result_=result)
        change.tell(
            telling.job_ended(
                job.id, job.name, judgement.status, ending.return_code, ending.reason, run, attempt
            )
        )
        if judgement.override:
            change.tell(telling.override(job.id, job.status, judgement.status))
    elif judgement.settled:
        change.confirm(job, result)
    else:
        change.tx.run("POINT", job_=job.id, result_=result)
    if job.result_id is not None:
        change.unsum()
    elif result is not None and not retry.again:
        change.spent(ending.exec_minutes)
    if ending.leftovers:
        change.tell(telling.leftovers(job.id, attempt, ending.leftovers))
    if ending.status is JobStatus.COMPLETED and ending.outputs:
        fingerprint(change.tx, change.wf, ending.outputs)
    if judgement.settled:
        fill_place(change, job)
    return judgement


def fill_place(change: Change, job: JobState) -> None:
    """The place of a job that has left its node goes to the one that was started ahead for it."""
    if job.node_id is not None and not job.prefetched:
        change.fill_place(job.node_id, job.class_id)


def _run(change: Change, job: JobState, node: Node | None) -> None:
    # What was held ahead takes a place if there is one; if not, it is started ahead and takes the next.
    waits = job.prefetched == 1 and not (node is not None and change.takes_place(node, job.class_id))
    id = None if node is None else node.id
    change.move_late(job, JobStatus.RUNNING, "START", now_=change.tx.now, node_=id, prefetched_=waits)
    change.tell(telling.job_started(job.id, job.name, id, job.run_id, job.attempt_id))
