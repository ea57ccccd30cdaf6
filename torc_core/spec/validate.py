"""The one validator: a document becomes a plan, or complaints; dry run, create and run all ask here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torc_core.model import InputKind, Json, Plan, PlannedJob
from torc_core.record import record
from torc_core.spec.advise import advise
from torc_core.spec.complaint import Complaint, Report
from torc_core.spec.cycles import cycles, levels
from torc_core.spec.document import Document, Path, Position
from torc_core.spec.expand import Expansion, expand
from torc_core.spec.parse import Options, Spec, parse
from torc_core.spec.plan import (
    planned_actions,
    planned_handlers,
    planned_jobs,
    planned_requirements,
    planned_schedulers,
    planned_workflow,
)
from torc_core.spec.relations import Relations
from torc_core.spec.rules import check_objects
from torc_core.spec.shape import shown
from torc_core.spec.substitute import substitute

LONG_CYCLE = 50


@record(frozen=True, slots=True, kw_only=True)
class Validated:
    """What became of a document.

    Parameters
    ----------
    plan
        None if there is an error among the complaints.
    complaints
        Errors and warnings, in the order of the document.
    summary
        Figures for people (`workflow-spec.md` §17.4).
    origins
        Of each job of the plan its place in the `jobs` of the document.
    """

    plan: Plan | None
    complaints: tuple[Complaint, ...]
    summary: Mapping[str, Json]
    origins: Sequence[int] = ()

    @property
    def errors(self) -> tuple[Complaint, ...]:
        """What forbids the workflow."""
        return tuple([complaint for complaint in self.complaints if complaint.severity == "error"])

    @property
    def warnings(self) -> tuple[Complaint, ...]:
        """What the user should look at."""
        return tuple([complaint for complaint in self.complaints if complaint.severity != "error"])


def validate(document: Document, *, file: str = "-", options: Options | None = None) -> Validated:
    """Check a document and plan its workflow; nothing is raised, everything that is wrong is told.

    Parameters
    ----------
    file
        Name of the document in complaints.
    """
    options = options or Options()
    report = Report()
    if not isinstance(document.tree, Mapping):
        report.error("wrong-type", (), f"expected a mapping at the top, got {shown(document.tree)}")
        return Validated(plan=None, complaints=report.sorted(file, document.locate), summary={})
    spec = parse(document.tree, options, report)
    check_objects(spec, report)
    made = expand(spec, options.max_expanded, report)
    return whole(spec, made, options, report, file=file, locate=document.locate)


def whole(
    spec: Spec,
    made: Expansion,
    options: Options,
    report: Report,
    *,
    file: str = "-",
    locate: Callable[[Path], Position],
) -> Validated:
    """Plan what has been expanded (steps 7 to 10)."""
    substitute(made, options.max_expanded, report)
    relations = Relations(made, report)
    jobs = planned_jobs(spec, made, relations, report)
    depth = levels(lambda job: [group for group, _ in jobs[job].groups], len(jobs), relations.groups)
    if depth is None:
        _tell_cycles(made, jobs, relations, report)
    requirements, schedulers = planned_requirements(spec), planned_schedulers(spec)
    actions = planned_actions(spec, made.names["jobs"], relations.job_matcher, report)
    workflow = planned_workflow(spec, made, options, report)
    advise(spec, made.drafts, jobs, requirements, schedulers, relations.references, options, report)
    summary = _summary(spec, made, relations.pairs, depth or 0)
    plan = None
    if not report.failed:
        plan = Plan(
            workflow=workflow,
            jobs=jobs,
            files=made.files,
            user_data=made.user_data,
            requirements=requirements,
            handlers=planned_handlers(spec),
            schedulers=schedulers,
            actions=actions,
            groups=relations.groups,
            inputs=relations.inputs,
        )
    return Validated(
        plan=plan,
        complaints=report.sorted(file, locate),
        summary=summary,
        origins=[int(draft.template.path[1]) for draft in made.drafts],
    )


def _tell_cycles(made: Expansion, jobs: Sequence[PlannedJob], relations: Relations, report: Report) -> None:
    found = cycles(lambda job: [group for group, _ in jobs[job].groups], len(jobs), relations.groups)
    for cycle in found:
        steps = [
            f"{jobs[after].name} ({_reason(made, jobs, relations, before, after)})"
            for before, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        ]
        if len(steps) > LONG_CYCLE:
            half = LONG_CYCLE // 2
            steps[half:-half] = [f"… {len(steps) - LONG_CYCLE} more …"]
        told = " → ".join([jobs[cycle[0]].name, *steps])
        first = made.drafts[cycle[0]]
        message = f"jobs wait for each other: {told}; remove one of these dependencies"
        report.error("cycle", first.template.path, message, about=first.about)


def _reason(
    made: Expansion, jobs: Sequence[PlannedJob], relations: Relations, before: int, after: int
) -> str:
    """Why the job `after` waits for `before`."""
    written = {
        InputKind.FILE: frozenset(jobs[before].output_files),
        InputKind.USER_DATA: frozenset(jobs[before].output_user_data),
    }
    for position in jobs[after].inputs:
        planned = relations.inputs[position]
        for item in planned.items:
            if item in written[planned.kind]:
                if planned.kind is InputKind.FILE:
                    return f"file '{made.files[item].name}'"
                return f"user data '{made.user_data[item].name}'"
    return "depends_on"


def _summary(spec: Spec, made: Expansion, pairs: int, depth: int) -> dict[str, Json]:
    def size(key: str) -> int:
        return sum(1 for _ in spec.objects(key))

    actions: list[dict[str, Any]] = [values for _, values in spec.objects("actions")]
    return {
        "workflow_name": spec.values["name"],
        "workflow_description": spec.values["description"],
        "job_count": len(made.drafts),
        "job_count_before_expansion": size("jobs"),
        "file_count": len(made.files),
        "file_count_before_expansion": size("files"),
        "user_data_count": len(made.user_data),
        "resource_requirements_count": size("resource_requirements"),
        "slurm_scheduler_count": size("slurm_schedulers"),
        "action_count": len(actions),
        "has_schedule_nodes_action": any(action["action_type"] == "schedule_nodes" for action in actions),
        "job_names": [draft.name for draft in made.drafts],
        "scheduler_names": [values["name"] for _, values in spec.objects("slurm_schedulers")],
        "dependency_count": pairs,
        "levels": depth,
    }
