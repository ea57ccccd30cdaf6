"""How attempts end."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model.artifact import Fingerprint
from torc_core.model.ids import JobId, NodeId, ResultId, WorkflowId
from torc_core.model.status import JobStatus
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class JobUsage:
    """What an attempt used: bytes, percent of one core (400 = four cores); None: not known."""

    peak_memory_bytes: int | None = None
    avg_memory_bytes: int | None = None
    peak_cpu_percent: float | None = None
    avg_cpu_percent: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a runner reports of an attempt that ended (`runner.md` §6.3).

    Parameters
    ----------
    lease
        The claim under which the attempt was held; None: an unfenced call.
    run_id
        0 means the current run.
    exec_minutes
        From fork to reap.
    completed_at
        Milliseconds since 1970, by the runner's clock.
    outputs
        Fingerprints of the declared output files, after a completed end.
    leftovers
        How many processes the job left running; more than none is worth an event `leftover_processes`.
    """

    job: JobId
    run_id: int
    attempt_id: int
    lease: str | None
    status: JobStatus
    return_code: int
    reason: str | None = None
    exec_minutes: float = 0.0
    completed_at: int = 0
    node: NodeId | None = None
    usage: JobUsage = JobUsage()
    outputs: Sequence[Fingerprint] = ()
    leftovers: int = 0


@record(frozen=True, slots=True, kw_only=True)
class Result:
    """A stored ending: one per (job, run, attempt).

    Parameters
    ----------
    current
        Whether it is the job's current result.
    """

    id: ResultId
    workflow_id: WorkflowId
    job_id: JobId
    job_name: str
    run_id: int
    attempt_id: int
    node_id: NodeId | None
    status: JobStatus
    return_code: int
    reason: str | None
    exec_minutes: float
    completed_at: int
    usage: JobUsage = JobUsage()
    provisional: bool = False
    current: bool = True
