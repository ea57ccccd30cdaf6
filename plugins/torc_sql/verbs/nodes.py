"""What is known of runners besides what they say themselves (`Nodes`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class NodeVerbs(Transacting):
    """What is known of runners besides what they say themselves (`Nodes`)."""
