"""At start: what is counted beside the jobs is compared with the jobs (`engine.md` §18)."""

from __future__ import annotations

import logging

from torc_core.model import AuditEntry
from torc_core.protocols import Embedded, Store

log = logging.getLogger(__name__)


def tell_predecessor(store: Store) -> None:
    """Write down that the last owner of the database did not give it back: it was killed, or its host was."""
    predecessor: str | None = getattr(store, "predecessor", None)
    if predecessor is not None:
        log.warning("lease taken over from=%s", predecessor)
        entry = AuditEntry(
            operation="lease_taken_over", principal="server", established="start", peer="", object=predecessor
        )
        store.add([entry])


def repair(store: Store) -> None:
    """Set counters right that are not; that is a bug or a damaged file, and is written down."""
    repaired = store.repair() if isinstance(store, Embedded) else ()
    for workflow in repaired:
        log.warning("counters repaired workflow_id=%d", workflow)
    store.add([
        AuditEntry(
            operation="counter_repair", principal="server", established="start", peer="", object=f"workflow {workflow}"
        )
        for workflow in repaired
    ])  # fmt: skip
