"""Workflows and jobs come into being, and their relations become groups."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import fields, replace

from torc_core.engine import telling
from torc_core.engine.checks import checked, wrong
from torc_core.engine.records import busy, duplicates
from torc_core.engine.release import recount
from torc_core.engine.resets import check_open
from torc_core.engine.runs import cycle, producers
from torc_core.errors import Invalid, WrongState
from torc_core.model import (
    Action,
    ActionId,
    FailureHandler,
    File,
    FileId,
    HandlerId,
    InputKind,
    Job,
    JobId,
    NewJob,
    Plan,
    PlannedJob,
    PlannedWorkflow,
    Requirement,
    RequirementId,
    SchedulerId,
    SlurmScheduler,
    Source,
    UserData,
    UserDataId,
    Workflow,
    WorkflowId,
    with_user_data_ids,
)
from torc_core.testing.memory.change import Change
from torc_core.testing.memory.flow import Flow, InputSet, Links

SOURCES = {InputKind.FILE: Source.FILE, InputKind.USER_DATA: Source.USER_DATA}

_SETTINGS = {field.name for field in fields(PlannedWorkflow)} & {field.name for field in fields(Workflow)} - {
    "user"
}


def of_plan(plan: Plan, user: str, id: WorkflowId, now: int, number: Callable[[str], int]) -> Flow:
    """A workflow with all that is planned; ids follow the order of the plan."""
    settings = {name: getattr(plan.workflow, name) for name in _SETTINGS}
    gpus = any(plan.requirements[job.requirement].num_gpus for job in plan.jobs)
    owner = plan.workflow.user or user
    flow = Flow(Workflow(id=id, user=owner, created_at=now, uses_gpus=gpus, **settings))
    files = [FileId(number("file")) for _ in plan.files]
    data = [UserDataId(number("user_data")) for _ in plan.user_data]
    needs = [RequirementId(number("requirement")) for _ in plan.requirements]
    handlers = [HandlerId(number("handler")) for _ in plan.handlers]
    schedulers = [SchedulerId(number("scheduler")) for _ in plan.schedulers]
    jobs = [JobId(number("job")) for _ in plan.jobs]
    tables = flow.tables
    for file, new in zip(files, plan.files, strict=True):
        tables[File][file] = File(
            id=file, workflow_id=id, name=new.name, path=new.path, identifier=new.identifier
        )
    for datum, value in zip(data, plan.user_data, strict=True):
        flow.first_data[datum] = tables[UserData][datum] = UserData(
            id=datum, workflow_id=id, name=value.name, data=value.data, has_data=value.has_data,
            is_ephemeral=value.is_ephemeral,
        )  # fmt: skip
    for need, asked in zip(needs, plan.requirements, strict=True):
        tables[Requirement][need] = Requirement(
            id=need, workflow_id=id, **{field.name: getattr(asked, field.name) for field in fields(asked)}
        )
    for handler, rules in zip(handlers, plan.handlers, strict=True):
        tables[FailureHandler][handler] = FailureHandler(
            id=handler, workflow_id=id, name=rules.name, rules=rules.rules
        )
    for scheduler, slurm in zip(schedulers, plan.schedulers, strict=True):
        tables[SlurmScheduler][scheduler] = SlurmScheduler(
            id=scheduler, workflow_id=id, name=slurm.name, fields=slurm.fields
        )
    for action in plan.actions:
        number_ = ActionId(number("action"))
        tables[Action][number_] = Action(
            id=number_, workflow_id=id, trigger_type=action.trigger_type, action_type=action.action_type,
            config=action.config, jobs=[jobs[at] for at in action.jobs], trigger_mode=action.trigger_mode,
            persistent=action.persistent,
            required_triggers=1 if action.trigger_mode == "any" else max(1, len(action.jobs)),
        )  # fmt: skip
    groups = [flow.links.group(tuple(jobs[at] for at in group)) for group in plan.groups]
    for group in groups:
        flow.links.counts[group] = (len(flow.links.members[group]), 0)
    items: dict[InputKind, Sequence[int]] = {InputKind.FILE: files, InputKind.USER_DATA: data}
    flow.input_sets = [
        InputSet(kind=one.kind, items=tuple(items[one.kind][at] for at in one.items)) for one in plan.inputs
    ]
    for job, planned in zip(jobs, plan.jobs, strict=True):
        for at, source in planned.groups:
            flow.links.use(job, groups[at], source)
        if planned.inputs:
            flow.inputs[job] = tuple(planned.inputs)
        _write(
            flow,
            job,
            [files[at] for at in planned.output_files],
            [data[at] for at in planned.output_user_data],
        )
        flow.put(_job(id, job, _numbered(planned, data), needs, handlers, schedulers, flow.links))
    return flow


def _numbered(job: PlannedJob, data: Sequence[UserDataId]) -> PlannedJob:
    """The job with the ids of user data where its texts refer to records by position."""
    script = job.invocation_script
    return replace(
        job,
        command=with_user_data_ids(job.command, data),
        invocation_script=script and with_user_data_ids(script, data),
    )


def _job(
    workflow: WorkflowId,
    id: JobId,
    job: PlannedJob,
    needs: Sequence[RequirementId],
    handlers: Sequence[HandlerId],
    schedulers: Sequence[SchedulerId],
    links: Links,
) -> Job:
    return Job(
        id=id, workflow_id=workflow, name=job.name, command=job.command, invocation_script=job.invocation_script,
        env=job.env, priority=job.priority, cancel_on_blocking_job_failure=job.cancel_on_blocking_job_failure,
        supports_termination=job.supports_termination, requirement_id=needs[job.requirement],
        scheduler_id=None if job.scheduler is None else schedulers[job.scheduler],
        failure_handler_id=None if job.handler is None else handlers[job.handler], label=job.label,
        unmet=len(links.uses.get(id, ())), num_blockers=job.num_blockers,
    )  # fmt: skip


def add(change: Change, jobs: Sequence[NewJob]) -> list[Job]:
    """Add jobs to a workflow, uninitialized (`engine.md` §5.5).

    Raises
    ------
    Invalid
        If the workflow is archived, jobs of it are pending or running, or a job refers to what it does not have.
    """
    flow, jobs = change.flow, [checked(job) for job in jobs]
    workflow = flow.workflow
    check_open(workflow.id, workflow.is_archived, "given new jobs")
    if live := sum(flow.tally[status] for status in flow.tally if status.live):
        raise WrongState(busy(workflow.id, live))
    for job in jobs:
        check_relations(flow, {field.name: getattr(job, field.name) for field in fields(job)})
    taken: dict[str, list[int]] = {}
    for known in flow.jobs.values():
        taken.setdefault(known.name, []).append(known.id)
    added = []
    for job in jobs:
        need = job.requirement_id or default_requirement(change)
        id = JobId(change.number("job"))
        flow.put(Job(
            id=id, workflow_id=workflow.id, name=job.name, command=job.command,
            invocation_script=job.invocation_script, env=job.env, priority=job.priority,
            cancel_on_blocking_job_failure=job.cancel_on_blocking_job_failure,
            supports_termination=job.supports_termination, requirement_id=need, scheduler_id=job.scheduler_id,
            failure_handler_id=job.failure_handler_id, label=job.label or None,
            schedule_compute_nodes=job.schedule_compute_nodes,
        ))  # fmt: skip
        relate(flow, id, depends_on=job.depends_on, input_files=job.input_files,
               output_files=job.output_files, input_user_data=job.input_user_data,
               output_user_data=job.output_user_data)  # fmt: skip
        added.append(flow.jobs[id])
    for told in duplicates("job", taken, [(job.name, job.id) for job in added]):
        change.tell(told)
    return added


def default_requirement(change: Change) -> RequirementId:
    """The requirement of jobs that name none, made when it is first needed."""
    table: dict[int, Requirement] = change.flow.tables[Requirement]
    for need in table.values():
        if need.name == "default":
            return need.id
    id = RequirementId(change.number("requirement"))
    table[id] = Requirement(id=id, workflow_id=change.flow.workflow.id, name="default")
    return id


def check_relations(flow: Flow, wanted: dict[str, object]) -> None:
    """Refuse relations to what the workflow does not have.

    Raises
    ------
    Invalid
        Naming the first of them.
    """
    tables: dict[str, tuple[str, Container[object]]] = {
        "depends_on": ("job", flow.jobs),
        "input_files": ("file", flow.tables[File]),
        "output_files": ("file", flow.tables[File]),
        "input_user_data": ("user data record", flow.tables[UserData]),
        "output_user_data": ("user data record", flow.tables[UserData]),
        "requirement_id": ("resource requirement", flow.tables[Requirement]),
        "scheduler_id": ("Slurm scheduler", flow.tables[SlurmScheduler]),
        "failure_handler_id": ("failure handler", flow.tables[FailureHandler]),
    }
    for name, (noun, table) in tables.items():
        value = wanted.get(name)
        ids = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
        for id in ids:
            if id not in table:
                raise wrong(name, id, f"workflow {flow.workflow.id} has no {noun} {id}")


def relate(
    flow: Flow,
    job: JobId,
    *,
    depends_on: Sequence[JobId] | None = None,
    input_files: Sequence[FileId] | None = None,
    output_files: Sequence[FileId] | None = None,
    input_user_data: Sequence[UserDataId] | None = None,
    output_user_data: Sequence[UserDataId] | None = None,
) -> None:
    """Set relations of a job; None leaves them. Those by files and user data count from the next initialisation."""
    links = flow.links
    if depends_on is not None:
        for group, source in list(links.uses.get(job, {}).items()):
            links.unuse(job, group, Source.EXPLICIT & source)
        if depends_on:
            group = links.group(tuple(sorted(set(depends_on))))
            links.counts[group] = recount(flow.jobs[one].status for one in links.members[group])
            links.use(job, group, Source.EXPLICIT)
    for kind, items in ((InputKind.FILE, input_files), (InputKind.USER_DATA, input_user_data)):
        if items is not None:
            kept = [index for index in flow.inputs.get(job, ()) if flow.input_sets[index].kind is not kind]
            flow.inputs[job] = (*kept, *([flow.input_set(kind, items)] if items else ()))
    old = flow.outputs.get(job, {})
    _write(
        flow,
        job,
        old.get(InputKind.FILE, ()) if output_files is None else output_files,
        old.get(InputKind.USER_DATA, ()) if output_user_data is None else output_user_data,
    )
    recount_waiter(flow, job)


def recount_waiter(flow: Flow, job: JobId) -> None:
    """Set the counters of a job that waits from its groups."""
    unmet = sum(flow.links.counts[group][0] > 0 for group in flow.uses(job))
    row = flow.jobs[job]
    blockers = flow.links.blockers(job)
    if (row.unmet, row.num_blockers) != (unmet, blockers):
        flow.put(replace(row, unmet=unmet, num_blockers=blockers))


def derived(flow: Flow) -> Links:
    """All groups of a workflow, with those of its files and user data derived anew (`engine.md` §5.3).

    Raises
    ------
    Invalid
        If jobs wait for each other in a circle; the sentence names them.
    """
    old, links = flow.links, Links()
    for job, uses in old.uses.items():
        for group, source in uses.items():
            kept = source & (Source.EXPLICIT | Source.SPAWN)
            if kept:
                links.use(job, links.group(old.members[group]), kept)
    writers = {kind: flow.writers(kind) for kind in InputKind}
    made = [links.group(found) if (found := producers(one.items, writers[one.kind])) else None
            for one in flow.input_sets]  # fmt: skip
    for job, sets in flow.inputs.items():
        for index in sets:
            if (made_of := made[index]) is not None:
                links.use(job, made_of, SOURCES[flow.input_sets[index].kind])
    circle = cycle(links.members, {job: list(uses) for job, uses in links.uses.items()})
    if circle is not None:
        names = [flow.jobs[job].name for job in (*circle, circle[0])]
        raise Invalid(f"jobs of workflow {flow.workflow.id} wait for each other: {' -> '.join(names)}")
    return links


def created(workflow: Workflow) -> telling.Told:
    """The event that tells of a new workflow."""
    return telling.of_workflow("workflow_created", workflow.id, workflow.name, workflow.run_id)


def _write(flow: Flow, job: JobId, files: Iterable[int], data: Iterable[int]) -> None:
    outputs = {InputKind.FILE: tuple(files), InputKind.USER_DATA: tuple(data)}
    if any(outputs.values()):
        flow.outputs[job] = outputs
    else:
        flow.outputs.pop(job, None)
