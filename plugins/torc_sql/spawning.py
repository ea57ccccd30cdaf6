"""Jobs that a running job adds (`engine.md` §11)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from torc_core.engine import telling
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
    record_prefix,
    replayed,
    unknown,
)
from torc_core.model import JobId, JobStatus, Json, RequirementId, Source, Spawn, Spawned
from torc_sql import relations, rows
from torc_sql.adding import default_requirement
from torc_sql.change import Change
from torc_sql.job_changes import cancel_below
from torc_sql.shapes import class_of
from torc_sql.state import known_job

HINTS = 10_000
"""Names that are compared with one that is not known."""


def spawn(change: Change, caller: JobId, call: Spawn) -> Spawned:
    """Add the next generation of a lineage, or end it; the same call again writes nothing."""
    tx, wf = change.tx, change.wf
    who = rows.job(tx.row("JOB", job_=caller))
    lineage = lineage_of(who, call)
    check_spawn(call)
    prefix = record_prefix(lineage)
    names = tx.rows("LINEAGE_NAMES", wf_=wf, first_=prefix, after_=f"{prefix}\U0010ffff")
    count = generations(lineage, (name for (name,) in names))
    if not call.jobs:
        _write(change, final_name(lineage), dict(record_data(count, call.state, final=True)))
        return Spawned(iteration=count)
    wanted = json.dumps([job.name for job in call.jobs])
    existing = {job.name: job for job in map(rows.job, tx.rows("JOBS_NAMED", wf_=wf, names_=wanted))}
    if (known := replayed(call, lineage, caller, existing)) is not None:
        return Spawned(iteration=count, jobs=known)
    dynamic, env = map(rows.value, tx.row("DYNAMIC_JOBS", wf_=wf))
    iteration = next_iteration(lineage, count, dynamic)
    blockers, needs = _blockers(change, call), _requirements(change, call)
    first = tx.ids("job", len(call.jobs))
    ids = {job.name: JobId(first + at) for at, job in enumerate(call.jobs)}
    own_env = rows.text({**(env or {}), LINEAGE_VARIABLE: lineage})
    _, attempt, *between = rows.NEW_JOB[:-4]
    for job, need in zip(call.jobs, needs, strict=True):
        requirement = rows.requirement(tx.row("REQUIREMENT", id_=need))
        shape = rows.shape((
            requirement.num_cpus, requirement.memory_bytes, requirement.num_gpus, requirement.num_nodes,
            requirement.runtime_s, None, job.label or None,
        ))  # fmt: skip
        tx.many("INSERT_JOB", [(
            ids[job.name], wf, job.name, job.command, None, own_env, int(JobStatus.BLOCKED), job.priority,
            job.cancel_on_blocking_job_failure, 0, need, class_of(tx, wf, shape), None, None, job.label or None, 0, 0,
            who.run_id, attempt, *between, ORIGIN, lineage, caller, None,
        )])  # fmt: skip
    change.added(JobStatus.BLOCKED, len(call.jobs))
    for job in call.jobs:
        id = ids[job.name]
        named = {ids[name] if name in ids else blockers[name] for name in job.depends_on}
        relations.use(change, id, relations.group(change, [caller]), Source.SPAWN)
        if named:
            relations.use(change, id, relations.group(change, sorted(named)), Source.EXPLICIT)
        relations.recount_waiter(change, id)
    _write(change, record_name(lineage, iteration), dict(record_data(iteration, call.state)))
    change.tell(telling.jobs_spawned(caller, lineage, iteration, list(ids.values())))
    _cancel_hopeless(change, call, ids)
    return Spawned(iteration=iteration, jobs=list(ids.values()))


def _requirements(change: Change, call: Spawn) -> list[RequirementId]:
    tx, wf = change.tx, change.wf
    names = {job.resource_requirements or "default" for job in call.jobs}
    known: dict[str, int] = dict(tx.rows("REQUIREMENTS_NAMED", wf_=wf, names_=json.dumps(sorted(names))))
    for job in call.jobs:
        name = job.resource_requirements
        if name not in (None, "default") and name not in known:
            every = [one for (one,) in tx.rows("REQUIREMENT_NAMES", wf_=wf)]
            raise unknown("resource requirement", str(name), job.name, every)
    if "default" in names and "default" not in known:
        known["default"] = default_requirement(change)
    return [RequirementId(known[job.resource_requirements or "default"]) for job in call.jobs]


def _blockers(change: Change, call: Spawn) -> Mapping[str, JobId]:
    """The existing jobs that added ones wait for, by name."""
    siblings = {job.name for job in call.jobs}
    names = sorted({name for job in call.jobs for name in job.depends_on if name not in siblings})
    found = change.tx.rows("JOBS_NAMED", wf_=change.wf, names_=json.dumps(names)) if names else ()
    known = {job.name: job.id for job in map(rows.job, found)}
    for job in call.jobs:
        for name in job.depends_on:
            if name not in siblings and name not in known:
                every = [one for (one,) in change.tx.rows("JOB_NAMES", wf_=change.wf, limit_=HINTS)]
                raise unknown("job", name, job.name, every)
    return known


def _write(change: Change, name: str, data: Json) -> None:
    """Write a record of a lineage; an initialisation leaves it as it is."""
    text = rows.text(data)
    if not change.tx.run("SET_RECORD", wf_=change.wf, name_=name, data_=text):
        id = change.tx.ids("user_data", 1)
        change.tx.many("INSERT_USER_DATA", [(id, change.wf, name, text, text, 1)])


def _cancel_hopeless(change: Change, call: Spawn, ids: Mapping[str, JobId]) -> None:
    """Cancel added jobs that wait for one that has ended badly already."""
    added: Sequence[tuple[JobId, JobId]] = [
        (ids[job.name], blocker)
        for job in call.jobs
        if job.cancel_on_blocking_job_failure
        and job.depends_on
        and (blocker := change.tx.row("BAD_BLOCKER", job_=ids[job.name])[0]) is not None
    ]
    for id, blocker in added:
        cancel_below(change, known_job(change.tx, id), blocker)
