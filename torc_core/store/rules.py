"""What a store does otherwise when its owner wants it so; every store takes them when it is made."""

from __future__ import annotations

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class StoreRules:
    """Settings of a store, whichever it is.

    Parameters
    ----------
    claim_seconds
        How long a claim without a node is kept that nobody starts (`engine.md` §7.8).
    debug_events
        Write the events of severity `debug` too (`engine.md` §13).
    """

    claim_seconds: int = 600
    debug_events: bool = False

    @property
    def claim_ms(self) -> int:
        """The same in milliseconds."""
        return self.claim_seconds * 1_000


USUAL = StoreRules()
"""Those of a store for which nobody has said otherwise."""
