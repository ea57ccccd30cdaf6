"""The commands of `torc jobs` that change something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from torc_cli.execute.commands import parse_list, read_list
from torc_cli.jobviews import NOUN
from torc_cli.relations import with_relations
from torc_cli.resource_requirements import changed, checked
from torc_core.errors import TorcError, UsageError
from torc_core.given import Given
from torc_core.model import (
    FileId,
    Job,
    JobId,
    JobStatus,
    NewJob,
    Query,
    Requirement,
    RequirementId,
    WorkflowId,
)
from torc_core.protocols import Store
from torc_core.session import Session
from torc_terminal.given_text import environment
from torc_terminal.noun import sure
from torc_terminal.options import Flag, Texts, Yes
from torc_terminal.output.answer import Outcome, Record, refuse_csv
from torc_terminal.selector import ids as read_ids
from torc_terminal.selector import workflow as selected


def create(
    workflow: str | None = None,
    /,
    *,
    name: Annotated[str, Parameter(name=["--name", "-n"])],
    command: Annotated[str, Parameter(name=["--command", "-c"], allow_leading_hyphen=True)],
    resource_requirements_id: Annotated[
        int | None, Parameter(name=["--resource-requirements-id", "-r"])
    ] = None,
    blocking_job_ids: Annotated[Texts, Parameter(name=["--blocking-job-ids", "-b"])] = (),
    input_file_ids: Annotated[Texts, Parameter(name=["--input-file-ids", "-i"])] = (),
    output_file_ids: Annotated[Texts, Parameter(name=["--output-file-ids", "-o"])] = (),
    priority: int = 0,
    label: str | None = None,
    env: Texts = (),
    cancel_on_blocking_job_failure: bool = True,
    supports_termination: Flag = False,
    session: Given,
) -> Record:
    """Add a job to a workflow; `torc workflows initialize` or `torc run` makes it ready.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    name
        Name of the job.
    command
        What to run.
    resource_requirements_id
        What it needs; without it one CPU.
    blocking_job_ids
        Ids of jobs that it waits for: `3,4` or `3-9`.
    input_file_ids
        Ids of files that it reads.
    output_file_ids
        Ids of files that it writes.
    priority
        Higher is claimed first.
    label
        Only runners with this label take it.
    env
        `NAME=VALUE` for its environment; may be repeated.
    cancel_on_blocking_job_failure
        Cancel it when a job that it waits for fails.
    supports_termination
        It ends itself in an orderly way when it is told to.
    """
    refuse_csv(session)
    if not name or not command:
        raise UsageError("a job needs a name and a command; one of them is empty")
    _check_priority(priority)
    variables = environment(env)
    relations = [read_ids(texts) for texts in (blocking_job_ids, input_file_ids, output_file_ids)]
    blockers, inputs, outputs = relations
    job = NewJob(
        workflow_id=selected(session, workflow),
        name=name,
        command=command,
        env=variables,
        priority=priority,
        label=label or None,
        cancel_on_blocking_job_failure=cancel_on_blocking_job_failure,
        supports_termination=supports_termination,
        requirement_id=None if resource_requirements_id is None else RequirementId(resource_requirements_id),
        depends_on=[JobId(number) for number in blockers],
        input_files=[FileId(number) for number in inputs],
        output_files=[FileId(number) for number in outputs],
    )
    return _record(session, session.store().add_jobs([job])[0])


def create_from_file(
    workflow: str,
    file: str,
    /,
    *,
    cpus_per_job: int = 1,
    memory_per_job: str = "1m",
    runtime_per_job: str = "P0DT1M",
    session: Given,
) -> Outcome:
    """Add a job for each line of a file; they are called `job1`, `job2`, … from the number of jobs on.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    file
        One command a line; `#` and blank lines are skipped; `-` for standard input.
    cpus_per_job
        CPUs of each job.
    memory_per_job
        Memory of each job, such as `8g`.
    runtime_per_job
        Longest run time of each job, ISO 8601, such as `PT30M`.
    """
    refuse_csv(session)
    needs = checked(
        num_cpus=cpus_per_job, memory=memory_per_job, runtime=runtime_per_job,
        options={"num_cpus": "--cpus-per-job", "memory": "--memory-per-job", "runtime": "--runtime-per-job"},
    )  # fmt: skip
    commands = parse_list(read_list(file)[0], file)
    if not commands:
        raise UsageError(f"'{file}' has no command in it")
    wf = selected(session, workflow)
    store = session.store()
    first = store.find(Job, Query(workflow=wf, limit=1)).total + 1
    requirement = store.add([changed(Requirement(workflow_id=wf, name=f"jobs_from_{first}"), needs)])[0]
    try:
        jobs = store.add_jobs(
            [
                NewJob(workflow_id=wf, name=f"job{number}", command=command, requirement_id=requirement.id)
                for number, command in enumerate(commands, first)
            ]
        )
    except TorcError:
        store.remove(Requirement, [requirement.id])
        raise
    return Outcome(
        message=f"Created {NOUN.counted(len(jobs))} in workflow {wf}",
        workflow_id=wf,
        extra={
            "count": len(jobs),
            "first_job_id": jobs[0].id,
            "last_job_id": jobs[-1].id,
            "resource_requirements_id": requirement.id,
        },
    )


def update(
    id: int,
    /,
    *,
    name: Annotated[str | None, Parameter(name=["--name", "-n"])] = None,
    command: Annotated[str | None, Parameter(name=["--command", "-c"], allow_leading_hyphen=True)] = None,
    resource_requirements_id: int | None = None,
    memory: str | None = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    num_nodes: int | None = None,
    runtime: str | None = None,
    priority: int | None = None,
    label: str | None = None,
    clear_label: Flag = False,
    env: Texts = (),
    disable: Flag = False,
    enable: Flag = False,
    session: Given,
) -> Record:
    """Change a job; name, command and environment only while it is uninitialized.

    Resource options give the job requirements of its own: those that other jobs share stay as they are.

    Parameters
    ----------
    id
        Id of the job.
    name
        New name.
    command
        New command.
    resource_requirements_id
        Other resource requirements.
    memory
        Memory on each node, such as `8g`.
    num_cpus
        CPUs on each node.
    num_gpus
        GPUs on each node.
    num_nodes
        Nodes; more than one reserves whole nodes.
    runtime
        Longest run time, ISO 8601, such as `PT30M`.
    priority
        Higher is claimed first.
    label
        Only runners with this label take it.
    clear_label
        Any runner without a label takes it.
    env
        `NAME=VALUE` for its environment, instead of what it had; may be repeated.
    disable
        Leave it out: jobs that wait for it go on as if it had completed.
    enable
        Take part again: it is uninitialized then.
    """
    refuse_csv(session)
    if label is not None and clear_label:
        raise UsageError("--label and --clear-label exclude each other")
    if disable and enable:
        raise UsageError("--disable and --enable exclude each other")
    needs = checked(num_cpus=num_cpus, num_gpus=num_gpus, num_nodes=num_nodes, memory=memory, runtime=runtime)
    if needs and resource_requirements_id is not None:
        raise UsageError(
            "--resource-requirements-id and resource options such as --memory exclude each other"
        )
    if priority is not None:
        _check_priority(priority)
    given: dict[str, object] = {
        "name": name,
        "command": command,
        "requirement_id": resource_requirements_id,
        "priority": priority,
        "label": "" if clear_label else label,
        "env": environment(env),
        "status": JobStatus.DISABLED if disable else JobStatus.UNINITIALIZED if enable else None,
    }
    fields = {field: value for field, value in given.items() if value is not None}
    if not fields and not needs:
        raise UsageError("nothing to change; pass e.g. --priority 5")
    job = NOUN.fetched(session, id)
    if needs:
        return _record(session, _with_needs(session.store(), job, needs, fields))
    return _record(session, session.store().change(Job, id, fields))


def delete(*ids: str, yes: Yes = False, session: Given) -> Outcome:
    """Delete jobs with their results.

    Parameters
    ----------
    ids
        Ids of jobs: `7`, `7,9` or `7-9`.
    yes
        Do not ask.
    """
    return NOUN.deleted(session, ids, yes=yes)


def delete_all(workflow: str | None = None, /, *, yes: Yes = False, session: Given) -> Outcome:
    """Delete all jobs of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    yes
        Do not ask.
    """
    refuse_csv(session)
    wf = selected(session, workflow)
    jobs = [job.id for job in session.store().find(Job, Query(workflow=wf, limit=2**31)).items]
    sure(session, f"Delete {NOUN.counted(len(jobs))} of workflow {wf}?", yes=yes)
    count = session.store().remove(Job, jobs) if jobs else 0
    return Outcome(message=f"Deleted {NOUN.counted(count)}", workflow_id=wf, extra={"count": count})


def cancel(*ids: str, reason: str | None = None, session: Given) -> Outcome:
    """Cancel jobs: running ones are stopped, and those that wait for them are canceled too.

    Parameters
    ----------
    ids
        Ids of jobs: `7`, `7,9` or `7-9`.
    reason
        Why, for the record.
    """
    return _stopped(session, ids, terminate=False, reason=reason)


def terminate(*ids: str, reason: str | None = None, session: Given) -> Outcome:
    """Tell running jobs to end in an orderly way.

    Parameters
    ----------
    ids
        Ids of jobs: `7`, `7,9` or `7-9`.
    reason
        Why, for the record.
    """
    return _stopped(session, ids, terminate=True, reason=reason)


def _stopped(session: Session, numbers: Sequence[str], *, terminate: bool, reason: str | None) -> Outcome:
    refuse_csv(session)
    by_workflow: dict[WorkflowId, list[JobId]] = {}
    for number in NOUN.ids(numbers):
        job = NOUN.fetched(session, number)
        by_workflow.setdefault(job.workflow_id, []).append(job.id)
    moved: dict[str, int] = {}
    for jobs in by_workflow.values():
        for status, count in session.store().stop(jobs, terminate=terminate, reason=reason).moved.items():
            moved[status] = moved.get(status, 0) + count
    jobs_told = sum(len(jobs) for jobs in by_workflow.values())
    verb = "Told to terminate" if terminate else "Canceled"
    return Outcome(
        message=f"{verb}: {NOUN.counted(jobs_told)}",
        workflow_id=next(iter(by_workflow)) if len(by_workflow) == 1 else None,
        extra={"jobs": [job for jobs in by_workflow.values() for job in jobs], "moved": moved},
    )


def _with_needs(store: Store, job: Job, needs: Mapping[str, object], fields: Mapping[str, object]) -> Job:
    """Change a job and what it needs; requirements that other jobs share are copied first."""
    present = store.get(Requirement, job.requirement_id)
    query = Query(workflow=job.workflow_id, where={"requirement_id": present.id}, limit=1)
    if present.name != "default" and store.find(Job, query).total == 1:
        if fields:
            store.change(Job, job.id, fields)
        store.change(Requirement, present.id, needs)
        return store.get(Job, job.id)
    own = store.add([changed(replace(present, id=RequirementId(0), name=f"job_{job.id}"), needs)])[0]
    try:
        return store.change(Job, job.id, {**fields, "requirement_id": own.id})
    except TorcError:
        store.remove(Requirement, [own.id])
        raise


def _check_priority(priority: int) -> None:
    if not 0 <= priority < 2**31:
        raise UsageError(f"--priority '{priority}' is out of range; it is at least 0")


def _record(session: Session, job: Job) -> Record:
    item = with_relations(session.store(), job.workflow_id, [job])[0]
    return Record(schema="torc.jobs.job/1", data=item)
