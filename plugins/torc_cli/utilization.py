"""What jobs used against what they asked for, as `torc reports check-resource-utilization` tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torc_core.engine.utilization import Use, uses, why_oom, why_timeout
from torc_core.model import BAD, JobStatus, Json, Result, WorkflowId
from torc_core.model.resources import duration_text, memory_text
from torc_core.record import record
from torc_terminal.measured import Measured, measured
from torc_terminal.output.answer import Report
from torc_terminal.output.cells import Column
from torc_terminal.standing import amount

if TYPE_CHECKING:
    from torc_core.protocols import Store

NAMES = {"memory": "Memory", "cpu": "CPU", "runtime": "Runtime"}


@record(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is looked at: a run, failed jobs too, and from how many percent on."""

    run: int | None = None
    all: bool = False
    include_failed: bool = False
    least: float = 1.0
    under: float | None = None

    def lists(self, use: Use) -> bool:
        """Whether a resource is listed."""
        return self.all or self.exceeds(use) or (self.under is not None and use.over <= -self.under)

    def exceeds(self, use: Use) -> bool:
        """Whether more was used than asked for, by enough to be told."""
        return use.over > 0 and use.over >= self.least


def utilization(store: Store, workflow: WorkflowId, choice: Choice, columns: Sequence[Column]) -> Report:
    """The report on a workflow."""
    rows: list[Mapping[str, Json]] = []
    troubled: list[Mapping[str, Json]] = []
    looked_at = exceeded = 0
    for one in measured(store, workflow, choice.run):
        result = one.result
        failed = result is not None and result.status in BAD
        if result is None or not (result.status is JobStatus.COMPLETED or (failed and choice.include_failed)):
            continue
        looked_at += 1
        for use in uses(one.needs, result):
            exceeded += choice.exceeds(use)
            if choice.lists(use):
                rows.append(_row(one, use))
        if failed:
            troubled.append(_trouble(one, result))
    data: dict[str, Json] = {
        "workflow_id": workflow,
        "run_id": choice.run,
        "total_results": looked_at,
        "over_utilization_count": exceeded,
        "violations": rows,
    }
    if choice.include_failed:
        data |= {"resource_violations_count": len(troubled), "resource_violations": troubled}
    return Report(
        schema="torc.reports.check-resource-utilization/1",
        data=data,
        text=_text(looked_at, exceeded, rows, troubled),
        rows=rows,
        columns=columns,
        noun="violations",
        hint=f"correct what jobs ask for: torc workflows correct-resources {workflow}" if exceeded else None,
    )


def percent(value: float) -> str:
    """`+31.3%`, `-70.0%`."""
    return f"{value:+.1f}%"


def _text(
    looked_at: int, exceeded: int, rows: Sequence[object], troubled: Sequence[Mapping[str, Json]]
) -> str:
    lines = []
    if exceeded:
        lines.append(f"⚠ Found {amount(exceeded, 'resource over-utilization violation')}:")
    else:
        jobs = amount(looked_at, "job")
        lines.append(f"All {jobs} completed within resource limits." if looked_at else "No results to check.")
    for one in troubled:
        causes = [
            f"{name} ({one[reason]})"
            for name, key, reason in (
                ("out of memory", "likely_oom", "oom_reason"),
                ("out of time", "likely_timeout", "timeout_reason"),
            )
            if one[key]
        ]
        told = f"job {one['job_id']} '{one['job_name']}' failed with {one['return_code']}"
        lines.append(f"{told}: {', '.join(causes) if causes else 'not for want of memory or time'}")
    if rows:
        lines.append("")
    return "\n".join(lines)


def _row(one: Measured, use: Use) -> dict[str, Json]:
    write = {"memory": lambda size: memory_text(int(size)), "cpu": _cpu, "runtime": duration_text}[
        use.dimension
    ]
    return {
        "job_id": one.job.id,
        "job_name": one.job.name,
        "resource_type": NAMES[use.dimension],
        "specified": one.needs.memory if use.dimension == "memory" else write(use.asked),
        "peak_used": write(use.used),
        "over_utilization": percent(use.over),
        "over_utilization_percent": round(use.over, 3),
    }


def _cpu(percentage: float) -> str:
    return f"{percentage:.1f}%"


def _trouble(one: Measured, result: Result) -> dict[str, Json]:
    """What a failed job points to."""
    needs, usage = one.needs, result.usage
    over = {use.dimension: use.over for use in uses(needs, result)}
    oom, timeout = why_oom(needs, result), why_timeout(result)
    peak = usage.peak_memory_bytes
    return {
        "job_id": one.job.id,
        "job_name": one.job.name,
        "return_code": result.return_code,
        "exec_time_minutes": result.exec_minutes,
        "configured_memory": needs.memory,
        "configured_runtime": needs.runtime,
        "configured_cpus": needs.num_cpus,
        "peak_memory_bytes": peak,
        "peak_memory_formatted": None if peak is None else memory_text(peak),
        "likely_oom": oom is not None,
        "oom_reason": oom,
        "memory_over_utilization": percent(over["memory"]) if over.get("memory", 0) > 0 else None,
        "likely_timeout": timeout is not None,
        "timeout_reason": timeout,
        "runtime_utilization": f"{over['runtime'] + 100:.1f}%" if "runtime" in over else None,
        "likely_cpu_violation": over.get("cpu", 0) > 0,
        "peak_cpu_percent": usage.peak_cpu_percent,
        "likely_runtime_violation": over.get("runtime", 0) > 0,
    }
