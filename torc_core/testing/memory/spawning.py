"""Jobs that a running job adds (`engine.md` §11)."""

from __future__ import annotations

from torc_core.engine import telling
from torc_core.engine.release import recount
from torc_core.engine.spawning import (
    LINEAGE_VARIABLE,
    ORIGIN,
    check_spawn,
    final_name,
    generations,
    lineage_of,
    next_iteration,
    record_data,
    record_name,
    replayed,
    unknown,
)
from torc_core.model import (
    Job,
    JobId,
    JobStatus,
    Json,
    Requirement,
    RequirementId,
    Source,
    Spawn,
    Spawned,
    UserData,
    UserDataId,
)
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.creation import default_requirement, recount_waiter
from torc_core.testing.memory.flow import Flow
from torc_core.testing.memory.job_changes import cancel_hopeless


def spawn(change: Change, caller: Job, call: Spawn) -> Spawned:
    """Add the next generation of a lineage, or end it; the same call again writes nothing."""
    flow = change.flow
    lineage = lineage_of(caller, call)
    check_spawn(call)
    data: dict[int, UserData] = flow.tables[UserData]
    count = generations(lineage, (one.name for one in data.values()))
    if not call.jobs:
        _write(change, final_name(lineage), dict(record_data(count, call.state, final=True)))
        return Spawned(iteration=count)
    wanted = {job.name for job in call.jobs}
    existing = {job.name: job for job in reversed(list(flow.jobs.values())) if job.name in wanted}
    if (known := replayed(call, lineage, caller.id, existing)) is not None:
        return Spawned(iteration=count, jobs=known)
    iteration = next_iteration(lineage, count, flow.workflow.dynamic_jobs)
    blockers, known_needs = _blockers(flow, call), _requirements(flow, call)
    needs = [
        known_needs.get(job.resource_requirements or "") or default_requirement(change) for job in call.jobs
    ]
    ids = {job.name: JobId(change.number("job")) for job in call.jobs}
    for job, need in zip(call.jobs, needs, strict=True):
        flow.put(Job(
            id=ids[job.name], workflow_id=flow.workflow.id, name=job.name, command=job.command,
            env={**(flow.workflow.env or {}), LINEAGE_VARIABLE: lineage}, status=JobStatus.BLOCKED,
            priority=job.priority, cancel_on_blocking_job_failure=job.cancel_on_blocking_job_failure,
            requirement_id=need, label=job.label or None, run_id=caller.run_id, origin=ORIGIN, lineage=lineage,
            spawned_by=caller.id,
        ))  # fmt: skip
    for job in call.jobs:
        named = {ids[name] if name in ids else blockers[name] for name in job.depends_on}
        _wait(flow, ids[job.name], [caller.id], Source.SPAWN)
        _wait(flow, ids[job.name], sorted(named), Source.EXPLICIT)
        recount_waiter(flow, ids[job.name])
    _write(change, record_name(lineage, iteration), dict(record_data(iteration, call.state)))
    change.tell(telling.jobs_spawned(caller.id, lineage, iteration, list(ids.values())))
    cancel_hopeless(change, list(ids.values()))
    return Spawned(iteration=iteration, jobs=list(ids.values()))


def _requirements(flow: Flow, call: Spawn) -> dict[str, RequirementId]:
    """The requirements of the workflow by name; all that the call names are there, but perhaps the default one."""
    known = {one.name: one.id for one in reversed(list(flow.tables[Requirement].values()))}
    for job in call.jobs:
        name = job.resource_requirements
        if name not in (None, "default") and name not in known:
            raise unknown("resource requirement", str(name), job.name, known)
    return known


def _blockers(flow: Flow, call: Spawn) -> dict[str, JobId]:
    """The existing jobs that added ones wait for, by name."""
    siblings = {job.name for job in call.jobs}
    known = {job.name: job.id for job in reversed(list(flow.jobs.values()))}
    found = {}
    for job in call.jobs:
        for name in job.depends_on:
            if name in siblings:
                continue
            if name not in known:
                raise unknown("job", name, job.name, known)
            found[name] = known[name]
    return found


def _wait(flow: Flow, job: JobId, members: list[JobId], source: Source) -> None:
    if members:
        group = flow.links.group(tuple(members))
        flow.links.counts[group] = recount(flow.jobs[one].status for one in flow.links.members[group])
        flow.links.use(job, group, source)


def _write(change: Change, name: str, data: Json) -> None:
    """Write a record of a lineage; an initialisation leaves it as it is."""
    flow = change.flow
    table: dict[int, UserData] = flow.tables[UserData]
    id = next((one.id for one in table.values() if one.name == name), None)
    id = UserDataId(change.number("user_data")) if id is None else id
    flow.first_data[id] = table[id] = UserData(
        id=id, workflow_id=flow.workflow.id, name=name, data=data, has_data=True, is_ephemeral=True
    )
    change.touched = True
