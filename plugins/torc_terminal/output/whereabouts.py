"""Runners and allocations as JSON has them, with the field names of the REST models (`wire.md` §4, §7.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torc_core.model import Allocation, Job, JobStatus, Node, Result, SlurmScheduler, Waiting
from torc_core.model.allocation import shown
from torc_core.model.resources import GIB
from torc_terminal.output.cells import instant
from torc_terminal.output.records import Item


def node_item(node: Node, *, running: int) -> Item:
    """A runner as `ComputeNodeModel`, and how many jobs run there."""
    usage = node.usage
    return {
        "id": node.id,
        "workflow_id": node.workflow_id,
        "hostname": node.hostname,
        "pid": node.pid,
        "compute_node_type": node.type,
        "label": node.label,
        "state": node.state.value,
        "is_active": node.is_active,
        "draining": node.draining,
        "on_lost": node.on_lost,
        "lease_seconds": node.lease_seconds if node.beats else None,
        "num_cpus": node.capacity.cpus,
        "memory_gb": node.capacity.memory / GIB,
        "num_gpus": node.capacity.gpus,
        "num_nodes": node.num_nodes,
        "jobs_running": running,
        "start_time": instant(node.start_time),
        "last_seen": instant(node.last_beat),
        "end_time": instant(node.end_time),
        "duration_seconds": node.duration_seconds,
        "output_dir": node.output_dir,
        "scheduler": node.scheduler,
        "scheduler_config_id": node.scheduler_id,
        "scheduled_compute_node_id": node.allocation_id,
        "avg_cpu_percent": usage.avg_cpu_percent,
        "peak_cpu_percent": usage.peak_cpu_percent,
        "avg_memory_bytes": usage.avg_memory_bytes,
        "peak_memory_bytes": usage.peak_memory_bytes,
        "sample_count": usage.sample_count,
    }


def allocation_item(
    one: Allocation, *, scheduler: SlurmScheduler | None, waits: Waiting | None = None
) -> Item:
    """An allocation as `ScheduledComputeNodesModel`, with what its scheduler says, and the queue if it waits there."""
    return {
        "id": one.id,
        "workflow_id": one.workflow_id,
        "scheduler_config_id": one.scheduler_config_id,
        "scheduler_type": one.scheduler_type,
        "scheduler_id": one.scheduler_id,
        "status": shown(one.status),
        "partition": None if scheduler is None else scheduler.fields.get("partition"),
        "nodes": one.nodes,
        "walltime": one.walltime,
        "reason": one.reason or (waits.reason if waits is not None else None) or None,
        "estimated_start": instant(waits.start) if waits is not None else None,
        "submission_key": one.submission_key or None,
        "submitted_by": one.submitted_by,
        "submitted_at": instant(one.submitted_at),
    }


def in_allocation(
    nodes: Mapping[int, Node], results: Sequence[Result], jobs: Sequence[Job]
) -> Iterator[Item]:
    """What ran or runs on nodes of one allocation, an attempt each."""
    for result in results:
        if result.node_id is not None:
            yield _attempt(nodes[result.node_id], result.job_id, result.job_name, result.status, result)
    ended = {(one.job_id, one.run_id, one.attempt_id) for one in results}
    for job in jobs:
        if job.node_id is not None and (job.id, job.run_id, job.attempt_id) not in ended:
            yield _attempt(nodes[job.node_id], job.id, job.name, job.status, job)


def _attempt(node: Node, job: int, name: str, status: JobStatus, of: Job | Result) -> Item:
    return {
        "job_id": job,
        "job_name": name,
        "status": status.label,
        "run_id": of.run_id,
        "attempt_id": of.attempt_id,
        "compute_node_id": node.id,
        "hostname": node.hostname,
    }
