"""Rows become records and records become rows: one pair per kind, by the column lists of `columns`."""

from __future__ import annotations

import json
from typing import Any

from torc_core.model import (
    Action,
    ActionId,
    ActionRun,
    ActionRunId,
    ActionState,
    Allocation,
    AllocationId,
    AllocationStatus,
    Event,
    EventId,
    FailureHandler,
    File,
    FileId,
    HandlerId,
    Job,
    JobId,
    JobStatus,
    JobUsage,
    Json,
    Node,
    NodeId,
    NodeState,
    Operation,
    OperationId,
    OperationStatus,
    Plan,
    Requirement,
    RequirementId,
    Resources,
    Result,
    ResultId,
    SchedulerId,
    Severity,
    Shape,
    SlurmScheduler,
    Usage,
    UserData,
    UserDataId,
    Workflow,
    WorkflowId,
)

Row = Any

STATUSES = tuple(JobStatus(code) for code in range(len(JobStatus)))
"""PERF: indexing is four times as fast as calling the enumeration, and this happens for every job read."""


# run, attempt, node, lease, prefetched, forked, missed, recalled, claimed, start, ready since, stop, reason, result,
# not before, losses, input hash, origin, lineage, spawned by, schedule
NEW_JOB = (
    0,
    1,
    None,
    None,
    0,
    0,
    0,
    0,
    None,
    None,
    None,
    0,
    None,
    None,
    None,
    0,
    None,
    None,
    None,
    None,
    None,
)
"""The columns of a job that has done nothing yet, from `run_id` to the last of its table."""


def text(value: Json) -> str | None:
    """A value as it is stored: JSON, or NULL for what was not given."""
    return None if value is None else json.dumps(value, ensure_ascii=False)


def value(text: str | None) -> Any:
    """The value that was stored as JSON."""
    return None if text is None else json.loads(text)


def data(record: UserData) -> str | None:
    """The value of a record as it is stored: a null that was given is not nothing."""
    return json.dumps(record.data, ensure_ascii=False) if record.has_data else None


def job(row: Row) -> Job:
    """A row of `JOB_COLUMNS`."""
    (id, wf, name, command, script, env, status, priority, cancels, terminates, requirement, scheduler, handler,
     label, unmet, blockers, run, attempt, node, lease, prefetched, claimed, start, ready, stop, reason, result,
     not_before, losses, input_hash, origin, lineage, spawned_by, schedule) = row[:34]  # fmt: skip
    return Job(
        id=id, workflow_id=wf, name=name, command=command, invocation_script=script,
        env=None if env is None else json.loads(env), status=STATUSES[status], priority=priority,
        cancel_on_blocking_job_failure=cancels == 1, supports_termination=terminates == 1,
        requirement_id=requirement, scheduler_id=scheduler, failure_handler_id=handler, label=label, unmet=unmet,
        num_blockers=blockers, run_id=run, attempt_id=attempt, node_id=node, lease=lease,
        prefetched=prefetched == 1, claimed_at=claimed, start_time=start, ready_since=ready, stop=stop,
        reason=reason, result_id=result, not_before=not_before, losses=losses, input_hash=input_hash, origin=origin,
        lineage=lineage, spawned_by=spawned_by,
        schedule_compute_nodes=None if schedule is None else json.loads(schedule),
    )  # fmt: skip


def workflow_row(wf: WorkflowId, plan: Plan, user: str, now: int) -> tuple[Any, ...]:
    """A new workflow in the order of its table, marked as being deleted until all of it is there."""
    new = plan.workflow
    return (
        wf, new.name, new.user or user, new.description, new.project, text(new.metadata), now, 0, 0, 0, 0, 1, 1,
        text(new.env), text(new.execution_config), text(new.resource_monitor_config), text(new.slurm_defaults),
        text(new.dynamic_jobs), text(new.notify), new.report, new.api_access, new.use_pending_failed,
        new.enable_ro_crate, new.retry_on_node_loss, new.compute_node_wait_for_new_jobs_seconds,
        new.compute_node_ignore_workflow_completion, new.compute_node_wait_for_healthy_database_minutes,
        new.compute_node_min_time_for_new_jobs_seconds, new.compute_node_expiration_buffer_seconds,
        new.submission_directory, new.source_path, new.source_digest,
        any(plan.requirements[job.requirement].num_gpus for job in plan.jobs), None, None, 0,
        any(action.trigger_type in ("on_jobs_ready", "on_jobs_complete") for action in plan.actions),
        0.0, None, None, 1,
    )  # fmt: skip


def workflow(row: Row) -> Workflow:
    """A row of `WORKFLOW_COLUMNS`."""
    (id, name, user, description, project, metadata, created, run, canceled, archived, env, execution, monitor,
     slurm, dynamic, notify, report, access, pending_failed, crate, losses, wait, ignore, healthy, least, buffer,
     directory, path, digest, gpus, initialized, slurm_config, submit, generation) = row  # fmt: skip
    return Workflow(
        id=id, name=name, user=user, description=description, project=project, metadata=value(metadata),
        created_at=created, run_id=run, is_canceled=canceled == 1, is_archived=archived == 1, env=value(env),
        execution_config=value(execution), resource_monitor_config=value(monitor), slurm_defaults=value(slurm),
        dynamic_jobs=value(dynamic), notify=value(notify), report=report == 1, api_access=access,
        use_pending_failed=pending_failed == 1, enable_ro_crate=crate == 1, retry_on_node_loss=losses,
        compute_node_wait_for_new_jobs_seconds=wait, compute_node_ignore_workflow_completion=ignore == 1,
        compute_node_wait_for_healthy_database_minutes=healthy, compute_node_min_time_for_new_jobs_seconds=least,
        compute_node_expiration_buffer_seconds=buffer, submission_directory=directory, source_path=path,
        source_digest=digest, uses_gpus=gpus == 1, initialized_run=initialized, slurm_config=slurm_config,
        submit_options=value(submit), capability_generation=generation,
    )  # fmt: skip


def requirement(row: Row) -> Requirement:
    """A row of the table."""
    id, wf, name, cpus, gpus, nodes, memory, runtime, size, seconds = row
    return Requirement(
        id=RequirementId(id), workflow_id=wf, name=name, num_cpus=cpus, num_gpus=gpus, num_nodes=nodes,
        memory=memory, runtime=runtime, memory_bytes=size, runtime_s=seconds,
    )  # fmt: skip


def shape(row: Row) -> Shape:
    """The seven columns of a class."""
    cpus, memory, gpus, nodes, runtime, scheduler, label = row
    return Shape(
        cpus=cpus, memory=memory, gpus=gpus, nodes=nodes, runtime=runtime, scheduler=scheduler, label=label
    )


def shape_key(shape: Shape) -> tuple[Any, ...]:
    """The same columns, from a shape."""
    return (shape.cpus, shape.memory, shape.gpus, shape.nodes, shape.runtime, shape.scheduler, shape.label)


def handler(row: Row) -> FailureHandler:
    """A row of the table."""
    id, wf, name, rules = row
    return FailureHandler(id=HandlerId(id), workflow_id=wf, name=name, rules=value(rules))


def scheduler(row: Row) -> SlurmScheduler:
    """A row of the table."""
    id, wf, name, fields = row
    return SlurmScheduler(id=SchedulerId(id), workflow_id=wf, name=name, fields=value(fields))


def file(row: Row) -> File:
    """A row of the table."""
    id, wf, name, path, identifier, st_mtime, size, content_hash = row
    return File(
        id=FileId(id),
        workflow_id=wf,
        name=name,
        path=path,
        identifier=identifier,
        st_mtime=st_mtime,
        size=size,
        content_hash=content_hash,
    )


def user_data(row: Row) -> UserData:
    """A row of the table, without the first value."""
    id, wf, name, data, ephemeral = row
    return UserData(
        id=UserDataId(id), workflow_id=wf, name=name, data=value(data), has_data=data is not None,
        is_ephemeral=ephemeral == 1,
    )  # fmt: skip


def result(row: Row) -> Result:
    """A row of `RESULTS`: the columns, the name of the job, and whether it is its current result."""
    (id, wf, job, run, attempt, node, status, code, reason, minutes, completed, peak_memory, avg_memory, peak_cpu,
     avg_cpu, provisional, _, name, current) = row  # fmt: skip
    return Result(
        id=ResultId(id), workflow_id=wf, job_id=JobId(job), job_name=name, run_id=run, attempt_id=attempt,
        node_id=node, status=STATUSES[status], return_code=code, reason=reason, exec_minutes=minutes,
        completed_at=completed, provisional=provisional == 1, current=current == 1,
        usage=JobUsage(
            peak_memory_bytes=peak_memory, avg_memory_bytes=avg_memory, peak_cpu_percent=peak_cpu,
            avg_cpu_percent=avg_cpu,
        ),
    )  # fmt: skip


def event(row: Row) -> Event:
    """A row of the table."""
    id, wf, timestamp, category, severity, data = row
    return Event(
        id=EventId(id), workflow_id=wf, timestamp=timestamp, category=category, severity=Severity(severity),
        data=json.loads(data),
    )  # fmt: skip


def action(row: Row, jobs: tuple[JobId, ...]) -> Action:
    """A row of the table, and the jobs it watches."""
    id, wf, trigger, mode, kind, config, persistent, recovery, required, count = row[:10]
    return Action(
        id=ActionId(id), workflow_id=wf, trigger_type=trigger, trigger_mode=mode, action_type=kind,
        config=value(config), persistent=persistent == 1, jobs=jobs, is_recovery=recovery == 1,
        required_triggers=required, trigger_count=count,
    )  # fmt: skip


def action_row(one: Action) -> tuple[Any, ...]:
    """An action in the order of its table."""
    return (
        one.id, one.workflow_id, one.trigger_type, one.trigger_mode, one.action_type, text(dict(one.config)),
        one.persistent, one.is_recovery, one.required_triggers, one.trigger_count,
    )  # fmt: skip


def action_run(row: Row) -> ActionRun:
    """A row of the table."""
    id, wf, action, run, node, state, claim, by, at, progress, error = row[:11]
    return ActionRun(
        id=ActionRunId(id), workflow_id=wf, action_id=action, run_id=run, node_id=node, state=ActionState(state),
        claim_id=claim, claimed_by=by, claimed_at=at, progress=progress, error=error,
    )  # fmt: skip


def allocation_row(one: Allocation, request_id: str | None = None) -> tuple[Any, ...]:
    """An allocation in the order of its table."""
    return (
        one.id, one.workflow_id, one.scheduler_config_id, one.scheduler_type, one.scheduler_id, one.status.value,
        one.submission_key, one.action_run_id, one.ordinal, one.nodes, one.walltime, one.submitted_by,
        one.submitted_at, one.reason, request_id,
    )  # fmt: skip


def allocation(row: Row) -> Allocation:
    """A row of the table."""
    (id, wf, config, kind, number, status, key, action_run, ordinal, nodes, walltime, by, at, reason, _) = row
    return Allocation(
        id=AllocationId(id), workflow_id=wf, scheduler_config_id=config, scheduler_type=kind, scheduler_id=number,
        status=AllocationStatus(status), submission_key=key, action_run_id=action_run, ordinal=ordinal, nodes=nodes,
        walltime=walltime, submitted_by=by, submitted_at=at, reason=reason,
    )  # fmt: skip


def operation_row(one: Operation) -> tuple[Any, ...]:
    """An operation in the order of its table."""
    return (
        one.id, one.workflow_id, one.name, text(dict(one.options)), one.status.value, one.created_at, one.started_at,
        one.finished_at, one.error,
    )  # fmt: skip


def operation(row: Row) -> Operation:
    """A row of the table."""
    id, wf, name, options, status, created, started, finished, error = row
    return Operation(
        id=OperationId(id), workflow_id=wf, name=name, options=value(options), status=OperationStatus(status),
        created_at=created, started_at=started, finished_at=finished, error=error,
    )  # fmt: skip


def node_row(node: Node) -> tuple[Any, ...]:
    """A node in the order of its table."""
    usage = node.usage
    return (
        node.id, node.workflow_id, node.epoch, node.hostname, node.pid, node.boot_id, node.process_start,
        node.capacity.cpus, node.capacity.memory, node.capacity.gpus, json.dumps(list(node.gpus)), node.num_nodes,
        node.type, node.label, node.scheduler_id, node.output_dir, node.time_limit, node.is_active,
        node.start_time, node.last_beat, node.end_time, usage.avg_cpu_percent, usage.peak_cpu_percent,
        usage.avg_memory_bytes, usage.peak_memory_bytes, usage.sample_count, text(node.scheduler),
        node.state.value, node.on_lost, node.lease_seconds, node.beats, node.draining, node.allocation_id,
        node.restart_count, node.duration_seconds, 0,
    )  # fmt: skip


def node(row: Row) -> Node:
    """A row of `NODE_COLUMNS`."""
    (id, wf, epoch, hostname, pid, boot_id, process_start, cpus, memory, gpus, gpu_ids, num_nodes, kind, label,
     scheduler, output_dir, time_limit, active, start, beat, end, state, on_lost, lease, beats, draining, told,
     allocation, restarts, duration, avg_cpu, peak_cpu, avg_memory, peak_memory, samples) = row  # fmt: skip
    return Node(
        id=NodeId(id), workflow_id=wf, epoch=epoch, hostname=hostname, pid=pid, boot_id=boot_id,
        process_start=process_start, capacity=Resources(cpus=cpus, memory=memory, gpus=gpus),
        gpus=tuple(json.loads(gpu_ids)), num_nodes=num_nodes, type=kind, label=label, scheduler_id=scheduler,
        output_dir=output_dir, time_limit=time_limit, is_active=active == 1, start_time=start, last_beat=beat,
        end_time=end, state=NodeState(state), on_lost=on_lost, lease_seconds=lease, beats=beats == 1,
        draining=draining == 1, scheduler=value(told), allocation_id=allocation, restart_count=restarts,
        duration_seconds=duration,
        usage=Usage(
            avg_cpu_percent=avg_cpu, peak_cpu_percent=peak_cpu, avg_memory_bytes=avg_memory,
            peak_memory_bytes=peak_memory, sample_count=samples,
        ),
    )  # fmt: skip
