"""Runners, allocations and what Slurm says of them, on the wire."""

from __future__ import annotations

from marshmallow import Schema

from torc_http.wire.fields import Choice, Flag, Gibibytes, Id, IdOrNone, Instant, Int, Number, Object, Text


class ComputeNodeModel(Schema):
    """A runner."""

    model = "ComputeNodeModel"

    id = Id()
    workflow_id = Id(required=True)
    hostname = Text(required=True, empty=False)
    pid = Int(minimum=0, required=True)
    start_time = Instant(required=True)
    compute_node_type = Text(attribute="type", required=True)
    num_cpus = Int(minimum=0, attribute="capacity.cpus", required=True)
    memory_gb = Gibibytes(minimum=0, attribute="capacity.memory", required=True)
    num_gpus = Int(minimum=0, attribute="capacity.gpus", required=True)
    num_nodes = Int(minimum=0, required=True)
    is_active = Flag()
    duration_seconds = Number(minimum=0)
    time_limit = Text()
    scheduler_config_id = Id(attribute="scheduler_id")
    scheduler = Object()
    avg_cpu_percent = Number(attribute="usage.avg_cpu_percent")
    peak_cpu_percent = Number(attribute="usage.peak_cpu_percent")
    avg_memory_bytes = Int(attribute="usage.avg_memory_bytes")
    peak_memory_bytes = Int(attribute="usage.peak_memory_bytes")
    sample_count = Int(attribute="usage.sample_count")
    label = Text()
    state = Text(dump_only=True)
    last_seen = Instant(attribute="last_beat", dump_only=True)
    end_time = Instant(dump_only=True)


class AllocationModel(Schema):
    """An allocation of a batch system."""

    model = "ScheduledComputeNodesModel"

    id = Id()
    workflow_id = Id(required=True)
    scheduler_id = IdOrNone(required=True, dump_default=0)
    scheduler_config_id = IdOrNone(required=True, dump_default=0)
    scheduler_type = Text(required=True)
    status = Choice("pending", "active", "complete", "canceled", required=True)
    submission_key = Text(dump_only=True)
    reason = Text(dump_only=True)
    nodes = Int(dump_only=True)


class SlurmStatsModel(Schema):
    """What the accounting of Slurm says of an attempt."""

    model = "SlurmStatsModel"

    id = Id()
    workflow_id = Id(required=True)
    job_id = Id(required=True)
    run_id = Int(minimum=0, required=True)
    attempt_id = Int(minimum=1, required=True)
    slurm_job_id = Text()
    node_list = Text()
    ave_cpu_seconds = Number()
    max_rss_bytes = Int()
    max_vm_size_bytes = Int()
    max_disk_read_bytes = Int()
    max_disk_write_bytes = Int()
