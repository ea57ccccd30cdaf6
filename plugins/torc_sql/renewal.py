"""Begun again: what changed since jobs ran, what is in the way, and the new run (`engine.md` §6.3, §6.4)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.change import FileChange, file_changes, listed, reasons
from torc_core.engine.records import user_action
from torc_core.engine.resets import check_open
from torc_core.model import (
    ChangedJob,
    File,
    FileId,
    Fingerprint,
    Initialize,
    Inputs,
    JobId,
    JobStatus,
    UserData,
    WorkflowId,
)
from torc_sql import resets, rows
from torc_sql.change import Change
from torc_sql.hashing import hashes
from torc_sql.lifecycle import initialize, required_files, unwritten_user_data
from torc_sql.relations import derive
from torc_sql.state import JobState, workflow_state
from torc_sql.transaction import Transaction

_STAY = frozenset({JobStatus.UNINITIALIZED, JobStatus.DISABLED, JobStatus.PENDING, JobStatus.RUNNING})
"""Jobs that a changed hash leaves as they are."""


def inspect(
    tx: Transaction, wf: WorkflowId, seen: Sequence[Fingerprint], *, everything: bool = True
) -> Inputs:
    """What an initialisation would meet (`engine.md` §6.3).

    Parameters
    ----------
    everything
        As if all jobs were set back before; else as they stand.
    """
    workflow_state(tx, wf)
    gone = {one.file for one in seen if one.st_mtime is None}
    there = json.dumps(sorted(one.file for one in seen if one.st_mtime is not None))
    written = (
        {file for file, _ in tx.rows("WRITERS_OF", jobs_=json.dumps(sorted(gone)))}
        if everything and gone
        else set()
    )
    missing = [file for file in required_files(tx, wf) if file.id in gone - written] if gone else []
    outputs = tx.rows("OUTPUTS_TO_COME", wf_=wf, jobs_=there, all_=int(everything))
    data: list[UserData] = unwritten_user_data(tx, wf)
    return Inputs(
        missing_files=missing, missing_user_data=data, existing_outputs=[rows.file(row) for row in outputs]
    )


def renew(change: Change, how: Initialize) -> None:
    """Set all jobs back and begin a full run; a workflow that was canceled goes on (`engine.md` §6.3)."""
    check_open(change.wf, change.state.is_archived == 1, "initialized")
    resets.check_workflow_idle(change, runners=True, force=how.force)
    if change.tally[JobStatus.UNINITIALIZED] != sum(change.tally.values()):
        resets.open_again(change, [JobState(*row) for row in change.tx.rows("STATES", wf_=change.wf)])
    if change.canceled:
        change.tx.run("REOPEN", wf_=change.wf)
        change.canceled = False
    initialize(change, replace(how, only_uninitialized=False))


def partial(how: Initialize) -> Initialize:
    """The same for jobs that are uninitialized, and all that is below them."""
    return replace(how, only_uninitialized=True)


def set_back_changed(change: Change, seen: Sequence[Fingerprint]) -> list[ChangedJob]:
    """Set back what changed since it ran, and what is below; those jobs, each with its reason (`engine.md` §6.4)."""
    check_open(change.wf, change.state.is_archived == 1, "initialized")
    derive(change)
    changes = _file_changes(change, seen)
    found = _reasons(change, changes)
    begin = [*found, *_uninitialized(change)]
    below = [job for job in resets.downstream(change, begin) if job.status.ended]
    jobs = {job.id: job for job in (*resets.states(change, found), *below)}
    changed = listed(found, (job.id for job in below), {id: job.name for id, job in jobs.items()})
    resets.open_again(change, [jobs[id] for id in sorted(jobs)])
    for one in changes:
        change.tell(telling.file_changed(one.file.id, one.file.path, one.change))
    return changed


def changed_jobs(change: Change) -> list[ChangedJob]:
    """Set back the jobs whose input hash is another than the stored one; those, each with its reason."""
    check_open(change.wf, change.state.is_archived == 1, "reset")
    derive(change)
    different = {job: (old, new) for job, old, new in hashes(change, None) if old is not None and old != new}
    jobs = [job for job in resets.states(change, different) if job.status not in _STAY]
    why = reasons([], {}, {}, dict.fromkeys((job.id for job in jobs), JobStatus.COMPLETED),
                  {job.id: different[job.id] for job in jobs})  # fmt: skip
    resets.open_again(change, jobs)
    changed = listed(why, (), {job.id: job.name for job in jobs})
    if changed:
        change.tell(user_action("reset_changed", "workflow", change.wf, [], count=len(changed)))
    return changed


def _reasons(change: Change, changes: Sequence[FileChange]) -> dict[JobId, str]:
    tx = change.tx
    ids = json.dumps([one.file.id for one in changes])
    readers = _by_file(tx.rows("FILE_READERS", wf_=change.wf, jobs_=ids))
    writers = _by_file(tx.rows("WRITERS_OF", jobs_=ids))
    different = {job: (old, new) for job, old, new in hashes(change, None) if old is not None and old != new}
    named = {job for jobs in (*readers.values(), *writers.values()) for job in jobs} | different.keys()
    status = {job.id: job.status for job in resets.states(change, named)}
    return reasons(changes, readers, writers, status, different)


def _file_changes(change: Change, seen: Sequence[Fingerprint]) -> list[FileChange]:
    ids = json.dumps(sorted({one.file for one in seen}))
    known: list[File] = [rows.file(row) for row in change.tx.rows("FILES_OF", wf_=change.wf, jobs_=ids)]
    written: Collection[FileId] = {file for file, _ in change.tx.rows("WRITERS_OF", jobs_=ids)}
    return file_changes(known, seen, written)


def _uninitialized(change: Change) -> list[JobId]:
    if not change.tally[JobStatus.UNINITIALIZED]:
        return []
    code = int(JobStatus.UNINITIALIZED)
    return [row[0] for row in change.tx.rows("OF_STATUS", wf_=change.wf, code_=code)]


def _by_file(pairs: Sequence[tuple[FileId, JobId]]) -> Mapping[FileId, list[JobId]]:
    found: dict[FileId, list[JobId]] = {}
    for file, job in sorted(pairs):
        found.setdefault(file, []).append(job)
    return found
