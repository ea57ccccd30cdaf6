"""Results on the wire."""

from __future__ import annotations

from marshmallow import Schema

from torc_http.wire.fields import Flag, Id, IdOrNone, Instant, Int, Number, Status, Text


class ResultModel(Schema):
    """The end of an attempt."""

    model = "ResultModel"

    id = Id()
    job_id = Id(required=True)
    job_name = Text()
    workflow_id = Id(required=True)
    run_id = Int(minimum=0, required=True)
    attempt_id = Int(minimum=1)
    compute_node_id = IdOrNone(attribute="node_id", required=True, dump_default=0)
    return_code = Int(minimum=-(2**31), maximum=2**31 - 1, required=True)
    exec_time_minutes = Number(minimum=0, attribute="exec_minutes", required=True)
    completion_time = Instant(attribute="completed_at", required=True)
    status = Status(required=True)
    peak_memory_bytes = Int(minimum=0, attribute="usage.peak_memory_bytes")
    avg_memory_bytes = Int(minimum=0, attribute="usage.avg_memory_bytes")
    peak_cpu_percent = Number(minimum=0, attribute="usage.peak_cpu_percent")
    avg_cpu_percent = Number(minimum=0, attribute="usage.avg_cpu_percent")
    reason = Text()
    provisional = Flag()
