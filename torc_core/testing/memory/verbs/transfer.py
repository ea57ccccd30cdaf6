"""Workflows that leave a store and come into another one (`Transfer`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class TransferVerbs(Holding):
    """Workflows that leave a store and come into another one (`Transfer`)."""
