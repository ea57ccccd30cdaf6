"""Input hashes of jobs: what they are made of now (`engine.md` §6.4)."""

from __future__ import annotations

from collections.abc import Iterable

from torc_core.engine.change import canonical, contents, definition, input_hash, related
from torc_core.engine.runs import digest
from torc_core.model import Job, JobId, UserData
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.relations import of_job


def keep_hashes(change: Change, jobs: Iterable[JobId]) -> None:
    """Store the present input hash of jobs."""
    for job in sorted(jobs):
        change.set(change.flow.jobs[job], input_hash=made_of(change.flow, change.flow.jobs[job]))


def made_of(flow: Flow, job: Job) -> str:
    """The input hash of a job as it is now."""
    relations = of_job(flow, job.id)
    blockers = [digest(flow.links.members[group]) for group in flow.uses(job.id)]
    writes = [*relations.output_files, *(-datum for datum in relations.output_user_data)]
    table: dict[int, UserData] = flow.tables[UserData]
    values = [
        (id, canonical(table[id].data) if table[id].has_data else b"") for id in relations.input_user_data
    ]
    return input_hash(
        definition(job.command, job.invocation_script, b"" if job.env is None else canonical(job.env)),
        related(blockers, relations.input_files, relations.input_user_data, writes),
        contents(values),
    )
