"""Answers that are kept under idempotency keys (`Embedded`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class KeepingVerbs(Holding):
    """Answers that are kept under idempotency keys (`Embedded`)."""
