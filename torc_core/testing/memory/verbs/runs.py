"""Passes over a workflow: begun, begun again, set back (`Runs`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class RunVerbs(Holding):
    """Passes over a workflow: begun, begun again, set back (`Runs`)."""
