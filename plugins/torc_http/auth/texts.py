"""What is said to who may not come in: who may, why this one may not, and what to do (`security.md` S12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torc_core.record import record

if TYPE_CHECKING:
    from torc_http.serving.identity import Peer


@record(frozen=True, slots=True, kw_only=True)
class Place:
    """Of whom and where this server is, as its refusals tell it."""

    owner: str
    host: str
    passwords: bool = False
    credentials_only: bool = False

    def remedies(self) -> Sequence[str]:
        """What somebody without a credential can do."""
        names = (
            "send a name and password that this server knows"
            if self.passwords
            else "start the server with --auth-file for names and passwords"
        )
        return (
            f"use torc on a host that sees {self.owner}'s home directory: it finds the key file by itself",
            f"on {self.host}: torc-server token new --workflow ID, then set TORC_API_URL to the address it prints",
            names,
        )

    def no_credential(self, peer: Peer) -> str:
        """Why nobody is known, of a request that brings nothing."""
        if self.credentials_only:
            return "no credential: this server asks everybody for one, on its own host too"
        only = (
            f"no credential: this server accepts requests without one only from programs of user '{self.owner}'"
            f" on host {self.host}, and yours "
        )
        return only + {
            "remote": f"comes from {peer.address}",
            "another user": f"is run by another user (uid {peer.other_uid})",
            "half-closed": "has closed its half of the connection, so that the kernel does not tell whose it is",
            "proxied": "comes through a proxy, which may speak for anybody",
        }.get(peer.why, "is not known to the kernel as one of them")


WRONG_KEY = "wrong key: this server has another one; it may have been rotated or made anew"
SESSION_UNKNOWN = "session_unknown: this server does not know the session; make a new one"
NOT_SIGNED = "the signature of the request does not hold, or it was used before"
WRONG_TOKEN = "wrong token: this server has made no such token"  # noqa: S105 - a sentence
EXPIRED = "the token has expired"
REVOKED = "the token has been revoked"
ENDED = "the token belongs to an attempt of a job that is over"
WITHOUT_API = "jobs of this workflow may not use the API (api_access: none)"
WRONG_PASSWORD = "wrong user name or password"  # noqa: S105 - a sentence
NO_PASSWORDS = "this server takes no names and passwords"
SIGNED_OUT = "the sign-in is over"
UNKNOWN_SCHEME = "the Authorization header is none that this server knows: Torc, Bearer, Basic"
TWO_CREDENTIALS = "an address with a token takes no other credential beside it; send one of the two"
TOO_MANY_FAILURES = "too many wrong credentials; wait before the next one"
TOO_MANY_CHECKS = "too many passwords are being checked at this moment; try again"
TOO_OFTEN = "too many requests; wait before the next one"

NEW_TOKEN = ("ask the owner for another token: torc-server token new --workflow ID",)
NEW_KEY = ("let torc find the key again: unset TORC_TOKEN_FILE, or copy the key file anew",)
NEW_PASSWORD = ("ask the owner of the server; he changes passwords with torc-htpasswd",)
NEW_SIGN_IN = ("open the address that the dashboard prints once more",)


def foreign_host(header: str) -> str:
    """A request names another host than this one, as pages do that want to pass for ours."""
    return (
        f"'{header[:200]}' is not a name of this server; start it with '--allow-host {header[:200].partition(':')[0]}'"
        " if it is one"
    )
