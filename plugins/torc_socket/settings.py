"""What can be configured about sockets: `[servers.socket]` and `[stores.unix]`."""

from __future__ import annotations

from dataclasses import field

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class SocketServerSettings:
    """The side that serves."""

    directory: str | None = field(
        default=None,
        metadata={
            "help": "Folder of the socket; not set: torc in the user's runtime folder, else /tmp/torc-<uid>."
        },
    )
    max_connections: int = field(
        default=256, metadata={"help": "Connections at once; further ones are refused."}
    )
    max_message_mb: int = field(default=1024, metadata={"help": "Largest request, in MiB."})


@record(frozen=True, slots=True, kw_only=True)
class SocketStoreSettings:
    """The side that asks."""

    patience: float = field(default=5.0, metadata={"help": "Seconds that the owner may take to say hello."})
