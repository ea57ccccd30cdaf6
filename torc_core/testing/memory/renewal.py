"""Begun again: what changed since jobs ran, what is in the way, and the new run (`engine.md` §6.3, §6.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torc_core.engine import telling
from torc_core.engine.change import file_changes, listed, reasons
from torc_core.engine.records import user_action
from torc_core.engine.resets import check_open
from torc_core.model import (
    ChangedJob,
    File,
    FileId,
    Fingerprint,
    Initialize,
    InputKind,
    Inputs,
    JobId,
    JobStatus,
)
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.creation import derived
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.hashing import made_of
from torc_core.testing.memory.lifecycle import initialize, required_files, unwritten_user_data
from torc_core.testing.memory.resets import check_workflow_idle, downstream, open_again

_STAY = frozenset({JobStatus.UNINITIALIZED, JobStatus.DISABLED, JobStatus.PENDING, JobStatus.RUNNING})
"""Jobs that a changed hash leaves as they are."""

_TO_COME = frozenset({JobStatus.UNINITIALIZED, JobStatus.BLOCKED, JobStatus.READY, JobStatus.PENDING_FAILED})


def inspect(flow: Flow, seen: Sequence[Fingerprint], *, everything: bool = True) -> Inputs:
    """What an initialisation would meet; `everything`: as if all jobs were set back before (`engine.md` §6.3)."""
    gone = {one.file for one in seen if one.st_mtime is None}
    there = {one.file for one in seen if one.st_mtime is not None}
    written = flow.writers(InputKind.FILE)
    if everything:
        gone -= {FileId(file) for file in written}
    coming = [
        file for file, jobs in written.items()
        if file in there and (everything or any(flow.jobs[job].status in _TO_COME for job in jobs))
    ]  # fmt: skip
    return Inputs(
        missing_files=[file for file in required_files(flow) if file.id in gone],
        missing_user_data=unwritten_user_data(flow),
        existing_outputs=[flow.tables[File][file] for file in sorted(coming)],
    )


def renew(change: Change, how: Initialize) -> None:
    """Set all jobs back and begin a full run; a workflow that was canceled goes on (`engine.md` §6.3)."""
    flow = change.flow
    check_open(flow.workflow.id, flow.workflow.is_archived, "initialized")
    check_workflow_idle(flow, runners=True, force=how.force)
    open_again(change, list(flow.jobs.values()))
    flow.workflow = replace(flow.workflow, is_canceled=False)
    initialize(change, replace(how, only_uninitialized=False))


def partial(how: Initialize) -> Initialize:
    """The same for jobs that are uninitialized, and all that is below them."""
    return replace(how, only_uninitialized=True)


def set_back_changed(change: Change, seen: Sequence[Fingerprint]) -> list[ChangedJob]:
    """Set back what changed since it ran, and what is below; those jobs, each with its reason (`engine.md` §6.4)."""
    flow = change.flow
    check_open(flow.workflow.id, flow.workflow.is_archived, "initialized")
    _derive(flow)
    writers = {FileId(file): jobs for file, jobs in flow.writers(InputKind.FILE).items()}
    readers = {
        FileId(file): sorted({job for jobs in lists for job in jobs})
        for file, lists in flow.readers(InputKind.FILE).items()
    }
    changes = file_changes(flow.tables[File].values(), seen, writers)
    status = {job.id: job.status for job in flow.jobs.values()}
    found = reasons(changes, readers, writers, status, _hashes(flow))
    begin = [*found, *(id for id, one in status.items() if one is JobStatus.UNINITIALIZED)]
    below = [job for job in downstream(flow, begin) if job.status.ended]
    jobs = {job.id: job for job in (*(flow.jobs[id] for id in found), *below)}
    changed = listed(found, (job.id for job in below), {id: job.name for id, job in jobs.items()})
    open_again(change, [jobs[id] for id in sorted(jobs)])
    for one in changes:
        change.tell(telling.file_changed(one.file.id, one.file.path, one.change))
    return changed


def changed_jobs(change: Change) -> list[ChangedJob]:
    """Set back the jobs whose input hash is another than the stored one; those, each with its reason."""
    flow = change.flow
    check_open(flow.workflow.id, flow.workflow.is_archived, "reset")
    _derive(flow)
    different = {id: both for id, both in _hashes(flow).items() if flow.jobs[id].status not in _STAY}
    why = reasons([], {}, {}, dict.fromkeys(different, JobStatus.COMPLETED), different)
    open_again(change, [flow.jobs[id] for id in sorted(why)])
    changed = listed(why, (), {id: flow.jobs[id].name for id in why})
    if changed:
        change.tell(user_action("reset_changed", "workflow", flow.workflow.id, [], count=len(changed)))
    return changed


def _derive(flow: Flow) -> None:
    """Derive relations anew, with their counters."""
    flow.links = derived(flow)
    flow.recount()


def _hashes(flow: Flow) -> dict[JobId, tuple[str | None, str]]:
    return {job.id: (job.input_hash, made_of(flow, job)) for job in flow.jobs.values()}
