"""Warns of what is allowed but hardly meant (step 10), and checks that schedulers can serve their jobs."""

from __future__ import annotations

from collections.abc import Sequence

from torc_core.model import PlannedJob, PlannedRequirement, PlannedScheduler
from torc_core.model.resources import walltime_seconds
from torc_core.spec.complaint import Report
from torc_core.spec.drafts import Draft
from torc_core.spec.parse import Options, Spec

MANY_REFERENCES = 1_000_000


def advise(
    spec: Spec,
    drafts: Sequence[Draft],
    jobs: Sequence[PlannedJob],
    requirements: Sequence[PlannedRequirement],
    schedulers: Sequence[PlannedScheduler],
    references: int,
    options: Options,
    report: Report,
) -> None:
    """Look at the whole workflow, `references` being the number of names in all lists of all jobs."""
    used: set[str] = spec.reading.used
    for name in spec.reading.variables:
        if name not in used:
            report.warning("unused-variable", ("variables", name), f"nothing uses the variable '{name}'")
    if references > MANY_REFERENCES:
        message = f"the jobs hold {references:,} references; use depends_on_regexes, which is stored once"
        report.warning("big-lists", ("jobs",), message)
    schedules = [action for _, action in spec.objects("actions") if action["action_type"] == "schedule_nodes"]
    if schedulers and not schedules:
        message = (
            "there are Slurm schedulers, but no action schedule_nodes: nothing starts a runner by itself"
        )
        report.warning("no-way-to-start", ("slurm_schedulers",), message)
    widest: dict[int, int] = {}
    seen: set[tuple[object, ...]] = set()
    for draft, job in zip(drafts, jobs, strict=True):
        if job.scheduler is None:
            continue
        requirement, scheduler = requirements[job.requirement], schedulers[job.scheduler]
        widest[job.scheduler] = max(widest.get(job.scheduler, 0), requirement.num_nodes)
        key = (draft.template.path, job.scheduler, job.requirement, job.label)
        if key not in seen:
            seen.add(key)
            if fault := _misfit(job, requirement, scheduler):
                message = f"{fault}: it would never be claimed"
                report.warning("never-fits", draft.template.path, message, about=draft.about)
    for (path, values), (k, scheduler) in zip(
        spec.objects("slurm_schedulers"), enumerate(schedulers), strict=True
    ):
        nodes = values["nodes"] or 1
        shared = [
            action
            for action in schedules
            if action["scheduler"] == scheduler.name and not action["start_one_worker_per_node"]
        ]
        if nodes > 1 and shared and k in widest and not _serves(nodes, k, jobs, requirements):
            message = (
                f"scheduler '{scheduler.name}' has {nodes} nodes, but its action starts one worker for all of them "
                f"and none of its jobs has num_nodes: {nodes}; set start_one_worker_per_node: true"
            )
            complain = report.warning if options.skip_checks else report.error
            complain("scheduler-nodes", (*path, "nodes"), message)


def _misfit(job: PlannedJob, requirement: PlannedRequirement, scheduler: PlannedScheduler) -> str | None:
    walltime, nodes = str(scheduler.fields["walltime"] or ""), scheduler.fields["nodes"]
    if job.label is not None:
        return "a label and a scheduler exclude each other, as allocations carry no label"
    if walltime and requirement.runtime_s > walltime_seconds(walltime):
        return f"runtime {requirement.runtime} is longer than the walltime {walltime} of '{scheduler.name}'"
    if isinstance(nodes, int) and requirement.num_nodes > nodes:
        return f"num_nodes {requirement.num_nodes} is more than the {nodes} nodes of '{scheduler.name}'"
    return None


def _serves(
    nodes: int, scheduler: int, jobs: Sequence[PlannedJob], requirements: Sequence[PlannedRequirement]
) -> bool:
    return any(
        job.scheduler == scheduler and requirements[job.requirement].num_nodes == nodes for job in jobs
    )
