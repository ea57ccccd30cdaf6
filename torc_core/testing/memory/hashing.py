"""Input hashes of jobs: what they are made of now (`engine.md` §6.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torc_core.engine.change import canonical, contents, definition, input_hash, related
from torc_core.engine.runs import digest
from torc_core.model import Job, JobId, UserData, UserDataId
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.relations import of_job

if TYPE_CHECKING:
    from torc_core.testing.memory.change import Change


def keep_hashes(change: Change, jobs: Iterable[JobId]) -> None:
    """Store the present input hash of jobs."""
    for job in sorted(jobs):
        change.set(change.flow.jobs[job], input_hash=made_of(change.flow, change.flow.jobs[job]))


def keep_values(change: Change, jobs: Iterable[JobId]) -> None:
    """Store the present input hash of those of these jobs that read user data: whoever writes that has ended by now."""
    keep_hashes(change, [one for one in jobs if of_job(change.flow, one).input_user_data])


def made_of(flow: Flow, job: Job) -> str:
    """The input hash of a job as it is now."""
    relations = of_job(flow, job.id)
    blockers = [digest(flow.links.members[group]) for group in flow.uses(job.id)]
    writes = [*relations.output_files, *(-datum for datum in relations.output_user_data)]
    values = [(id, _begins(flow, id)) for id in relations.input_user_data]
    return input_hash(
        definition(job.command, job.invocation_script, b"" if job.env is None else canonical(job.env)),
        related(blockers, relations.input_files, relations.input_user_data, writes),
        contents(values),
    )


def _begins(flow: Flow, id: UserDataId) -> bytes:
    """A value as the next run begins with it: an ephemeral one as it was at first."""
    record: UserData = flow.tables[UserData][id]
    if record.is_ephemeral:
        record = flow.first_data.get(id, record)
    return canonical(record.data) if record.has_data else b""
