"""`torc-server run`: serve a database until told to stop."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_core.given import Given
from torc_http.program.daemon import Daemon
from torc_http.program.life import Program

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Texts = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]


def run(
    *,
    host: Annotated[str | None, Parameter(name=["--host", "-H"], alias=["--url", "-u"])] = None,
    port: Annotated[str | None, Parameter(name=["--port", "-p"])] = None,
    threads: Annotated[int | None, Parameter(name=["--threads", "-t"])] = None,
    database: Annotated[str | None, Parameter(name=["--database", "-d"])] = None,
    completion_check_interval_secs: Annotated[
        float | None, Parameter(name=["--completion-check-interval-secs", "-c"])
    ] = None,
    auth: str | None = None,
    auth_file: str | None = None,
    require_auth: Flag = False,
    insecure_no_auth: Flag = False,
    local_users: str | None = None,
    allow_host: Texts = (),
    allow_shared_permissions: Flag = False,
    credential_cache_ttl_secs: int | None = None,
    enforce_access_control: Flag = False,
    admin_user: Texts = (),
    https: Flag = False,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    log_level: str | None = None,
    log_dir: str | None = None,
    json_logs: Flag = False,
    daemon: Flag = False,
    pid_file: str | None = None,
    backup_dir: str | None = None,
    backup_every: str | None = None,
    backup_keep: int | None = None,
    idle_exit: str | None = None,
    shutdown_on_stdin_eof: Flag = False,
    max_request_body_mb: int | None = None,
    session: Given,
) -> None:
    """Serve a database to runners, scripts and dashboards until SIGTERM or SIGINT.

    torc-server run --database /scratch/$USER/torc.db --host auto --port auto

    The first line of output is TORC_SERVER_PORT=<n>, the second TORC_API_URL=<address for others>.

    Parameters
    ----------
    host
        Address or name of this host to bind besides loopback; `auto`: the name other nodes reach it by; 0.0.0.0: all.
    port
        0: a free one; `auto`: 8000 + uid % 1000 or the next free one.
    threads
        Connections to the database are max(threads, 2) + 2, and 4 x threads requests, 16 at least, are answered at once.
    database
        SQLite file; made with its folders if it is not there. `:memory:`: one that goes with the server.
    completion_check_interval_secs
        Pause between two rounds of housekeeping; jobs are released at once, whatever it is.
    auth
        Who has to prove himself: auto, credentials, none.
    auth_file
        Names and password hashes, as torc-htpasswd writes them.
    require_auth
        The same as --auth credentials.
    insecure_no_auth
        The same as --auth none: whoever reaches the port can run commands as you.
    local_users
        Further users of this host who are let in without a credential, with commas.
    allow_host
        A further name under which browsers may come.
    allow_shared_permissions
        Open files and folders although others may write to them.
    credential_cache_ttl_secs
        How long a checked password is remembered; 0: not at all.
    enforce_access_control
        Users see only what is theirs or their groups'; always so when more than one can log in.
    admin_user
        Who may do everything.
    https
        Serve over TLS; without files a certificate is made beside the database.
    tls_cert
        File with the certificate, in PEM form.
    tls_key
        File with its key; readable for nobody else.
    log_level
        error, warn, info, debug or trace.
    log_dir
        Folder of the log files; they do not grow beyond 10 MiB, five older ones are kept.
    json_logs
        Log lines are JSON.
    daemon
        Go on without the terminal.
    pid_file
        Where the number of the process is written; <database>.pid with --daemon.
    backup_dir
        Folder for copies of the database; SIGUSR1 makes one at once.
    backup_every
        Make a copy this often, such as 6h; without it only when asked.
    backup_keep
        So many copies are kept; 5 unless configured.
    idle_exit
        End after so long without unfinished workflows.
    shutdown_on_stdin_eof
        End when standard input does.
    max_request_body_mb
        Largest body of a bulk request.
    """
    given = {
        "server.host": host, "server.port": None if port in (None, "auto") else port, "server.threads": threads,
        "server.database": database, "server.completion_check_interval_secs": completion_check_interval_secs,
        "server.auth": auth, "server.auth_file": auth_file, "server.require_auth": require_auth or None,
        "server.local_users": None if local_users is None else tuple(filter(None, local_users.split(","))),
        "server.allow_hosts": allow_host or None, "server.credential_cache_ttl_secs": credential_cache_ttl_secs,
        "server.enforce_access_control": enforce_access_control or None, "server.https": https or None,
        "server.tls_cert": tls_cert, "server.tls_key": tls_key, "server.log_level": log_level,
        "server.logging.log_dir": log_dir, "server.logging.json_logs": json_logs or None,
        "server.backup_dir": backup_dir, "server.backup_every": backup_every, "server.backup_keep": backup_keep,
        "server.max_request_body_mb": max_request_body_mb,
    }  # fmt: skip
    flags = {key: (value, f"--{key.rpartition('.')[2].replace('_', '-')}") for key, value in given.items()}
    config = session.config.over({key: entry for key, entry in flags.items() if entry[0] is not None})
    if admin_user:
        union = tuple(dict.fromkeys((*config.server.admin_users, *admin_user)))
        config = config.over({"server.admin_users": (union, "--admin-user")})
    Program(
        session, config, port=port, insecure_no_auth=insecure_no_auth, daemon=Daemon() if daemon else None,
        shared=allow_shared_permissions, pid_file=pid_file, idle_exit=idle_exit, stdin_eof=shutdown_on_stdin_eof,
    ).run()  # fmt: skip
