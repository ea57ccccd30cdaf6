"""What is wrong with the options of a server is told before anything is made (`cli.md` §1.4: nothing was changed)."""

from __future__ import annotations

import pwd
from pathlib import Path

from torc_core.config.server import ServerKeys
from torc_core.errors import UsageError
from torc_http.program import logs, places

LEAST = {
    "threads": 1, "credential_cache_ttl_secs": 0, "backup_keep": 1, "max_request_body_mb": 1, "beat_seconds": 1,
    "sweep_seconds": 1, "legacy_claim_seconds": 1, "held_claims": 0, "streams": 0, "streams_per_user": 0,
    "events.keep_days": 0, "events.keep_job_events": 0, "limits.job_requests_per_s": 1,
    "limits.user_requests_per_s": 1, "limits.jobs_per_workflow": 1, "limits.user_events_per_workflow": 0,
    "slurm.rpc_per_minute": 1,
}  # fmt: skip
"""Keys that are numbers, with the smallest that makes sense."""

OPTIONS = ("threads", "credential_cache_ttl_secs", "backup_keep", "max_request_body_mb")
"""Those among them that are options of `torc-server run`, too."""


def check(keys: ServerKeys, host: str, port: str | int, *, shared: bool = False) -> None:
    """Refuse what cannot be, or would silently do nothing.

    Parameters
    ----------
    shared
        Whether others may write to the password file (`--allow-shared-permissions`).

    Raises
    ------
    UsageError, BadValue
        If a value makes no sense, or needs another one beside it.
    NotFound, Invalid, Forbidden
        If the password file is not there, wrong, or open to others.
    """
    for key, least in LEAST.items():
        value = _value(keys, key)
        if value < least:
            named = f"--{key.replace('_', '-')}" if key in OPTIONS else f"server.{key}"
            raise UsageError(f"{named} is {least} or more, not {value}")
    if not keys.completion_check_interval_secs > 0:
        raise UsageError(
            "--completion-check-interval-secs is more than 0, not"
            f" {keys.completion_check_interval_secs:g}; it only paces housekeeping"
        )
    if keys.slurm.submit not in ("auto", "never"):
        raise UsageError(f"server.slurm.submit '{keys.slurm.submit}' is none of auto, never")
    if keys.log_level not in logs.LEVELS:
        raise UsageError(f"log level '{keys.log_level}' is none of {', '.join(logs.LEVELS)}")
    _together(keys)
    for user in keys.local_users:
        _known(user)
    if keys.auth_file is not None:
        from torc_http.auth.passwords import load

        load(Path(keys.auth_file).expanduser(), shared=shared)
    places.check(host, port)


def _value(keys: ServerKeys, key: str) -> int:
    found: object = keys
    for name in key.split("."):
        found = getattr(found, name)
    assert isinstance(found, int)
    return found


def _together(keys: ServerKeys) -> None:
    """Options that do nothing without another one."""
    if (keys.tls_cert is None) != (keys.tls_key is None):
        raise UsageError(
            "--tls-cert and --tls-key belong together; give both, or none for a certificate of its own"
        )
    if keys.tls_cert is not None and not keys.https:
        raise UsageError("--tls-cert and --tls-key are for a server with --https; add it, or leave them out")
    if keys.backup_every is not None and keys.backup_dir is None:
        raise UsageError("--backup-every needs a folder for the copies; name it with --backup-dir")


def _known(user: str) -> None:
    try:
        pwd.getpwnam(user)
    except KeyError:
        raise UsageError(f"--local-users: this host knows no user '{user}'") from None
