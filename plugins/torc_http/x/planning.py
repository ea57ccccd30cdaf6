"""Whether a plan from outside is one that our own parser could have made: positions that are there, fields that are allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from torc_core.engine.checks import check_env, check_name, check_text, checked, wrong
from torc_core.engine.triggers import check_action
from torc_core.errors import Invalid
from torc_core.model import (
    Action,
    FailureHandler,
    File,
    InputKind,
    NewJob,
    Plan,
    PlannedJob,
    Replan,
    Requirement,
    SlurmScheduler,
    UserData,
    Workflow,
    WorkflowId,
)

NOWHERE = WorkflowId(0)
KINDS = {
    "files": File, "user_data": UserData, "requirements": Requirement, "handlers": FailureHandler,
    "schedulers": SlurmScheduler,
}  # fmt: skip
"""The lists of a plan, each with the kind of record that it becomes."""


def check_plan(plan: Plan) -> None:
    """Refuse a plan of which no workflow can be made.

    Raises
    ------
    Invalid
        Naming the place in the plan.
    """
    _positions(plan)
    settings = {name: getattr(plan.workflow, name) for name in _common(Workflow, plan.workflow)}
    checked(Workflow(**{**settings, "id": NOWHERE, "user": plan.workflow.user or "nobody"}))
    check_env(plan.workflow.env)
    for name, kind in KINDS.items():
        for one in getattr(plan, name):
            _same(kind(workflow_id=NOWHERE, **{each: getattr(one, each) for each in _common(kind, one)}), one)
    for job in plan.jobs:
        _job(job, len(plan.user_data))
    for action in plan.actions:
        given = {each: getattr(action, each) for each in _common(Action, action)}
        check_action(Action(workflow_id=NOWHERE, **given))


def check_replan(plan: Replan) -> None:
    """Refuse what a planner decided if its schedulers are none.

    Raises
    ------
    Invalid
        Naming the field.
    """
    for one in plan.schedulers:
        check_name("Slurm scheduler", one.name)
        checked(SlurmScheduler(workflow_id=NOWHERE, name=one.name, fields=one.fields))


def _common(kind: type[Any], one: Any) -> Sequence[str]:
    known = {each.name for each in fields(kind)}
    return [each.name for each in fields(one) if each.name in known]


def _same(record: Any, planned: Any) -> None:
    """What follows from other fields has to stand in the plan as it follows."""
    found = checked(record)
    for name in ("memory_bytes", "runtime_s"):
        if hasattr(planned, name) and getattr(found, name) != getattr(planned, name):
            raise wrong(
                name,
                getattr(planned, name),
                f"{name} of requirement {planned.name!r} is {getattr(found, name)}",
            )


def _job(job: PlannedJob, user_data: int) -> None:
    script = job.invocation_script
    checked(NewJob(
        workflow_id=NOWHERE, name=job.name, command=_unmarked("command", job.command, user_data), priority=job.priority,
        invocation_script=None if script is None else _unmarked("invocation_script", script, user_data),
        env=job.env, label=job.label,
    ))  # fmt: skip


def _unmarked(name: str, text: str, user_data: int) -> str:
    """A text without the marks that stand for ids of user data (`user_data_mark`)."""
    parts = text.split("\x00")
    marks = parts[1::2]
    if len(parts) % 2 == 0 or not all(one.isascii() and one.isdecimal() for one in marks):
        check_text(name, text)
    _within(f"a mark in {name}", map(int, marks), user_data, "user data")
    return "0".join(parts[::2])


def _positions(plan: Plan) -> None:
    jobs, groups = len(plan.jobs), len(plan.groups)
    sizes = {InputKind.FILE: len(plan.files), InputKind.USER_DATA: len(plan.user_data)}
    for members in plan.groups:
        _within("groups", members, jobs, "jobs")
    for one in plan.inputs:
        _within("inputs", one.items, sizes[one.kind], one.kind.value)
        _within("inputs.group", [] if one.group is None else [one.group], groups, "groups")
    for action in plan.actions:
        _within("actions.jobs", action.jobs, jobs, "jobs")
    for job in plan.jobs:
        _within("jobs.requirement", [job.requirement], len(plan.requirements), "requirements")
        _within("jobs.handler", [] if job.handler is None else [job.handler], len(plan.handlers), "handlers")
        _within(
            "jobs.scheduler",
            [] if job.scheduler is None else [job.scheduler],
            len(plan.schedulers),
            "schedulers",
        )
        _within("jobs.groups", [group for group, _ in job.groups], groups, "groups")
        _within("jobs.inputs", job.inputs, len(plan.inputs), "inputs")
        _within("jobs.output_files", job.output_files, len(plan.files), "files")
        _within("jobs.output_user_data", job.output_user_data, len(plan.user_data), "user data")


def _within(where: str, positions: Iterable[int], size: int, what: str) -> None:
    for one in positions:
        if not 0 <= one < size:
            raise Invalid(
                f"plan.{where} names position {one}, and the plan has {size} {what}",
                details={"field": where, "value": one},
            )
