"""How a server finds out who asks: what its options and settings come to (`security.md` §3.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torc_core.errors import UsageError
from torc_core.record import record

if TYPE_CHECKING:
    from torc_core.config.server import ServerKeys

Mode = Literal["auto", "credentials", "none"]

BANNER = (
    "WARNING: this server asks nobody who he is (--auth none)",
    "whoever reaches {addresses} can run commands as user '{owner}'",
    "start it without --auth none to change that",
)


@record(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """The rules of one server.

    Parameters
    ----------
    owner
        The Unix user of the process.
    """

    mode: Mode = "auto"
    owner: str
    host: str
    auth_file: str | None = None
    credential_cache_ttl_secs: int = 60
    local_users: tuple[str, ...] = ()
    admin_users: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    allow_shared_permissions: bool = False
    job_requests_per_s: int = 50
    user_requests_per_s: int = 200


def settled(
    keys: ServerKeys,
    *,
    owner: str,
    host: str,
    real_root: Callable[[], bool],
    insecure_no_auth: bool = False,
    auth_is_default: bool = True,
    allow_shared_permissions: bool = False,
) -> AuthSettings:
    """The settings of a server.

    Parameters
    ----------
    real_root
        Whether the process is root of the host (K5).
    auth_is_default
        Whether nobody has said which mode is wanted.

    Raises
    ------
    UsageError
        If two of them contradict each other.
    """
    if keys.auth not in {"auto", "credentials", "none"}:
        raise UsageError(f"--auth is auto, credentials or none, not '{keys.auth}'")
    asked = set() if auth_is_default else {keys.auth}
    asked |= {"credentials"} if keys.require_auth else set()
    asked |= {"none"} if insecure_no_auth else set()
    if len(asked) > 1:
        raise UsageError(
            f"the modes {' and '.join(sorted(asked))} contradict each other; give one of --auth, --require-auth,"
            " --insecure-no-auth"
        )
    mode: Mode = asked.pop() if asked else "auto"  # type: ignore[assignment]  # one of the three
    if mode == "none":
        for option, given in (
            ("--auth-file", keys.auth_file),
            ("--enforce-access-control", keys.enforce_access_control),
        ):
            if given:
                raise UsageError(f"--auth none lets everybody in, {option} does not; leave one of them out")
    if mode == "auto" and real_root():
        mode = "credentials"
    return AuthSettings(
        mode=mode,
        owner=owner,
        host=host,
        auth_file=None if keys.auth_file is None else str(Path(keys.auth_file).expanduser()),
        credential_cache_ttl_secs=keys.credential_cache_ttl_secs,
        local_users=tuple(keys.local_users),
        admin_users=tuple(keys.admin_users),
        allow_hosts=tuple(keys.allow_hosts),
        allow_shared_permissions=allow_shared_permissions,
        job_requests_per_s=keys.limits.job_requests_per_s,
        user_requests_per_s=keys.limits.user_requests_per_s,
    )


def banner(settings: AuthSettings, addresses: str) -> str:
    """Three lines that a server without authentication prints at its start and every hour."""
    return "\n".join(BANNER).format(addresses=addresses, owner=settings.owner)
