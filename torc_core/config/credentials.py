"""What a command can show to a server, and by what it knows the server."""

from __future__ import annotations

from pathlib import Path

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Everything that was given; which of it is used is for the store to decide (`security.md` §3).

    Parameters
    ----------
    token_file
        A key file or a file with a token; None: key files are looked for in `key_folder`.
    key_folder
        Where servers of this user leave their keys.
    cookie_header
        Sent as it is, for proxies that authenticate.
    ca_cert, insecure
        How a TLS server is checked.
    """

    username: str
    password: str | None = None
    token_file: str | None = None
    key_folder: Path
    cookie_header: str | None = None
    ca_cert: str | None = None
    insecure: bool = False
    check_version: bool = True
