"""`torc workflows correct-resources`: ask for what jobs have been seen to need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from torc_core.errors import NotFound, UsageError
from torc_core.given import Given
from torc_core.model import Job, Json, Requirement, RequirementId, WorkflowId
from torc_terminal.measured import Measured, measured
from torc_terminal.options import Flag, Texts
from torc_terminal.output.answer import Report, refuse_csv
from torc_terminal.output.cells import Column, plain
from torc_terminal.selector import ids as read_ids
from torc_terminal.selector import workflow as selected
from torc_terminal.standing import amount

if TYPE_CHECKING:
    from torc_core.engine.utilization import Correction, Factors
    from torc_core.protocols import Store

ROOM = 200
"""Characters of a name that are kept where more is put behind it."""

COLUMNS = (
    Column(title="Requirement", key="resource_requirements_id", right=True),
    Column(title="New", key="new_resource_requirements_id", right=True),
    Column(title="Jobs", key="job_ids", right=True, show=lambda item: str(len(list(item["job_ids"])))),  # type: ignore[arg-type]  # a list
    Column(title="Memory", key="new_memory", show=lambda item: moved(item, "memory")),
    Column(title="CPUs", key="new_cpus", show=lambda item: moved(item, "cpus")),
    Column(title="Runtime", key="new_runtime", show=lambda item: moved(item, "runtime")),
)


def correct_resources(
    workflow: str | None = None,
    /,
    *,
    memory_multiplier: float = 1.2,
    cpu_multiplier: float = 1.2,
    runtime_multiplier: float = 1.2,
    job_ids: Texts = (),
    no_downsize: Flag = False,
    dry_run: Flag = False,
    session: Given,
) -> Report:
    """Ask for what jobs have been seen to need: more after over-use, less where all completed with less.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    memory_multiplier
        Ask for so many times the peak of memory.
    cpu_multiplier
        Ask for so many times the peak of CPUs.
    runtime_multiplier
        Ask for so many times the longest run time.
    job_ids
        Only for these jobs: `3,4` or `3-9`; others with the same requirements keep theirs.
    no_downsize
        Never ask for less than before.
    dry_run
        Only say what would be changed.
    """
    from torc_core.engine.utilization import Factors

    refuse_csv(session)
    for option, factor in (
        ("--memory-multiplier", memory_multiplier),
        ("--cpu-multiplier", cpu_multiplier),
        ("--runtime-multiplier", runtime_multiplier),
    ):
        if not 1 <= factor <= 100:
            raise UsageError(f"{option} '{factor:g}' is out of range; it is from 1 to 100")
    wanted = frozenset(read_ids(job_ids)) if job_ids else None
    wf = selected(session, workflow)
    factors = Factors(
        memory=memory_multiplier, cpu=cpu_multiplier, runtime=runtime_multiplier, downsize=not no_downsize
    )
    return corrected(session.store(), wf, factors, wanted, dry_run=dry_run)


def check_resources(
    workflow: str | None = None,
    /,
    *,
    run_id: Annotated[int | None, Parameter(name=["--run-id", "-r"])] = None,
    all: Annotated[Flag, Parameter(name=["--all", "-a"])] = False,
    include_failed: Flag = False,
    min_over_utilization: float = 1.0,
    under: float | None = None,
    correct: Flag = False,
    session: Given,
) -> Report:
    """Compare what jobs used with what they asked for, as `torc reports check-resource-utilization` does.

    Parameters
    ----------
    workflow
        Id of the workflow, or `last`.
    run_id
        Of this run; without it the current results.
    all
        List every measured resource, also those that were used less than asked for.
    include_failed
        Jobs that failed too, with what points to too little memory or time.
    min_over_utilization
        Only what was exceeded by so many percent.
    under
        Also what was used so many percent less than asked for.
    correct
        Correct what they ask for, as `torc workflows correct-resources` does, and say that instead.
    """
    from torc_cli.reports import check_resource_utilization

    if correct:
        return correct_resources(workflow, session=session)
    return check_resource_utilization(
        workflow,
        run_id=run_id,
        all=all,
        include_failed=include_failed,
        min_over_utilization=min_over_utilization,
        under=under,
        session=session,
    )


def corrected(
    store: Store, workflow: WorkflowId, factors: Factors, wanted: frozenset[int] | None, *, dry_run: bool
) -> Report:
    """Correct the requirements of a workflow, or of some of its jobs, and say what was done.

    Raises
    ------
    NotFound
        If one of the jobs is not of this workflow.
    """
    from torc_core.engine.utilization import correction

    groups: dict[RequirementId, list[Measured]] = {}
    for one in measured(store, workflow):
        groups.setdefault(one.needs.id, []).append(one)
    found = {one.job.id for group in groups.values() for one in group}
    if wanted is not None and (strange := sorted(wanted - found)):
        raise NotFound(
            f"workflow {workflow} has no job {strange[0]}; list them with 'torc jobs list {workflow}'"
        )
    adjustments: list[Mapping[str, Json]] = []
    analyzed = count = 0
    for group in groups.values():
        chosen = group if wanted is None else [one for one in group if one.job.id in wanted]
        analyzed += len([one for one in chosen if one.result is not None])
        if change := correction(group[0].needs, [one.result for one in chosen], factors):
            shared = len(chosen) < len(group)
            own = None if dry_run else _changed(store, chosen, change, shared=shared)
            adjustments.append(_told(chosen, change, own if shared else None))
            count += len(chosen)
    verb = "Would correct" if dry_run else "Corrected"
    return Report(
        schema="torc.workflows.correct-resources/1",
        data={
            "workflow_id": workflow,
            "dry_run": dry_run,
            "memory_multiplier": factors.memory,
            "cpu_multiplier": factors.cpu,
            "runtime_multiplier": factors.runtime,
            "jobs_analyzed": analyzed,
            "jobs_adjusted": count,
            "adjustments": adjustments,
        },
        text=(
            f"{verb} {amount(len(adjustments), 'resource requirement')} of {amount(count, 'job')}"
            if adjustments
            else f"Nothing to correct: {amount(analyzed, 'result is', 'results are')} within what was asked for"
        ),
        rows=adjustments,
        columns=COLUMNS,
        noun="adjustments",
    )


def moved(item: Mapping[str, Json], what: str) -> str:
    """`8g -> 12g`; nothing where it stays."""
    new = item[f"new_{what}"]
    return "" if new is None else plain(f"{item[f'original_{what}']} -> {new}")


def _changed(store: Store, chosen: Sequence[Measured], change: Correction, *, shared: bool) -> RequirementId:
    """Write a correction; where other jobs have the same requirements, these jobs get their own."""
    from dataclasses import replace

    from torc_cli.resource_requirements import changed
    from torc_core.engine.utilization import fields_of

    needs, fields = chosen[0].needs, dict(fields_of(change))
    if not shared:
        store.change(Requirement, needs.id, fields)
        return needs.id
    name = f"{needs.name[:ROOM]}_{chosen[0].job.id}"
    own = store.add([changed(replace(needs, id=RequirementId(0), name=name), fields)])[0]
    for one in chosen:
        store.change(Job, one.job.id, {"requirement_id": own.id})
    return own.id


def _told(chosen: Sequence[Measured], change: Correction, own: RequirementId | None) -> dict[str, Json]:
    from torc_core.engine.utilization import runtime_text, size_text

    needs = chosen[0].needs
    return {
        "resource_requirements_id": needs.id,
        "new_resource_requirements_id": own,
        "job_ids": [one.job.id for one in chosen],
        "job_names": [one.job.name for one in chosen],
        "memory_adjusted": change.memory is not None,
        "original_memory": needs.memory,
        "new_memory": None if change.memory is None else size_text(change.memory),
        "max_peak_memory_bytes": change.peak_memory,
        "cpu_adjusted": change.cpus is not None,
        "original_cpus": needs.num_cpus,
        "new_cpus": change.cpus,
        "max_peak_cpu_percent": change.peak_cpu,
        "runtime_adjusted": change.runtime is not None,
        "original_runtime": needs.runtime,
        "new_runtime": None if change.runtime is None else runtime_text(change.runtime),
    }
