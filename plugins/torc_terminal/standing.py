"""How a workflow stands, in a word, in numbers and in the lines that `torc status` and `torc run` print."""

from __future__ import annotations

import sys

from torc_core.model import JobStatus, Json, Totals
from torc_core.model.resources import duration_text
from torc_terminal.output.cells import plain

GOOD = frozenset({JobStatus.COMPLETED, JobStatus.DISABLED})
MARKS = {JobStatus.COMPLETED: " ✓", JobStatus.FAILED: " ✗", JobStatus.TERMINATED: " ✗"}
ORDER = (
    JobStatus.COMPLETED, JobStatus.RUNNING, JobStatus.PENDING, JobStatus.READY, JobStatus.BLOCKED, JobStatus.FAILED,
    JobStatus.TERMINATED, JobStatus.CANCELED, JobStatus.PENDING_FAILED, JobStatus.DISABLED, JobStatus.UNINITIALIZED,
)  # fmt: skip
"""From the best to the least known."""


def state(totals: Totals) -> str:
    """One word for how a workflow stands."""
    if totals.workflow.is_archived:
        return "archived"
    if totals.workflow.is_canceled:
        return "canceled"
    if not totals.initialized:
        return "uninitialized"
    if totals.complete:
        return "completed" if totals.good else "failed"
    return "running" if totals.active_nodes else "unfinished"


def by_status(totals: Totals) -> dict[str, int]:
    """Jobs by the label of their status, all eleven."""
    return {status.label: totals.counts.get(status, 0) for status in JobStatus}


def outcome_code(totals: Totals, *, unfinished: int) -> int:
    """The exit code that tells how a workflow stands (`cli.md` §1.4); `unfinished` while it is not complete."""
    if totals.workflow.is_canceled:
        return 7
    if not totals.complete:
        return unfinished
    return 0 if totals.good else 1


def heading(totals: Totals) -> str:
    """The workflow in one line."""
    workflow = totals.workflow
    return (
        f"Workflow {workflow.id}  {plain(workflow.name)}   user {plain(workflow.user)}   run {workflow.run_id}   "
        f"{state(totals)}"
    )


def counted(totals: Totals) -> str:
    """`Jobs 100:  completed 61 ✓   running 8`; only what there is."""
    parts = [
        f"{status.label} {totals.counts[status]}{mark(status)}"
        for status in ORDER
        if totals.counts.get(status)
    ]
    return f"Jobs {totals.total}:  " + ("   ".join(parts) or "none")


def mark(status: JobStatus) -> str:
    """A sign beside the word, where the terminal can show it."""
    return MARKS.get(status, "") if (sys.stdout.encoding or "").lower().startswith("utf") else ""


def failures(totals: Totals) -> str | None:
    """`Failures:  2 exit_code, 1 signal`; None: there are none."""
    if not totals.failures:
        return None
    ordered = sorted(totals.failures.items(), key=lambda item: (-item[1], item[0]))
    return "Failures:  " + ", ".join(f"{number} {plain(kind)}" for kind, number in ordered)


def times(totals: Totals, now: int) -> str | None:
    """`Time:      elapsed 1h 12m   job time 9h 40m`; None: nothing has started."""
    elapsed = totals.elapsed_seconds(now)
    if elapsed is None:
        return None
    return f"Time:      elapsed {duration_text(elapsed)}   job time {duration_text(totals.exec_minutes * 60)}"


def status_json(totals: Totals) -> dict[str, Json]:
    """The published model of how a workflow stands; `additions` has the rest of `torc.status/1`."""
    workflow = totals.workflow
    return {
        "workflow_id": workflow.id,
        "workflow_name": workflow.name,
        "workflow_user": workflow.user,
        "run_id": workflow.run_id,
        "total_jobs": totals.total,
        "jobs_by_status": dict(by_status(totals)),
        "is_complete": totals.complete,
        "is_canceled": workflow.is_canceled,
        "is_archived": workflow.is_archived,
        "active_compute_nodes": totals.active_nodes,
        "pending_scheduled_nodes": totals.pending_allocations,
        "active_scheduled_nodes": totals.active_allocations,
        "total_exec_time_minutes": totals.exec_minutes,
        "walltime_seconds": totals.walltime_seconds,
    }


def next_step(totals: Totals) -> str | None:
    """The command that helps where something is wrong or left to do (OB2)."""
    number = totals.workflow.id
    if totals.workflow.is_archived or totals.workflow.is_canceled:
        return None
    coming = totals.pending_allocations or totals.active_allocations
    if not totals.initialized or (not totals.complete and not totals.active_nodes and not coming):
        return f"no runner works on it; go on with: torc run {number}"
    if totals.counts.get(JobStatus.FAILED) or totals.counts.get(JobStatus.TERMINATED):
        return f"what failed: torc results list {number} --failed"
    return None


def amount(number: object, one: str, many: str | None = None) -> str:
    """`1 job`, `3 jobs`."""
    return f"{number or 0} {one if number == 1 else many or one + 's'}"
