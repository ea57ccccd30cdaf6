"""The hosts of a `ProxyJump`, in the order in which they are passed."""

from __future__ import annotations

import re

from torc_core.errors import InvalidConfig
from torc_core.record import record

_URI = re.compile(r"ssh://", re.IGNORECASE)


@record(frozen=True, slots=True, kw_only=True)
class Hop:
    """A host on the way; what is None is left to its own entry of the configuration."""

    host: str
    user: str | None = None
    port: int | None = None


def hops(text: str) -> tuple[Hop, ...]:
    """Read `[user@]host[:port],…`, also as `ssh://` addresses.

    Raises
    ------
    InvalidConfig
        If one of them is none.
    """
    return tuple(_hop(one.strip(), text) for one in text.split(","))


def _hop(one: str, text: str) -> Hop:
    place = _URI.sub("", one, count=1).rstrip("/") if _URI.match(one) else one
    user, _, rest = place.rpartition("@")
    match = re.fullmatch(
        r"\[([0-9A-Za-z:.%_-]+)\](?::(\d{1,5}))?|([^\[\]:\s]+)(?::(\d{1,5}))?|([0-9A-Fa-f:]+)", rest
    )
    host, port = (match[1] or match[3] or match[5], match[2] or match[4]) if match else ("", None)
    if not host or host.startswith("-") or user.startswith("-") or (port and not 1 <= int(port) <= 65_535):
        raise InvalidConfig(f"ProxyJump {text!r}: {one!r} is no host")
    return Hop(host=host, user=user or None, port=int(port) if port else None)
