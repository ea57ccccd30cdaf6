"""The keys of `[client]` and `[plugins]`: name, type, default and a line of help (`cli.md` §7.2)."""

# NOTE: no `from __future__ import annotations` here: the types are read at run time, and real ones are read faster.

from collections.abc import Mapping
from typing import Any, Literal

from torc_core.config.declare import Color, LogLevel, key, section, tables
from torc_core.record import record

Free = Mapping[str, Any]
"""A table whose keys another part of torc checks."""


@record(frozen=True, slots=True, kw_only=True)
class Run:
    """Defaults of `torc run` and `torc exec`."""

    poll_interval: float = key(5.0, "Longest pause between two contacts with the store, in seconds.")
    output_dir: str = key("torc_output", "Where the output of jobs goes.")
    max_parallel_jobs: int | None = key(None, "At most so many jobs at once, resources ignored.")
    num_cpus: int | None = key(None, "CPUs to offer; not set: those detected.")
    memory_gb: float | None = key(None, "Memory to offer, in GiB; not set: that detected.")
    num_gpus: int | None = key(None, "GPUs to offer; not set: those detected.")


@record(frozen=True, slots=True, kw_only=True)
class Offline:
    """What runners do while the store is away."""

    enabled: bool = key(True, "Go on with held jobs while the store is away.")
    drain_ping_interval_secs: int = key(120, "Pause between attempts to reach the store, in seconds.")


@record(frozen=True, slots=True, kw_only=True)
class Tls:
    """How servers prove who they are."""

    ca_cert: str | None = key(None, "File with the certificates to trust; not set: those of the system.")
    insecure: bool = key(False, "Do not check certificates.")


@record(frozen=True, slots=True, kw_only=True)
class Slurm:
    """How Slurm is asked for nodes."""

    poll_interval: int = key(30, "Longest pause of a runner between two contacts with the store, in seconds.")
    keep_submission_scripts: bool = key(False, "Keep the scripts given to sbatch.")
    strict_scheduler_match: bool = key(False, "Claim only jobs of the allocation's own scheduler.")
    group_by: str = key("partition", "How jobs are put together into allocations.")
    walltime_strategy: str = key("max-job-runtime", "How long an allocation is asked for.")
    walltime_multiplier: float = key(1.5, "Factor on the walltime.")
    rpc_per_minute: int = key(20, "At most so many questions to Slurm.")
    submit_per_minute: int = key(120, "At most so many submissions to Slurm.")
    requeue: bool = key(False, "Let Slurm requeue allocations.")
    cancel_unneeded: bool = key(True, "Cancel queued allocations that are needed no longer.")
    max_node_hours: float | None = key(None, "Never ask for more node-hours.")


@record(frozen=True, slots=True, kw_only=True)
class Hpc:
    """What is known about clusters."""

    default_account: str | None = key(None, "Account to charge.")
    default_profile: str | None = key(None, "Profile of the cluster to take.")
    hostname: str | None = key(None, "Host name to show to other nodes.")
    profile_overrides: Mapping[str, Free] = tables("Changes to known profiles, by name.")
    custom_profiles: Mapping[str, Free] = tables("Profiles of your own, by name.")


@record(frozen=True, slots=True, kw_only=True)
class Remote:
    """How remote machines are reached."""

    max_parallel_ssh: int = key(10, "Connections at once.")
    connect_timeout_secs: int = key(30, "Patience for a connection, in seconds.")
    command_timeout_secs: int = key(60, "Patience for a command, in seconds.")
    output_dir: str = key("torc_output", "Where the output of jobs goes, over there.")
    worker_url: str | None = key(None, "Address of the server as the remote machines see it.")
    reverse_tunnel: Literal["auto", "always", "never"] = key(
        "auto", "Whether to lead remote machines to the server through SSH."
    )
    torc_command: str = key("torc", "How torc is called over there.")
    backend: Literal["paramiko", "openssh"] = key("paramiko", "Which SSH to use.")
    ssh_config: str | None = key(None, "OpenSSH configuration file to read.")


@record(frozen=True, slots=True, kw_only=True)
class Watch:
    """Defaults of `torc watch`."""

    poll_interval: int = key(60, "Pause between two looks, in seconds.")
    max_retries: int = key(3, "Recoveries of one workflow.")
    memory_multiplier: float = key(1.5, "Factor on memory after an out-of-memory end.")
    runtime_multiplier: float = key(1.5, "Factor on the runtime after a time-out.")
    retry_unknown: bool = key(False, "Retry jobs that failed for no known reason.")
    auto_schedule: bool = key(False, "Ask for nodes when ready jobs have none.")
    auto_schedule_threshold: int = key(5, "Ready jobs that are worth a new allocation.")
    auto_schedule_cooldown: int = key(1800, "Pause between two such requests, in seconds.")
    auto_schedule_stranded_timeout: int = key(7200, "Ask at once after so many seconds without a node.")
    max_memory: str | None = key(None, "Never ask for more memory per job.")
    max_runtime: str | None = key(None, "Never ask for a longer runtime per job.")
    max_node_hours: float | None = key(None, "Never ask for more node-hours.")


@record(frozen=True, slots=True, kw_only=True)
class Client:
    """Settings of the commands."""

    api_url: str | None = key(None, "Address of a server; not set: the database of this machine.")
    database: str | None = key(None, "SQLite file; not set: torc/torc.db in the user's data folder.")
    format: Literal["table", "json", "csv"] = key("table", "How results are printed.")
    log_level: LogLevel = key("warn", "What is told on stderr.")
    username: str = key("", "In whose name; not set: who is logged in.")
    color: Color = key("auto", "Whether output is coloured.")
    token_file: str | None = key(None, "File with the key of the server.")
    auto_server: bool = key(True, "Start a server where other hosts need one.")
    auto_server_idle_minutes: int = key(60, "Such a server ends after so many minutes without work.")
    run: Run = section(Run)
    offline: Offline = section(Offline)
    tls: Tls = section(Tls)
    slurm: Slurm = section(Slurm)
    hpc: Hpc = section(Hpc)
    remote: Remote = section(Remote)
    watch: Watch = section(Watch)


@record(frozen=True, slots=True, kw_only=True)
class Plugins:
    """Which plugins are loaded."""

    disable: tuple[str, ...] = key((), "Names of plugins to leave out.")
