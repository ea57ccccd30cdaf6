"""What is known of runners besides what they say themselves (`Nodes`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class NodeVerbs(Holding):
    """What is known of runners besides what they say themselves (`Nodes`)."""
