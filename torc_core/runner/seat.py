"""Where a batch system has put a runner, and how a runner presents itself to the store. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.detection import Detected
from torc_core.model import Json, NewNode, Node, Workflow
from torc_core.record import record
from torc_core.runner.log import log
from torc_core.runner.options import Execution, Options
from torc_core.runner.outcome import Cause
from torc_core.runner.place import Place

RESERVE = 10.0
"""Seconds of the grace after SIGTERM that are kept for the results."""


@record(frozen=True, slots=True, kw_only=True)
class Seat:
    """A place in an allocation.

    Parameters
    ----------
    type
        Of the node: `local`, `slurm`.
    scheduler
        What the store is told of the allocation: `{type, slurm_job_id, …}`.
    submission_key
        Of the intent by which it was asked for; None: it was not.
    restart_count
        How often the batch system has begun the allocation anew.
    announced
        Seconds before its end from which on SIGTERM may be the batch system's announcement of it, and not somebody who
        ends it early; 0: it never is.
    """

    type: str = "local"
    scheduler: Mapping[str, Json] | None = None
    submission_key: str | None = None
    restart_count: int | None = None
    announced: float = 0.0


def registration(
    workflow: Workflow,
    detected: Detected,
    options: Options,
    seat: Seat,
    place: Place,
    *,
    epoch: str,
    output_dir: str,
    now: float,
) -> NewNode:
    """What a runner says of itself when it joins (`runner.md` §2.5)."""
    return NewNode(
        workflow_id=workflow.id,
        epoch=epoch,
        hostname=place.hostname,
        pid=place.pid,
        boot_id=place.boot_id,
        process_start=place.start,
        capacity=detected.capacity,
        gpus=detected.gpus,
        num_nodes=detected.num_nodes,
        type=seat.type,
        label=options.label,
        scheduler_id=options.scheduler_id,
        output_dir=output_dir,
        # Whole seconds until this runner has to have left.
        time_limit=None if options.end is None else max(0, int(options.end - now)),
        scheduler=seat.scheduler,
        submission_key=seat.submission_key,
        restart_count=seat.restart_count,
        fences=options.fences,
    )


def log_start(workflow: Workflow, node: Node, options: Options, execution: Execution) -> None:
    """Say how this runner works: mode, limits, capacity, end."""
    log.info(
        "runner_started workflow_id=%d run_id=%d node_id=%d pid=%d cpus=%d memory=%d gpus=%s parallel=%d nodes=%d "
        "termination_signal=%d lead=%g headroom=%g stdio=%s memory_limits=%s runtime_limits=%s seconds_left=%s",
        *(workflow.id, workflow.run_id, node.id, node.pid, node.capacity.cpus),
        *(node.capacity.memory, ",".join(node.gpus) or "-", options.max_parallel_jobs, node.num_nodes),
        *(execution.termination_signal, execution.lead, execution.headroom),
        *(execution.stdio.mode, execution.limit_resources, execution.limit_runtime),
        "-" if node.time_limit is None else node.time_limit,
    )


def notice(options: Options, execution: Execution, seat: Seat, now: float) -> tuple[Cause, float]:
    """Why jobs are ended when this process is told to end, and the seconds that they have (`runner.md` §7.2).

    In an allocation the kill follows within the grace, unless it is the end of its time that is announced: then a
    longer lead, which the announcement was asked for, is kept to.
    """
    left = None if options.end is None else options.end - now
    if not seat.announced:
        given = options.grace if left is None else left
        return Cause.INTERRUPTED, min(execution.lead, max(1.0, given - RESERVE))
    given = options.grace if left is None else min(options.grace, left)
    if left is None or left > seat.announced:
        return Cause.INTERRUPTED, min(execution.lead, max(1.0, given - RESERVE))
    if execution.lead > given:
        given = left
    return Cause.WALLTIME, min(execution.lead, max(1.0, given - RESERVE))
