"""A workflow summed up (`observability.md` §4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torc_core.model import Json, Node, Totals, WorkflowId
from torc_core.model.resources import duration_text
from torc_terminal.measured import measured
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import plain
from torc_terminal.standing import ORDER, by_status, failures, mark
from torc_terminal.walking import every

if TYPE_CHECKING:
    from torc_core.protocols import Store

HOUR_MS = 3_600_000


def summed(store: Store, workflow: WorkflowId, now: int) -> Report:
    """The report on a workflow."""
    (totals,) = store.totals([workflow])
    about, walltime = totals.workflow, totals.walltime_seconds
    hours = node_hours(store, workflow, now)
    efficiency = cpu_efficiency(store, workflow)
    seconds = totals.exec_minutes * 60
    data: dict[str, Json] = {
        "workflow_id": workflow,
        "workflow_name": about.name,
        "workflow_user": about.user,
        "total_jobs": totals.total,
        "jobs_by_status": dict(by_status(totals)),
        "total_exec_time_minutes": totals.exec_minutes,
        "total_exec_time_formatted": duration_text(seconds),
        "walltime_seconds": walltime,
        "walltime_formatted": None if walltime is None else duration_text(walltime),
        "node_hours": round(hours, 4),
        "cpu_efficiency_percent": None if efficiency is None else round(efficiency, 2),
        "failures_by_reason": dict(totals.failures),
    }
    return Report(schema="torc.reports.summary/1", data=data, text=_text(totals, hours, efficiency))


def node_hours(store: Store, workflow: WorkflowId, now: int) -> float:
    """Hours that nodes were there for a workflow, each node of an allocation counted; those at work up to now."""
    return (
        sum(
            max(0, (now if node.end_time is None else node.end_time) - node.start_time) * node.num_nodes
            for node in every(store, Node, workflow)
        )
        / HOUR_MS
    )


def cpu_efficiency(store: Store, workflow: WorkflowId) -> float | None:
    """How busy the CPUs were that jobs had for themselves, in percent; None: nothing was measured."""
    used = had = 0.0
    for one in measured(store, workflow):
        if one.result is not None and one.result.usage.avg_cpu_percent is not None:
            used += one.result.exec_minutes * one.result.usage.avg_cpu_percent
            had += one.result.exec_minutes * one.needs.num_cpus
    return used / had if had else None


def _text(totals: Totals, hours: float, efficiency: float | None) -> str:
    about = totals.workflow
    lines = [
        "Workflow Summary",
        f"  ID:    {about.id}",
        f"  Name:  {plain(about.name)}",
        f"  User:  {plain(about.user)}",
        "",
        f"Job Status (total: {totals.total}):",
        *(
            f"  {status.label + ':':<15} {totals.counts[status]}{mark(status)}"
            for status in ORDER
            if totals.counts.get(status)
        ),
        "",
        f"Total Execution Time: {duration_text(totals.exec_minutes * 60)}",
    ]
    if (walltime := totals.walltime_seconds) is not None:
        lines.append(f"Walltime: {duration_text(walltime)}")
    lines.append(f"Node Hours: {hours:.2f}")
    if efficiency is not None:
        lines.append(f"CPU Efficiency: {efficiency:.1f}%")
    if why := failures(totals):
        lines.append(why)
    if totals.complete and totals.good and totals.total:
        lines += ["", "✓ All jobs completed successfully!"]
    return "\n".join(lines)
