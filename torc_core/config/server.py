"""The keys of `[server]` and `[dash]`: name, type, default and a line of help (`cli.md` §7.2)."""

# NOTE: no `from __future__ import annotations` here: the types are read at run time, and real ones are read faster.

from torc_core.config.declare import LogLevel, key, section
from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Events:
    """How long events are kept."""

    keep_days: int = key(0, "Days; 0: for ever.")
    keep_job_events: int = key(0, "Job events per workflow; 0: no limit.")
    debug: bool = key(False, "Keep debug events too.")


@record(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one user or job may ask of a server."""

    job_requests_per_s: int = key(50, "Requests of one job, per second.")
    user_requests_per_s: int = key(200, "Requests of one user, per second.")
    jobs_per_workflow: int = key(1_000_000, "Jobs of one workflow.")
    user_events_per_workflow: int = key(100_000, "Events that users may add to one workflow.")


@record(frozen=True, slots=True, kw_only=True)
class Logging:
    """Log files of a server."""

    log_dir: str | None = key(None, "Folder of the log files.")
    json_logs: bool = key(False, "Log lines are JSON.")


@record(frozen=True, slots=True, kw_only=True)
class ServerSlurm:
    """What a server may do with Slurm."""

    submit: str = key("auto", "Whether the server runs due schedule actions for its own user: auto, never.")
    rpc_per_minute: int = key(20, "At most so many questions to Slurm.")


@record(frozen=True, slots=True, kw_only=True)
class ServerKeys:
    """Settings of `torc-server`."""

    host: str = key("127.0.0.1", "Address or name to bind; `auto`: the internal host name.")
    port: int = key(8080, "Port; 0: a free one.")
    threads: int = key(1, "Connections to the database.")
    database: str | None = key(None, "SQLite file; not set: torc/torc.db in the user's data folder.")
    https: bool = key(False, "Serve over TLS.")
    tls_cert: str | None = key(None, "Certificate file.")
    tls_key: str | None = key(None, "Key file.")
    auth_file: str | None = key(None, "File with names and password hashes.")
    require_auth: bool = key(False, "Ask for a credential on the same host too.")
    credential_cache_ttl_secs: int = key(60, "How long a checked password is remembered, in seconds.")
    enforce_access_control: bool = key(False, "Users see only what is theirs or their groups'.")
    completion_check_interval_secs: float = key(30.0, "Pause between two rounds of housekeeping, in seconds.")
    admin_users: tuple[str, ...] = key((), "Who may do everything.")
    log_level: LogLevel = key("info", "What is logged.")
    backup_dir: str | None = key(None, "Folder of the periodic backups.")
    backup_every: str | None = key(None, "Pause between two backups, as a duration.")
    backup_keep: int = key(5, "Backups to keep.")
    max_request_body_mb: int = key(256, "Largest request, in MiB.")
    metrics: bool = key(True, "Serve figures for monitoring.")
    metrics_token_file: str | None = key(None, "File with the token that the figures ask for.")
    auth: str = key("auto", "Who has to prove himself: auto, credentials, none.")
    local_users: tuple[str, ...] = key((), "Further users of this host to let in.")
    allow_hosts: tuple[str, ...] = key((), "Further names under which browsers may come.")
    notify_hosts: tuple[str, ...] = key((), "Hosts that notifications may be sent to.")
    beat_seconds: int = key(30, "How often runners say that they live.")
    sweep_seconds: int = key(10, "How often the server looks for dead runners.")
    legacy_claim_seconds: int = key(600, "How long older clients may hold a claim.")
    held_claims: int = key(1000, "Claims that may wait at once.")
    streams: int = key(64, "Event streams at once.")
    streams_per_user: int = key(4, "Event streams of one user at once.")
    events: Events = section(Events)
    limits: Limits = section(Limits)
    logging: Logging = section(Logging)
    slurm: ServerSlurm = section(ServerSlurm)


@record(frozen=True, slots=True, kw_only=True)
class Dash:
    """Settings of `torc-dash`."""

    host: str = key("127.0.0.1", "Address to bind.")
    port: int = key(8090, "Port.")
    api_url: str | None = key(None, "Address of the server to show.")
    torc_bin: str = key("torc", "Accepted, not used.")
    torc_server_bin: str = key("torc-server", "Accepted, not used.")
    standalone: bool = key(False, "Bring a server along.")
    server_port: int = key(0, "Port of that server; 0: a free one.")
    server_host: str = key("127.0.0.1", "Address of that server.")
    database: str | None = key(None, "Its SQLite file.")
    completion_check_interval_secs: int = key(5, "Pause between two rounds of its housekeeping, in seconds.")
