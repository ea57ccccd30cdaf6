"""Which tables there are, older names, and the variables that stand for keys (`cli.md` §7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECTIONS = ("client", "server", "dash", "plugins")
"""The tables that torc itself declares."""

KINDS = ("stores", "servers", "launchers", "executors", "monitors")
"""The tables of providers: `[<kind>.<name>]`."""

UNUSED = frozenset(
    f"client.watch.{name}"
    for name in (
        "retry_cooldown",
        "model",
        "cache_path",
        "rate_limit_per_minute",
        "audit_log_path",
        "api_key",
    )
)
"""Keys of published files that nobody ever read: accepted with a warning."""

ALIASES: Mapping[str, str] = {"server.url": "server.host"}
"""Older names of keys."""

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "RUST_LOG": ("client.log_level", "server.log_level"),
    "TORC_LOG": ("client.log_level", "server.log_level"),
    "TORC_API_URL": ("client.api_url",),
    "DATABASE_URL": ("server.database",),
    "TORC_DB": ("client.database", "server.database"),
    "TORC_USERNAME": ("client.username",),
    "TORC_TOKEN_FILE": ("client.token_file",),
    "TORC_TLS_CA_CERT": ("client.tls.ca_cert",),
    "TORC_TLS_INSECURE": ("client.tls.insecure",),
    "TORC_AUTH_FILE": ("server.auth_file",),
    "TORC_CREDENTIAL_CACHE_TTL_SECS": ("server.credential_cache_ttl_secs",),
    "TORC_LOG_DIR": ("server.logging.log_dir",),
    "TORC_COMPLETION_CHECK_INTERVAL_SECS": ("server.completion_check_interval_secs",),
    "TORC_ADMIN_USERS": ("server.admin_users",),
    "TORC_SERVER_SNAPSHOT_PATH": ("server.backup_dir",),
    "TORC_SERVER_SNAPSHOT_KEEP": ("server.backup_keep",),
    "TORC_MAX_REQUEST_BODY_MB": ("server.max_request_body_mb",),
}
"""Variables with names of their own, the stronger of two below the weaker (`cli.md` §7.3)."""


def section_type(section: str) -> type[Any]:
    """The settings class of a table."""
    # PERF: 25 dataclasses cost 20 ms; a table that nobody asks for is never declared.
    if section in ("client", "plugins"):
        from torc_core.config.client import Client, Plugins

        return Client if section == "client" else Plugins
    from torc_core.config.server import Dash, ServerKeys

    return ServerKeys if section == "server" else Dash
