"""Long verbs that a client does not wait for (`Operations`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class OperationVerbs(Holding):
    """Long verbs that a client does not wait for (`Operations`)."""
