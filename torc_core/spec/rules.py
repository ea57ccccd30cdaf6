"""Checks objects whose keys must agree with each other: handlers, schedulers, actions, notices, modes (step 2)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from torc_core.model.execution import misplaced
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path
from torc_core.spec.parse import Spec
from torc_core.spec.shape import quoted
from torc_core.spec.tables import MANAGED

JOB_TRIGGERS = ("on_jobs_ready", "on_jobs_complete")
WORKER_TRIGGERS = ("on_worker_start", "on_worker_complete")

_COMMANDS = ("commands",)
_SCHEDULE = (
    "scheduler", "scheduler_type", "num_allocations", "start_one_worker_per_node", "max_parallel_jobs",
)  # fmt: skip


def check_objects(spec: Spec, report: Report) -> None:
    """Complain about keys that do not go together."""
    for path, requirement in spec.objects("resource_requirements"):
        if requirement["name"] == "default":
            message = "the requirement 'default' is built in; choose another name"
            report.error("reserved", (*path, "name"), message)
    for key, noun in (
        ("resource_requirements", "requirement"),
        ("failure_handlers", "failure handler"),
        ("slurm_schedulers", "scheduler"),
    ):
        _unique(spec, key, noun, report)
    for path, handler in spec.objects("failure_handlers"):
        _handler(handler, path, report)
    for path, scheduler in spec.objects("slurm_schedulers"):
        _scheduler(spec, scheduler, path, report)
    for path, action in spec.objects("actions"):
        _action(spec, action, path, report)
    for path, notice in spec.objects("notify"):
        _notice(spec, notice, path, report)
    _modes(spec, report)
    if spec.given(("jobs_sort_method",)):
        message = "jobs_sort_method is ignored: the order of jobs is fixed"
        report.warning("ignored-field", ("jobs_sort_method",), message)


def mode_of(spec: Spec) -> str:
    """The mode that the checks go by: `auto` is slurm where there are schedulers."""
    mode = str((spec.values["execution_config"] or {}).get("mode") or "direct")
    if mode == "auto":
        return "slurm" if spec.values["slurm_schedulers"] else "direct"
    return mode


def _unique(spec: Spec, key: str, noun: str, report: Report) -> None:
    first: dict[str, int] = {}
    for path, entry in spec.objects(key):
        name = entry["name"]
        if name is not None and first.setdefault(name, int(path[1])) != path[1]:
            message = f"duplicate {noun} name {quoted(name)} (first at {key}[{first[name]}])"
            report.error("duplicate-name", (*path, "name"), message)


def _handler(handler: Mapping[str, Any], path: Path, report: Report) -> None:
    owner: dict[int, int] = {}
    for k, rule in enumerate(handler["rules"] or ()):
        if rule is None or rule["exit_codes"] is None:
            continue
        if not rule["exit_codes"] and not rule["match_all_exit_codes"]:
            message = "rule matches nothing; give exit_codes or match_all_exit_codes: true"
            report.error("bad-value", (*path, "rules", k), message)
        for code in dict.fromkeys(rule["exit_codes"]):
            if code is not None and owner.setdefault(code, k) != k:
                message = f"exit code {code} is taken by rules[{owner[code]}] already"
                report.warning("shadowed-rule", (*path, "rules", k, "exit_codes"), message)


def _scheduler(spec: Spec, scheduler: Mapping[str, Any], path: Path, report: Report) -> None:
    defaults = spec.values["slurm_defaults"] or {}
    if scheduler["account"] is None and not spec.given((*path, "account")) and "account" not in defaults:
        message = "'account' is missing; give it here or in slurm_defaults"
        report.error("missing", path, message)
    options = _extra(scheduler["extra"] or "", (*path, "extra"), report)
    dependent = "dependency" in options or any(key.lower() == "dependency" for key in defaults)
    if scheduler["serialize_allocations"] and dependent:
        message = "serialize_allocations and --dependency cannot be combined"
        report.error("serialized-dependency", (*path, "serialize_allocations"), message)


def _extra(extra: str, path: Path, report: Report) -> list[str]:
    try:
        words = shlex.split(extra)
    except ValueError as error:
        report.error("bad-value", path, f"extra cannot be split into words: {error}")
        return []
    options = []
    for word in words:
        if word.startswith("--"):
            options.append(word[2:].partition("=")[0].lower().replace("_", "-"))
            if options[-1] in MANAGED:
                message = f"extra may not hold {quoted(word)}: torc sets --{options[-1]} itself"
                report.error("reserved", path, message)
        elif word.startswith("-") or word is words[0]:
            report.error("bad-value", path, f"extra takes long options only, got {quoted(word)}")
    return options


def _action(spec: Spec, action: Mapping[str, Any], path: Path, report: Report) -> None:
    trigger, kind = action["trigger_type"], action["action_type"]
    if trigger in JOB_TRIGGERS:
        if not spec.given((*path, "jobs")) and not spec.given((*path, "job_name_regexes")):
            report.error("action-fields", path, f"{trigger} needs jobs or job_name_regexes")
        elif action["jobs"] == () and not action["job_name_regexes"]:
            report.error("action-fields", path, f"{trigger} needs at least one job")
    elif trigger is not None:
        for key in ("jobs", "job_name_regexes"):
            if spec.given((*path, key)):
                report.error("action-fields", (*path, key), f"{key} does not belong to {trigger}")
    if trigger not in (None, "on_jobs_ready") and spec.given((*path, "trigger_mode")):
        report.error("action-fields", (*path, "trigger_mode"), "trigger_mode belongs to on_jobs_ready")
    if kind is None:
        return
    needed, foreign = (_COMMANDS, _SCHEDULE) if kind == "run_commands" else (_SCHEDULE[:2], _COMMANDS)
    for key in foreign:
        if spec.given((*path, key)):
            report.error("action-fields", (*path, key), f"{key} does not belong to {kind}")
    for key in needed:
        if not spec.given((*path, key)) or action[key] == ():
            report.error("action-fields", path, f"{kind} needs {key}")
    if kind != "schedule_nodes":
        return
    if action["scheduler_type"] == "local":
        message = "scheduler_type local does nothing: torc runs here without an allocation"
        report.warning("ignored-field", (*path, "scheduler_type"), message)
    if action["start_one_worker_per_node"] and mode_of(spec) == "slurm":
        message = "start_one_worker_per_node only applies in direct mode, but the mode is slurm"
        report.error("mode-conflict", (*path, "start_one_worker_per_node"), message)


def _notice(spec: Spec, notice: Mapping[str, Any], path: Path, report: Report) -> None:
    ways = [key for key in ("command", "webhook") if spec.given((*path, key))]
    if not ways:
        report.error("notify-fields", path, f"notify[{path[1]}] needs command or webhook")
    if len(ways) == 2:
        report.error("notify-fields", path, "give command or webhook, not both")


def _modes(spec: Spec, report: Report) -> None:
    config, path = spec.values["execution_config"] or {}, ("execution_config",)
    mode = mode_of(spec)
    if config.get("mode") is None and spec.given((*path, "mode")):
        return
    for key, message in misplaced(config, mode):
        report.error("mode-conflict", (*path, key), message)
    alone = any(action["start_one_worker_per_node"] for _, action in spec.objects("actions"))
    if config.get("srun_mpi") is not None and mode == "direct" and not alone:
        message = "srun_mpi needs an action with start_one_worker_per_node: true"
        report.error("mode-conflict", (*path, "srun_mpi"), message)
    if config.get("mode") == "auto":
        message = f"mode auto is decided on each node; this document was checked for {mode} mode"
        report.warning("auto-mode", (*path, "mode"), message)
