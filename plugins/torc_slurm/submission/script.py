"""The script that is given to sbatch: directives in one fixed order, each once, and a body of a few lines (`slurm.md` §2)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from torc_core.errors import Invalid
from torc_core.model import Allocation, SlurmScheduler, Workflow
from torc_core.model.resources import walltime_seconds
from torc_core.record import record
from torc_core.runner.options import Execution
from torc_slurm.scheduler.times import written
from torc_slurm.submission.terms import RUNNER, Terms

SIGNAL_SPARE = 30
"""Seconds that the signal comes before a runner has to begin to end its jobs."""

MANAGED = ("partition", "nodes", "walltime", "time", "mem", "gres", "name", "job-name")
"""Options that have fields of their own, or are torc's: `extra` and `slurm_defaults` may not hold them."""
REFUSED = ("array", "wrap", "test-only", "parsable", "wait", "help", "usage", "version")
"""Options that would make something else than one allocation of a script."""

_KEY = re.compile(r"[a-z][a-z0-9-]{0,63}")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./()*\[\]~^&|!<>{}-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAME = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_TYPED = {
    "account": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:,[A-Za-z0-9_][A-Za-z0-9_.+-]*)*"),
    "partition": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:,[A-Za-z0-9_][A-Za-z0-9_.+-]*)*"),
    "qos": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:,[A-Za-z0-9_][A-Za-z0-9_.+-]*)*"),
    "gres": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:.,=()*-]*"),
    "mem": re.compile(r"[0-9]+[KMGTkmgt]?"),
    "tmp": re.compile(r"[0-9]+[KMGTkmgt]?"),
    "nodes": re.compile(r"[1-9][0-9]{0,8}"),
    "ntasks_per_node": re.compile(r"[1-9][0-9]{0,8}"),
}
ORDER = (
    "job-name", "account", "partition", "qos", "nodes", "ntasks-per-node", "time", "mem", "gres", "tmp", "output",
    "error", "comment", "signal", "no-requeue", "dependency",
)  # fmt: skip


@record(frozen=True, slots=True, kw_only=True)
class Script:
    """A script for sbatch.

    Parameters
    ----------
    file
        Its name: unique, whatever the allocation is called in the queue.
    job_name
        What the allocation is called in the queue.
    """

    file: str
    job_name: str
    text: str


def comment(store_id: str, key: str) -> str:
    """By which an allocation is found again in the queue (SB3)."""
    return f"torc/{store_id}/{key}"


def job_name(scheduler: SlurmScheduler, key: str, prefix: str) -> str:
    """What an allocation is called in the queue: serialised ones share a name, which Slurm goes by (SB2)."""
    if scheduler.fields.get("serialize_allocations"):
        return f"torc-wf{scheduler.workflow_id}-s{scheduler.id}"
    return f"{prefix}wf{scheduler.workflow_id}_{key}"


def script(
    workflow: Workflow,
    scheduler: SlurmScheduler,
    allocation: Allocation,
    terms: Terms,
    store_id: str,
    *,
    delay: int = 0,
    one_worker_per_node: bool = False,
    max_parallel_jobs: int | None = None,
) -> Script:
    """The script of one allocation.

    Parameters
    ----------
    delay
        Seconds within which its runners make their first requests.

    Raises
    ------
    Invalid
        If a value could be taken for something else than what it is meant for; the sentence names it.
    """
    if not _NAME.fullmatch(terms.prefix) or terms.prefix.startswith("-"):
        raise Invalid(f"job prefix {terms.prefix!r} is not made of letters, digits, '_', '.' and '-'")
    key = allocation.submission_key
    name = job_name(scheduler, key, terms.prefix)
    found = directives(workflow, scheduler, allocation, terms, name, comment(store_id, key))
    lines = ["#!/bin/bash", *(f"#SBATCH {line}" for line in found), "", "set -u"]
    lines += body(workflow, allocation, terms, delay, one_worker_per_node, max_parallel_jobs)
    file = f"{terms.prefix}wf{workflow.id}_{key}.sh"
    return Script(file=file, job_name=name, text="\n".join(lines) + "\n")


def directives(
    workflow: Workflow, scheduler: SlurmScheduler, allocation: Allocation, terms: Terms, name: str, note: str
) -> list[str]:
    """The options of sbatch, in their order, each at most once (SB1)."""
    fields: Mapping[str, Any] = scheduler.fields
    execution = Execution.of(workflow.execution_config)
    lead = round(execution.lead + execution.headroom) + SIGNAL_SPARE
    if "\\" in terms.output_dir:
        # NOTE: Slurm takes it away from names of files, and expands nothing in them then.
        raise Invalid(
            f"output_dir {terms.output_dir!r} holds a backslash, which Slurm cannot write to; choose another"
        )
    files = f"{_checked('output_dir', terms.output_dir).replace('%', '%%')}/slurm_output_wf{workflow.id}_sl%j"
    typed: dict[str, str | None] = {
        "job-name": name,
        "account": _typed("account", fields.get("account")),
        "partition": _typed("partition", fields.get("partition")),
        "qos": _typed("qos", fields.get("qos")),
        "nodes": _typed("nodes", allocation.nodes),
        "ntasks-per-node": _typed("ntasks_per_node", fields.get("ntasks_per_node")),
        "time": _walltime(str(fields.get("walltime") or "01:00:00")),
        "mem": _typed("mem", fields.get("mem")),
        "gres": _typed("gres", fields.get("gres")),
        "tmp": _typed("tmp", fields.get("tmp")),
        "output": f"{files}.o",
        "error": f"{files}.e",
        "comment": note,
        "signal": f"B:TERM@{lead}",
        "no-requeue": None if terms.requeue else "",
        "dependency": "singleton" if fields.get("serialize_allocations") else None,
    }
    extra = extra_options(str(fields.get("extra") or ""))
    defaults = default_options(workflow.slurm_defaults or {})
    if fields.get("serialize_allocations") and ("dependency" in extra or "dependency" in defaults):
        raise Invalid("serialize_allocations and --dependency cannot be combined")
    if {"requeue", "no-requeue"} & {*extra, *defaults}:
        typed["no-requeue"] = None
    chosen = {option: value for option in ORDER if (value := typed[option]) is not None}
    chosen = {option: extra.get(option, value) for option, value in chosen.items()}
    for options in (defaults, extra):
        for option, value in options.items():
            if options is defaults and option in extra:
                continue
            chosen.setdefault(option, value)
    return [
        f"--{option}" if value == "" else f"--{option}={_quoted(value)}" for option, value in chosen.items()
    ]


def extra_options(text: str) -> dict[str, str]:
    """The options of `extra`, split as a shell would; a value may follow `=` or stand in the next word.

    Raises
    ------
    Invalid
        If a word is no long option, or torc sets the option itself.
    """
    _checked("extra", text)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Invalid(f"extra {text!r} cannot be split into words: {error}") from error
    found: dict[str, str] = {}
    last: str | None = None
    for word in words:
        if word.startswith("--"):
            option, equals, value = word[2:].partition("=")
            last = _option(option, "extra")
            found[last] = value if equals else ""
            if equals:
                last = None
        elif word.startswith("-") or last is None:
            raise Invalid(f"extra takes long options only, got {word!r}; write --option=value")
        else:
            found[last], last = word, None
    return found


def default_options(defaults: Mapping[str, Any]) -> dict[str, str]:
    """The options of `slurm_defaults`; true stands for an option without a value, false for none."""
    found = {}
    for key, value in defaults.items():
        option = _option(str(key), "slurm_defaults")
        if value is True:
            found[option] = ""
        elif isinstance(value, str | int | float) and value is not False:
            text = _checked(f"slurm_defaults.{key}", str(value))
            if text.startswith("-"):
                raise Invalid(
                    f"slurm_defaults.{key} {text!r} begins with '-'; it would be taken for an option"
                )
            found[option] = text
        elif value is not False and value is not None:
            raise Invalid(f"slurm_defaults.{key} is a text, a number or true, got {value!r}")
    return found


def body(
    workflow: Workflow,
    allocation: Allocation,
    terms: Terms,
    delay: int,
    one_worker_per_node: bool,
    max_parallel_jobs: int | None,
) -> list[str]:
    """What runs in the allocation: nothing but runners; the batch shell becomes the runner itself (SB5)."""
    exported = {"TORC_API_URL": terms.url, "TORC_SUBMISSION_KEY": allocation.submission_key}
    if terms.token_file is not None:
        exported["TORC_TOKEN_FILE"] = terms.token_file
    for name, value in exported.items():
        _checked(name, value)
    lines = [f'export PATH={shlex.quote(_checked("PATH", terms.programs))}:"${{PATH-/usr/bin:/bin}}"']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    command = [shlex.quote(f"{terms.programs}/{RUNNER}"), '"$TORC_API_URL"', str(workflow.id)]
    command += [shlex.quote(terms.output_dir), "--poll-interval", str(terms.poll_interval)]
    parallel = max_parallel_jobs if max_parallel_jobs is not None else terms.max_parallel_jobs
    if parallel is not None:
        command += ["--max-parallel-jobs", str(int(parallel))]
    if delay:
        command += ["--startup-delay-seconds", str(int(delay))]
    if one_worker_per_node:
        mpi = str((workflow.execution_config or {}).get("srun_mpi") or "none")
        lines.append("unset SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU")
        each = [
            "srun",
            "--ntasks-per-node=1",
            f"--nodes={allocation.nodes}",
            "--wait=0",
            "--kill-on-bad-exit=0",
        ]
        command = [*each, "--cpu-bind=none", shlex.quote(f"--mpi={_checked('srun_mpi', mpi)}"), *command]
    return [*lines, f"exec {' '.join(command)}"]


def _walltime(text: str) -> str:
    seconds = walltime_seconds(text)
    if not seconds:
        raise Invalid(
            f"walltime {text!r} of a Slurm scheduler is no length of time; write HH:MM:SS or D-HH:MM:SS"
        )
    return written(seconds)


def _option(text: str, where: str) -> str:
    option = text.strip().lower().replace("_", "-")
    if not _KEY.fullmatch(option):
        raise Invalid(f"{where} holds {text!r}, which is no option of sbatch")
    if option in MANAGED:
        raise Invalid(f"{where} may not hold --{option}: torc sets it itself")
    if option in REFUSED:
        raise Invalid(f"{where} may not hold --{option}: torc asks for one allocation at a time")
    return option


def _typed(field: str, value: object) -> str | None:
    if value is None:
        return None
    text = _checked(field, str(value))
    if not _TYPED[field].fullmatch(text):
        raise Invalid(f"{field} {text!r} of a Slurm scheduler is not what sbatch takes there")
    return text


def _checked(field: str, text: str) -> str:
    if _CONTROL.search(text):
        raise Invalid(f"{field} {text!r} holds a line break or another control character; take it out")
    return text


def _quoted(value: str) -> str:
    """A value as one word of a directive: Slurm reads double quotes and backslashes there."""
    _checked("value", value)
    if _PLAIN.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
