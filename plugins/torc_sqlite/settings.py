"""What can be configured about SQLite stores."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class SqliteSettings:
    """The table `[stores.sqlite]`."""

    readers: int = field(default=10, metadata={"help": "Connections that only read, at most."})
    network_mode: Literal["auto", "local", "rollback", "exclusive"] = field(
        default="auto",
        metadata={
            "help": "how the file is written: `local` with a shared-memory WAL, `rollback` with a rollback journal,"
            " `exclusive` with a WAL that no other program can read; `auto`: `rollback` on network file systems,"
            " else `local`"
        },
    )


@record(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """The table `[stores.sqlite-memory]`."""

    snapshot_interval_seconds: float | None = field(
        default=None, metadata={"help": "Copy the database into its file every so many seconds, too."}
    )
