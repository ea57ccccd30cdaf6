"""Jobs that a running job adds (`Growth`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class GrowthVerbs(Holding):
    """Jobs that a running job adds (`Growth`)."""
