"""What can be configured about SQLite stores."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from torc_core.record import record
from torc_core.store.rules import StoreRules


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
    legacy_claim_seconds: int = field(
        default=600,
        metadata={
            "help": "A claim of a client that names no node is given up when it is not started within this time;"
            " a server has `server.legacy_claim_seconds` for it."
        },
    )
    debug_events: bool = field(
        default=False,
        metadata={"help": "Write events of severity debug too; a server has `server.events.debug` for it."},
    )

    @property
    def rules(self) -> StoreRules:
        """What they mean for the store."""
        return StoreRules(claim_seconds=self.legacy_claim_seconds, debug_events=self.debug_events)


@record(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """The table `[stores.sqlite-memory]`."""

    snapshot_interval_seconds: float | None = field(
        default=None, metadata={"help": "Copy the database into its file every so many seconds, too."}
    )
