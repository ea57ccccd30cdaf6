"""Plans of the core, with positions, as the body of `/x/plans`, with names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from torc_core.model import InputKind, Plan, PlannedJob, PlannedRequirement, PlannedWorkflow, Source

DEFAULT = PlannedRequirement(name="default")
_FIRST = PlannedWorkflow(name="")


class NotExpressible(Exception):
    """no body has this meaning"""


def plan_body(plan: Plan, create_id: str) -> dict[str, Any]:
    """The body that creates the same workflow.

    Raises
    ------
    NotExpressible
        If there is none: names that are there twice, requirements that begin otherwise, settings that no document has.
    """
    named = (plan.jobs, plan.files, plan.user_data, plan.requirements, plan.handlers, plan.schedulers)
    for records in named:
        names = [one.name for one in records]
        if len(set(names)) < len(names) or "" in names:
            raise NotExpressible
    if plan.requirements[0] != DEFAULT or plan.workflow.notify or plan.workflow.env:
        raise NotExpressible
    settings = {
        one.name: getattr(plan.workflow, one.name)
        for one in fields(PlannedWorkflow)
        if getattr(plan.workflow, one.name) != getattr(_FIRST, one.name)
    }
    sets = {at: f"set{at}" for at in _explicit(plan)}
    return {
        "plan_version": 1,
        "create_id": create_id,
        "workflow": {key: value for key, value in settings.items() if key != "user"},
        "resource_requirements": [
            {
                "name": one.name, "num_cpus": one.num_cpus, "num_gpus": one.num_gpus, "num_nodes": one.num_nodes,
                "memory": one.memory, "runtime": one.runtime,
            }
            for one in plan.requirements[1:]
        ],
        "files": [_given(name=one.name, path=one.path, identifier=one.identifier) for one in plan.files],
        "user_data": [
            _given(name=one.name, data=one.data, is_ephemeral=one.is_ephemeral) for one in plan.user_data
        ],
        "failure_handlers": [{"name": one.name, "rules": list(one.rules)} for one in plan.handlers],
        "slurm_schedulers": [{"name": one.name, **one.fields} for one in plan.schedulers],
        "dependency_sets": [
            {"name": name, "jobs": [plan.jobs[job].name for job in plan.groups[at]]} for at, name in sets.items()
        ],
        "jobs": [_job(plan, one, sets) for one in plan.jobs],
        "actions": [
            {
                "trigger_type": one.trigger_type, "action_type": one.action_type, "trigger_mode": one.trigger_mode,
                "persistent": one.persistent, **{key: value for key, value in one.config.items() if value is not None},
                **({"jobs": [plan.jobs[job].name for job in one.jobs]} if one.jobs else {}),
            }
            for one in plan.actions
        ],
    }  # fmt: skip


def _explicit(plan: Plan) -> Sequence[int]:
    return sorted({group for job in plan.jobs for group, why in job.groups if why & Source.EXPLICIT})


def _job(plan: Plan, job: PlannedJob, sets: Mapping[int, str]) -> dict[str, Any]:
    if "\x00" in job.command or "\x00" in (job.invocation_script or ""):
        raise NotExpressible
    read = {kind: [] for kind in InputKind}  # type: Mapping[InputKind, list[int]]
    for at in job.inputs:
        read[plan.inputs[at].kind].extend(plan.inputs[at].items)
    return _given(
        name=job.name, command=job.command, invocation_script=job.invocation_script, env=job.env or None,
        priority=job.priority, cancel_on_blocking_job_failure=job.cancel_on_blocking_job_failure,
        supports_termination=job.supports_termination,
        resource_requirements=plan.requirements[job.requirement].name if job.requirement else None,
        failure_handler=None if job.handler is None else plan.handlers[job.handler].name,
        scheduler=None if job.scheduler is None else plan.schedulers[job.scheduler].name, label=job.label,
        dependency_sets=[sets[group] for group, why in job.groups if why & Source.EXPLICIT] or None,
        input_files=[plan.files[at].name for at in read[InputKind.FILE]] or None,
        output_files=[plan.files[at].name for at in job.output_files] or None,
        input_user_data=[plan.user_data[at].name for at in read[InputKind.USER_DATA]] or None,
        output_user_data=[plan.user_data[at].name for at in job.output_user_data] or None,
    )  # fmt: skip


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
