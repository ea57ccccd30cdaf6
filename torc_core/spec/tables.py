"""Every object of a document: its keys, their types, defaults and limits (`workflow-spec.md` §3 to §12)."""

from __future__ import annotations

import re
from typing import Any

from torc_core.model.event import EVENTS
from torc_core.model.resources import walltime_seconds
from torc_core.spec.document import Path
from torc_core.spec.free import json_object, json_value, or_json_text
from torc_core.spec.shape import (
    CONTROL,
    IDENT,
    WRONG,
    Field,
    Kind,
    Reading,
    Table,
    as_written,
    bare,
    boolean,
    choice,
    duration,
    list_of,
    map_of,
    memory,
    name,
    number,
    plain_text,
    quoted,
    shown,
    text,
    warn_unresolved,
    whole,
)  # fmt: skip

MOST_ENV, MOST_ENV_BYTES = 1_000, 128 * 1024

MANAGED = ("partition", "nodes", "walltime", "time", "mem", "gres", "name", "job-name")
"""Slurm options that have fields of their own or are set by torc."""

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")

_LIST = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(,[A-Za-z0-9_][A-Za-z0-9_.+-]*)*"
_SLURM = {
    **dict.fromkeys(("account", "partition", "qos"), re.compile(_LIST)),
    "gres": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:.,=()*-]*"),
    **dict.fromkeys(("mem", "tmp"), re.compile(r"[0-9]+[KMGTkmgt]?")),
}
"""What can be passed to Slurm, by field of a scheduler (`security.md` E5)."""

_FORMS = {"gres": "gpu:2", "mem": "180G", "tmp": "180G"}
_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_SRUN_SIGNAL = re.compile(r"(?:B:)?(?:[A-Z][A-Z0-9]{1,15}|[0-9]{1,2})(?:@[0-9]{1,9})?")
_MPI = re.compile(r"[A-Za-z0-9_,-]+")


def unquoted_text(reading: Reading, value: Any, path: Path) -> Any:
    """Text that is passed on literally: whole numbers are taken, everything else needs quotes."""
    if isinstance(value, bool | float):
        message = f"expected text, got {shown(value)}; write it in quotes so that it is passed on unchanged"
        return reading.wrong("wrong-type", path, message)
    if isinstance(value, int):
        return shown(value)
    return as_written(reading, value, path)


def variable_value(reading: Reading, value: Any, path: Path) -> Any:
    """The value of a variable: text that refers to no other."""
    got = unquoted_text(reading, value, path)
    found = None if got is WRONG else re.search(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}", got)
    if found:
        message = f"variables.{path[-1]} refers to {found[0]}; variables cannot refer to each other"
        return reading.wrong("variable-clash", path, message)
    return got


def _env_template(reading: Reading, value: Any, path: Path) -> Any:
    got = unquoted_text(reading, value, path)
    return WRONG if got is WRONG else reading.fill(got, path, template=True)


def _env_text(reading: Reading, value: Any, path: Path) -> Any:
    got = unquoted_text(reading, value, path)
    got = WRONG if got is WRONG else reading.fill(got, path)
    if got is not WRONG:
        warn_unresolved(reading, got, path)
    return got


def job_env(reading: Reading, value: Any, path: Path) -> Any:
    """Environment variables of a job; the values are templates."""
    return _env(reading, value, path, _env_template)


def env(reading: Reading, value: Any, path: Path) -> Any:
    """Environment variables of a workflow."""
    return _env(reading, value, path, _env_text)


def _env(reading: Reading, value: Any, path: Path, kind: Kind) -> Any:
    got = map_of(kind)(reading, value, path)
    if got is WRONG:
        return WRONG
    for key in got:
        at = (*path, key)
        if CONTROL.search(key):
            reading.wrong("control-character", at, f"the name {quoted(key)} holds a control character")
        elif not IDENT.fullmatch(key):
            reading.wrong("bad-name", at, f"{quoted(key)} is no name of an environment variable")
        elif key.startswith("TORC_"):
            reading.wrong("reserved", at, f"names that begin with TORC_ are reserved, got {quoted(key)}")
        elif any(word in key.upper() for word in ("PASSWORD", "TOKEN", "SECRET", "API_KEY")):
            message = f"{quoted(key)} looks like a secret; whoever may read the workflow can see its value"
            reading.report.warning("secret-in-env", at, message)
    fault = env_fault(got)
    return reading.wrong("out-of-range", path, fault) if fault else got


def env_fault(env: dict[str, str]) -> str | None:
    """Why an environment is too large; None: it is not."""
    if len(env) > MOST_ENV:
        return f"the environment has {len(env):,} entries; the limit is {MOST_ENV:,}"
    size = sum(len(key.encode()) + len(value.encode(errors="replace")) + 2 for key, value in env.items())
    if size > MOST_ENV_BYTES:
        return f"the environment is {size / 1024:,.0f} KiB long; the limit is 128 KiB"
    return None


def one_line(*, low: int = 1) -> Kind:
    """A value that goes into a Slurm script or command line."""
    return text(low=low, control="control-character")


def slurm_value(reading: Reading, value: Any, path: Path) -> Any:
    """A value that goes to Slurm under the name of its field."""
    got = one_line()(reading, value, path)
    if got is not WRONG and not _SLURM[str(path[-1])].fullmatch(got):
        form = _FORMS.get(str(path[-1]))
        remedy = f"write e.g. {form}" if form else "use letters, digits and _.+-"
        message = f"{path[-1]} {shown(got)} cannot be passed to Slurm; {remedy}"
        return reading.wrong("bad-value", path, message)
    return got


def walltime(reading: Reading, value: Any, path: Path) -> Any:
    """A time in one of Slurm's forms; a whole number means minutes."""
    got = bare(value)
    got = (
        shown(got) if isinstance(got, int) and not isinstance(got, bool) else plain_text(reading, value, path)
    )
    if got is WRONG:
        return WRONG
    if not walltime_seconds(got):
        message = f'walltime {shown(got)} is not a time; write "D-HH:MM:SS", "HH:MM:SS", "MM:SS" or minutes'
        return reading.wrong("bad-value", path, message)
    return got


def slurm_default(reading: Reading, value: Any, path: Path) -> Any:
    """One of `slurm_defaults`: text, a whole number, or true for an option without value."""
    key, got = str(path[-1]), bare(value)
    if isinstance(got, list | tuple | dict | float):
        message = f"expected text, a whole number or true, got {shown(value)}"
        return reading.wrong("wrong-type", path, message)
    if CONTROL.search(key) or (isinstance(got, str) and CONTROL.search(got)):
        return reading.wrong(
            "control-character", path, "Slurm options hold no control characters; take it out"
        )
    if not _OPTION.fullmatch(key):
        message = f"{quoted(key)} is no long option of sbatch; write it without leading dashes"
        return reading.wrong("bad-name", path, message)
    if key.lower().replace("_", "-") in MANAGED:
        message = f"{quoted(key)} is set by torc; use the field of the scheduler"
        return reading.wrong("reserved", path, message)
    if key == "account":
        return slurm_value(reading, shown(got) if type(got) is int else got, path)
    return reading.fill(got, path) if isinstance(got, str) else got


def signal(reading: Reading, value: Any, path: Path) -> Any:
    """A signal that asks a job to end, with or without SIG."""
    got = plain_text(reading, value, path)
    if got is WRONG:
        return WRONG
    full = "SIG" + got.upper().removeprefix("SIG")
    if full not in SIGNALS:
        message = f"{path[-1]} must be one of {', '.join(SIGNALS)}, got {shown(got)}"
        return reading.wrong("bad-value", path, message)
    return full


def pattern(expression: re.Pattern[str], example: str) -> Kind:
    """Text of a fixed form."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        got = plain_text(reading, value, path)
        if got is not WRONG and not expression.fullmatch(got):
            return reading.wrong("bad-value", path, f"{path[-1]} {shown(got)} is not of the form {example}")
        return got

    return read


def exit_code(reading: Reading, value: Any, path: Path) -> Any:
    """An exit code that a rule may name; -128: the node was lost."""
    got = whole(-128, 255)(reading, value, path)
    if got == 0 and got is not WRONG and not isinstance(got, bool):
        return reading.wrong(
            "out-of-range", path, "exit code 0 is success; name codes from 1 to 255 or -128 to -1"
        )
    return got


def event(reading: Reading, value: Any, path: Path) -> Any:
    """The name of an event."""
    got = plain_text(reading, value, path)
    if got is not WRONG and got not in EVENTS:
        message = f"no event named {quoted(got)}{reading.report.meant(got, EVENTS)}"
        return reading.wrong("notify-fields", path, message)
    return got


def webhook(reading: Reading, value: Any, path: Path) -> Any:
    """An address to post to; whether plain http is allowed there, the server knows."""
    got = one_line()(reading, value, path)
    if got is not WRONG and not re.match(r"https?://[^/\s]+", got):
        return reading.wrong("bad-value", path, f"webhook {shown(got)} is not an http or https URL")
    return got


def raw(reading: Reading, value: Any, path: Path) -> Any:
    """A value that is looked at later."""
    return value


def _each(kind: Kind, *names: str) -> dict[str, Field]:
    """Several optional keys of one kind."""
    return dict.fromkeys(names, Field(kind))


_some, _template = text(), text(template=True)
_switch, _positive, _count = Field(boolean, default=False), whole(1), whole(0)
_expansion = {
    "parameters": Field(raw),
    "parameter_mode": Field(choice("product", "zip"), default="product"),
    "use_parameters": Field(list_of(as_written)),
}
_granularity = Field(choice("summary", "time_series", Summary="summary", TimeSeries="time_series"))

STDIO = Table(
    mode=Field(choice("separate", "combined", "no_stdout", "no_stderr", "none")),
    delete_on_success=Field(boolean),
)
JOB = Table(
    name=Field(_template, required=True),
    command=Field(_template, required=True),
    invocation_script=Field(_template),
    priority=Field(_count, default=0),
    env=Field(job_env),
    **_each(_template, "resource_requirements", "failure_handler", "scheduler", "label"),
    cancel_on_blocking_job_failure=Field(boolean, default=True),
    supports_termination=_switch,
    **_each(
        list_of(_template),
        "depends_on",
        "depends_on_regexes",
        "input_files",
        "input_file_regexes",
        "output_files",
        "output_file_regexes",
        "input_user_data",
        "input_user_data_regexes",
        "output_user_data",
        "output_user_data_regexes",
    ),
    stdio=Field(STDIO),
    **_expansion,
)
FILE = Table(
    name=Field(_template, required=True),
    path=Field(text(low=1, template=True), required=True),
    identifier=Field(_template),
    **_expansion,
)
USER_DATA = Table(
    name=Field(_template, required=True), data=Field(json_value), is_ephemeral=_switch, **_expansion
)
REQUIREMENT = Table(
    name=Field(name, required=True),
    num_cpus=Field(_positive, required=True),
    memory=Field(memory, required=True),
    num_gpus=Field(_count, default=0),
    num_nodes=Field(_positive, default=1),
    runtime=Field(duration, default="PT1H"),
)
RULE = Table(
    exit_codes=Field(list_of(exit_code), default=()),
    match_all_exit_codes=_switch,
    recovery_script=Field(text(low=1)),
    max_retries=Field(_count, default=3),
    delay_seconds=Field(_count, default=0),
    backoff_multiplier=Field(number(1), default=2.0),
    max_delay_seconds=Field(_count, default=3600),
)
HANDLER = Table(name=Field(name, required=True), rules=Field(list_of(RULE, low=1), required=True))
SCHEDULER = Table(
    name=Field(name, required=True),
    **_each(slurm_value, *_SLURM),
    nodes=Field(_positive, default=1),
    walltime=Field(walltime, default="01:00:00"),
    ntasks_per_node=Field(_positive),
    extra=Field(one_line(low=0)),
    serialize_allocations=_switch,
    auto_top_up=Field(boolean, default=True),
    keep_queued=_switch,
)
ACTION = Table(
    trigger_type=Field(
        choice(
            "on_workflow_start", "on_workflow_complete", "on_jobs_ready", "on_jobs_complete",
            "on_worker_start", "on_worker_complete",
        ),
        required=True,
    ),
    action_type=Field(choice("run_commands", "schedule_nodes"), required=True),
    **_each(list_of(_some), "jobs", "job_name_regexes"),
    commands=Field(list_of(text(low=1, prose=True))),
    scheduler=Field(_some),
    scheduler_type=Field(choice("slurm", "local")),
    num_allocations=Field(whole(1, 10_000)),
    start_one_worker_per_node=Field(boolean),
    max_parallel_jobs=Field(_positive),
    trigger_mode=Field(choice("all", "any")),
    persistent=Field(boolean),
)  # fmt: skip
NOTIFY = Table(
    on=Field(list_of(event, low=1), required=True),
    command=Field(text(low=1, prose=True)),
    webhook=Field(webhook),
    min_interval=Field(_count, default=60),
)
EXECUTION = Table(
    mode=Field(choice("direct", "slurm", "auto")),
    stdio=Field(STDIO),
    job_stdio_overrides=Field(map_of(STDIO)),
    termination_signal=Field(signal),
    srun_termination_signal=Field(pattern(_SRUN_SIGNAL, '"TERM@120"')),
    srun_mpi=Field(pattern(_MPI, '"pmix"')),
    **_each(whole(1, 255), "timeout_exit_code", "oom_exit_code"),
    **_each(_count, "sigkill_headroom_seconds", "sigterm_lead_seconds"),
    **_each(
        boolean, "staggered_start", "limit_resources", "limit_runtime", "allow_daemons", "enable_cpu_bind"
    ),
)
MONITOR = Table(
    enabled=Field(boolean),
    granularity=_granularity,
    **_each(_positive, "sample_interval_seconds", "flush_interval_seconds"),
    generate_plots=Field(boolean),
    jobs=Field(Table(enabled=_switch, granularity=_granularity)),
    compute_node=Field(
        Table(
            enabled=_switch,
            granularity=_granularity,
            cpu=Field(boolean, default=True),
            memory=Field(boolean, default=True),
        )
    ),
)
DYNAMIC = Table(max_iterations=Field(_positive, default=1000))
WORKFLOW = Table(
    name=Field(name, required=True),
    **_each(_some, "user", "project", "jobs_sort_method"),
    description=Field(text(prose=True)),
    metadata=Field(json_object),
    **_each(raw, "parameters", "variables"),
    env=Field(env),
    jobs=Field(list_of(JOB), required=True),
    files=Field(list_of(FILE), default=()),
    user_data=Field(list_of(USER_DATA), default=()),
    resource_requirements=Field(list_of(REQUIREMENT), default=()),
    failure_handlers=Field(list_of(HANDLER), default=()),
    slurm_schedulers=Field(list_of(SCHEDULER), default=()),
    actions=Field(list_of(ACTION), default=()),
    slurm_defaults=Field(map_of(slurm_default)),
    execution_config=Field(or_json_text(EXECUTION)),
    **_each(or_json_text(MONITOR), "resource_monitor", "resource_monitor_config"),
    use_pending_failed=_switch,
    retry_on_node_loss=Field(_count, default=0),
    compute_node_wait_for_new_jobs_seconds=Field(_count, default=90),
    compute_node_ignore_workflow_completion=_switch,
    compute_node_wait_for_healthy_database_minutes=Field(whole(1, 2**31 - 1), default=20),
    compute_node_min_time_for_new_jobs_seconds=Field(_count, default=300),
    compute_node_expiration_buffer_seconds=Field(_count),
    enable_ro_crate=_switch,
    access_groups=Field(list_of(name), default=()),
    dynamic_jobs=Field(DYNAMIC),
    notify=Field(list_of(NOTIFY)),
    report=_switch,
    api_access=Field(choice("none", "read", "edit"), default="edit"),
)
