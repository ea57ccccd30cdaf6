"""Whether a store is behind a server."""

from __future__ import annotations

from torc_core.protocols import Distant, Store


def distant(store: Store) -> Distant | None:
    """The store as one behind a server; None: it is of this process.

    One that follows its owners (`torc_core.store.following`) is what it is at the time.
    """
    present = getattr(store, "present", store)
    return present if isinstance(present, Distant) else None
