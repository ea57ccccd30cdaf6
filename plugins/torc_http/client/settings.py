"""What can be configured about servers as places of workflows: `[stores.http]`."""

from __future__ import annotations

from dataclasses import field

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class HttpStoreSettings:
    """How a server is spoken to."""

    answer_timeout: float = field(
        default=120.0, metadata={"help": "Seconds that the server may take to answer."}
    )
