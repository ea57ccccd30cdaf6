"""What runners and the server say to each other, on the wire (`wire.md` §7.1)."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError

from torc_core.engine.liveness import EVIDENCE
from torc_core.model import Held, JobId
from torc_core.model.resources import duration_seconds
from torc_http.wire.fields import (
    Choice,
    Flag,
    Gibibytes,
    Id,
    Instant,
    Int,
    Kind,
    ListOf,
    Matching,
    Measured,
    Name,
    Number,
    Object,
    Part,
    Parts,
    Plain,
    Status,
    Text,
    quoted,
)

LONGEST_WAIT = 20_000
MOST_JOBS = 10_000
KEY = r"[A-Za-z0-9._:-]{1,64}"
"""Epochs, claims and leases: what callers make up to tell their own calls apart."""


class HeldAttempt(Kind):
    """An attempt that a node holds: `[job_id, attempt_id, lease]`."""

    noun = "[job_id, attempt_id, lease]"

    def take(self, value: Plain) -> Held:
        if type(value) is not list or len(value) != 3:
            raise self.wrong(value)
        job, attempt, lease = value
        if type(job) is not int or type(attempt) is not int or type(lease) is not str:
            raise ValidationError(f"{quoted(value)} is not {self.noun}")
        return Held(job=JobId(job), attempt_id=attempt, lease=lease)

    def described(self) -> dict[str, Plain]:
        return {
            "type": "array", "minItems": 3, "maxItems": 3,
            "prefixItems": [{"type": "integer"}, {"type": "integer"}, {"type": "string"}],
        }  # fmt: skip


def triple(one: Held) -> list[Plain]:
    """An attempt as the wire writes it."""
    return [one.job, one.attempt_id, one.lease]


class Attempt(Schema):
    """An attempt of a job."""

    strict = True

    job_id = Id(required=True)
    attempt_id = Int(minimum=1, required=True)
    lease = Text(required=True)


class Spooled(Schema):
    """A result that a runner has yet to deliver."""

    strict = True

    job_id = Id(required=True)
    run_id = Int(minimum=0, required=True)
    attempt_id = Int(minimum=1, required=True)


class Join(Schema):
    """A runner that asks to work on a workflow."""

    model = "JoinRequest"

    epoch = Matching(KEY, required=True)
    workflow_id = Id(required=True)
    hostname = Name(required=True)
    boot_id = Text(longest=255, required=True)
    pid = Int(minimum=0, required=True)
    process_start = Int(minimum=0, required=True)
    num_cpus = Int(minimum=0, required=True)
    memory_gb = Gibibytes(minimum=0, required=True)
    num_gpus = Int(minimum=0, required=True)
    gpu_ids = ListOf(Text(longest=255))
    num_nodes = Int(minimum=1, maximum=MOST_JOBS, required=True)
    time_limit = Measured(duration_seconds)
    scheduler_config_id = Id()
    compute_node_type = Name(required=True)
    scheduler = Object()
    submission_key = Text(longest=255)
    restart_count = Int(minimum=0)
    label = Text(longest=64)
    output_dir = Text()
    fences = Flag()
    version = Text(longest=255, required=True)
    spool = Parts(Spooled)


class Amount(Schema):
    """What a node has free."""

    strict = True

    cpus = Int(minimum=0, required=True)
    memory_bytes = Int(minimum=0, required=True)
    gpus = Int(minimum=0, required=True)


class Free(Amount):
    """What is free: of one node, or of each in `nodes`."""

    nodes = Parts(Amount, most=MOST_JOBS)


class Class(Schema):
    """A class of jobs: those of equal shape."""

    strict = True

    cpus = Int(minimum=0, required=True)
    memory_bytes = Int(minimum=0, required=True)
    gpus = Int(minimum=0, required=True)
    nodes = Int(minimum=1, required=True)
    runtime_s = Int(minimum=0, required=True)
    scheduler_config_id = Id()
    label = Text()


class Claim(Schema):
    """What a node has free, and what it asks for; each request has an id of its own, and one that comes again gets what it got before."""

    strict = True

    claim_id = Matching(KEY, required=True)
    limit = Int(minimum=0, maximum=MOST_JOBS, required=True)
    start = Flag()
    free = Part(Free, required=True)
    time_left_s = Int()
    ahead = Int(minimum=0)
    start_ahead = Int(minimum=0)
    busy = Parts(Class, most=MOST_JOBS)
    by_count = Flag()
    wait_ms = Int(minimum=0, maximum=LONGEST_WAIT)
    strict_scheduler_match = Flag()


class Print(Schema):
    """What a file looked like."""

    strict = True

    id = Id(required=True)
    exists = Flag(required=True)
    st_mtime = Number()
    size = Int(minimum=0)
    content_hash = Text(longest=255)


class Ended(Schema):
    """The end of an attempt; what is not kept is taken and forgotten."""

    strict = True

    job_id = Id(required=True)
    run_id = Int(minimum=0, required=True)
    attempt_id = Int(minimum=1, required=True)
    lease = Text(allow_none=True, required=True)
    status = Status(required=True)
    return_code = Int(minimum=-(2**31), maximum=2**31 - 1, required=True)
    exec_time_minutes = Number(minimum=0, attribute="exec_minutes", required=True)
    completion_time = Instant(attribute="completed_at", required=True)
    reason = Text()
    peak_memory_bytes = Int(minimum=0, attribute="usage.peak_memory_bytes")
    avg_memory_bytes = Int(minimum=0, attribute="usage.avg_memory_bytes")
    peak_cpu_percent = Number(minimum=0, attribute="usage.peak_cpu_percent")
    avg_cpu_percent = Number(minimum=0, attribute="usage.avg_cpu_percent")
    leftover_processes = Int(minimum=0)
    outputs = Parts(Print)
    id = Id()
    workflow_id = Id()
    job_name = Text()
    compute_node_id = Int(minimum=0)
    started_ns = Int()
    ended_ns = Int()
    signal = Int()
    oom = Flag()
    outputs_missing = ListOf(Text())


class UsageBody(Schema):
    """What a runner used in its life."""

    model = "NodeUsage"
    strict = True

    avg_cpu_percent = Number(minimum=0)
    peak_cpu_percent = Number(minimum=0)
    avg_memory_bytes = Int(minimum=0)
    peak_memory_bytes = Int(minimum=0)
    sample_count = Int(minimum=0)


class Beating(Schema):
    """What a node has: not forked, and forked with its end not yet acknowledged."""

    strict = True

    held = ListOf(HeldAttempt(), required=True)
    running = ListOf(HeldAttempt(), required=True)
    free = Part(Free)
    usage = Part(UsageBody)
    spool_size = Int(minimum=0)
    number = Int(minimum=0)


class ClaimBody(Claim):
    """A claim that is no part of a turn."""

    model = "ClaimRequest"

    epoch = Matching(KEY, required=True)


class StartedBody(Schema):
    """Starts, before the processes are forked."""

    model = "StartedRequest"

    epoch = Matching(KEY, required=True)
    starts = Parts(Attempt, required=True, most=MOST_JOBS)


class FinishBody(Schema):
    """Ends of attempts."""

    model = "FinishRequest"

    epoch = Matching(KEY, required=True)
    results = Parts(Ended, required=True, most=MOST_JOBS)


class BeatBody(Beating):
    """A heartbeat."""

    model = "BeatRequest"

    epoch = Matching(KEY, required=True)


class TurnBody(Schema):
    """All of these in one transaction, in this order."""

    model = "TurnRequest"

    epoch = Matching(KEY, required=True)
    results = Parts(Ended, most=MOST_JOBS)
    starts = Parts(Attempt, most=MOST_JOBS)
    give_back = ListOf(HeldAttempt(), most=MOST_JOBS)
    beat = Part(Beating)
    claim = Part(Claim)


class GiveBackBody(Schema):
    """What was never forked."""

    model = "GiveBackRequest"

    epoch = Matching(KEY, required=True)
    jobs = ListOf(HeldAttempt(), required=True, most=MOST_JOBS)


class LeaveBody(Schema):
    """The runner goes."""

    model = "LeaveRequest"

    epoch = Matching(KEY, required=True)
    reason = Text(required=True)
    usage = Part(UsageBody)


class RecoveredBody(Attempt):
    """A recovery script has ended."""

    model = "RecoveredRequest"

    epoch = Matching(KEY, required=True)
    ok = Flag(required=True)


class DrainBody(Schema):
    """Whether a node is given further jobs."""

    model = "DrainRequest"

    drain = Flag(required=True)
    reason = Text(required=True)


class DeadBody(Schema):
    """What proves a node dead."""

    model = "DeadRequest"

    evidence = Choice(*EVIDENCE, required=True)
    detail = Text(required=True)


def without_none(**values: Any) -> dict[str, Any]:
    """Those of the values that are there."""
    return {name: value for name, value in values.items() if value is not None}
