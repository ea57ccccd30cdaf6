"""What can be configured about the server of a process that owns a database: `[servers.http]`."""

from __future__ import annotations

from dataclasses import field

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class OwnerSettings:
    """The side that serves; a `torc-server` has its own table, `[server]`."""

    directory: str | None = field(
        default=None,
        metadata={
            "help": "Folder of the Unix socket; not set: torc in the user's runtime folder, else /tmp/torc-<uid>."
        },
    )
    max_connections: int = field(default=256, metadata={"help": "Connections at once; further ones wait."})
