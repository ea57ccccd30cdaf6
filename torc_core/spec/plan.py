"""Writes the plan: the settings, and every object with positions in place of names (`workflow-spec.md` §18)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torc_core.model import (
    PlannedAction,
    PlannedHandler,
    PlannedJob,
    PlannedRequirement,
    PlannedScheduler,
    PlannedWorkflow,
)
from torc_core.model.resources import duration_seconds, memory_bytes
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path
from torc_core.spec.drafts import COMMAND, HANDLER, LABEL, NAME, REQUIREMENT, SCHEDULER, SCRIPT, TEXTS, Draft
from torc_core.spec.expand import Expansion
from torc_core.spec.names import Names
from torc_core.spec.parse import Options, Spec
from torc_core.spec.relations import Relations
from torc_core.spec.resolve import Matcher
from torc_core.spec.rules import WORKER_TRIGGERS
from torc_core.spec.shape import quoted

_SAME = (
    "user", "description", "project", "metadata", "env", "slurm_defaults", "dynamic_jobs", "report", "api_access",
    "use_pending_failed", "enable_ro_crate", "retry_on_node_loss", "compute_node_wait_for_new_jobs_seconds",
    "compute_node_ignore_workflow_completion", "compute_node_wait_for_healthy_database_minutes",
    "compute_node_min_time_for_new_jobs_seconds", "compute_node_expiration_buffer_seconds",
)  # fmt: skip
_ACTION: dict[str, dict[str, Any]] = {
    "run_commands": {"commands": ()},
    "schedule_nodes": {
        "scheduler": None, "scheduler_type": None, "num_allocations": 1, "start_one_worker_per_node": False,
        "max_parallel_jobs": None,
    },
}  # fmt: skip


def named(spec: Spec, key: str, noun: str, *built_in: str) -> Names:
    """The names of requirements, handlers or schedulers; those that are built in come first."""
    names = Names(noun)
    if spec.values[key] is None or any(entry is None for entry in spec.values[key]):
        names.excuse_all()
    for name in built_in:
        names.positions[name] = len(names.positions)
    for _, values in spec.objects(key):
        if values["name"] is None:
            names.excuse_all()
        else:
            names.positions.setdefault(values["name"], len(names.positions))
    return names


def planned_jobs(spec: Spec, made: Expansion, relations: Relations, report: Report) -> list[PlannedJob]:
    """Every job; the drafts give up their texts, so that the memory holds one copy of them."""
    finders = [
        (which, _finder(names, which, report), start)
        for which, names, start in (
            (REQUIREMENT, named(spec, "resource_requirements", "resource requirement", "default"), 0),
            (HANDLER, named(spec, "failure_handlers", "failure handler"), None),
            (SCHEDULER, named(spec, "slurm_schedulers", "scheduler"), None),
        )
    ]
    jobs = []
    for own, draft in enumerate(made.drafts):
        texts, values = draft.texts, draft.template.values
        requirement, handler, scheduler = [
            start if texts[which] is None else find(draft) for which, find, start in finders
        ]
        groups, inputs, blockers = relations.of(draft, own)
        jobs.append(
            PlannedJob(
                name=draft.name,
                command=texts[COMMAND] or "",
                invocation_script=texts[SCRIPT],
                env=draft.env,
                priority=values["priority"] or 0,
                cancel_on_blocking_job_failure=values["cancel_on_blocking_job_failure"] is not False,
                supports_termination=bool(values["supports_termination"]),
                requirement=requirement or 0,
                handler=handler,
                scheduler=scheduler,
                label=texts[LABEL],
                groups=groups,
                inputs=inputs,
                output_files=draft.outputs[0],
                output_user_data=draft.outputs[1],
                num_blockers=blockers,
            )
        )
        draft.texts = texts[: NAME + 1]
        draft.lists = ()
    return jobs


def _finder(names: Names, which: int, report: Report) -> Callable[[Draft], int | None]:
    def find(draft: Draft) -> int | None:
        name = draft.texts[which] or ""
        position = names.positions.get(name)
        if position is None and (message := names.unknown(name)):
            path = (*draft.template.path, TEXTS[which])
            report.error("unknown-reference", path, message, about=draft.about)
        return position

    return find


def planned_requirements(spec: Spec) -> list[PlannedRequirement]:
    """The implicit `default`, then those of the document."""
    planned = [PlannedRequirement(name="default")]
    for _, values in spec.objects("resource_requirements"):
        memory, runtime = values["memory"] or "1m", values["runtime"] or "PT1H"
        planned.append(
            PlannedRequirement(
                name=values["name"] or "",
                num_cpus=values["num_cpus"] or 1,
                num_gpus=values["num_gpus"] or 0,
                num_nodes=values["num_nodes"] or 1,
                memory=memory,
                runtime=runtime,
                memory_bytes=memory_bytes(memory),
                runtime_s=duration_seconds(runtime),
            )
        )
    return planned


def planned_handlers(spec: Spec) -> list[PlannedHandler]:
    """The failure handlers, every default filled in."""
    return [
        PlannedHandler(
            name=values["name"] or "",
            rules=tuple(
                [{**rule, "exit_codes": list(rule["exit_codes"] or ())} for rule in values["rules"] if rule]
            ),
        )
        for _, values in spec.objects("failure_handlers")
        if values["rules"]
    ]


def planned_schedulers(spec: Spec) -> list[PlannedScheduler]:
    """The Slurm schedulers, every default filled in."""
    account = (spec.values["slurm_defaults"] or {}).get("account")
    planned = []
    for _, values in spec.objects("slurm_schedulers"):
        fields = {key: value for key, value in values.items() if key != "name"}
        fields["account"] = values["account"] if values["account"] is not None else account
        planned.append(PlannedScheduler(name=values["name"] or "", fields=fields))
    return planned


def planned_actions(spec: Spec, jobs: Names, matcher: Matcher, report: Report) -> list[PlannedAction]:
    """The actions, with the positions of their jobs."""
    schedulers = named(spec, "slurm_schedulers", "scheduler")
    planned = []
    for path, values in spec.objects("actions"):
        trigger, kind = values["trigger_type"], values["action_type"]
        name = values["scheduler"]
        if name is not None and values["scheduler_type"] != "local" and name not in schedulers.positions:
            report.error("action-fields", (*path, "scheduler"), schedulers.unknown(name) or "")
        found = _jobs_of(values, path, jobs, matcher, report)
        if trigger is None or kind is None:
            continue
        persistent = values["persistent"]
        defaults = _ACTION[kind]
        planned.append(
            PlannedAction(
                trigger_type=trigger,
                action_type=kind,
                config={
                    key: default if values[key] is None else values[key] for key, default in defaults.items()
                },
                jobs=tuple(sorted(found)),
                trigger_mode=values["trigger_mode"] or "all",
                persistent=trigger in WORKER_TRIGGERS if persistent is None else persistent,
            )
        )
    return planned


def _jobs_of(
    values: Mapping[str, Any], path: Path, jobs: Names, matcher: Matcher, report: Report
) -> set[int]:
    found: set[int] = set()
    for k, name in enumerate(values["jobs"] or ()):
        if name is None:
            continue
        position = jobs.positions.get(name)
        if position is not None:
            found.add(position)
        elif message := jobs.unknown(name):
            hint = "use job_name_regexes: actions know no parameters" if "{" in name else None
            told = message + (f"; {hint}" if hint else "")
            report.error("unknown-reference", (*path, "jobs", k), told, hint=hint)
    for k, pattern in enumerate(values["job_name_regexes"] or ()):
        if pattern is None:
            continue
        at = (*path, "job_name_regexes", k)
        matched = matcher.matches(pattern)
        if isinstance(matched, str):
            report.error("bad-regex", at, matched)
        elif matched:
            found.update(matched)
        elif jobs.whole:
            report.error("no-match", at, f"regex {quoted(pattern)} matches no job")
    return found


def planned_workflow(spec: Spec, made: Expansion, options: Options, report: Report) -> PlannedWorkflow:
    """The settings."""
    values = spec.values
    notices = [values for _, values in spec.objects("notify")]
    return PlannedWorkflow(
        name=values["name"] or "",
        execution_config=_execution(spec, made, report),
        resource_monitor_config=_given(values["resource_monitor"]),
        notify=[_given(notice) or {} for notice in notices] or None,
        submission_directory=options.submission_directory,
        source_path=options.source_path,
        source_digest=options.source_digest,
        access_groups=[group for group in values["access_groups"] or () if group is not None],
        **{key: values[key] for key in _SAME if values[key] is not None},
    )


def _execution(spec: Spec, made: Expansion, report: Report) -> dict[str, Any] | None:
    config = _given(spec.values["execution_config"]) or {}
    overrides = dict(config.get("job_stdio_overrides") or {})
    names = made.names["jobs"]
    for name in overrides:
        if name not in names.positions and (message := names.unknown(name)):
            report.error("unknown-reference", ("execution_config", "job_stdio_overrides", name), message)
    for draft in made.drafts:
        stdio = draft.template.values["stdio"]
        if stdio:
            overrides[draft.name] = stdio
    if overrides:
        config["job_stdio_overrides"] = {name: _given(stdio) or {} for name, stdio in overrides.items()}
    return config or None


def _given(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Only what the document says; what it leaves open is decided where it is used."""
    if values is None:
        return None
    return {
        key: _given(value)
        if isinstance(value, Mapping)
        else list(value)
        if isinstance(value, tuple)
        else value
        for key, value in values.items()
        if value is not None
    }
