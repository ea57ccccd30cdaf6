"""Things to do at moments of a workflow (`Actions`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class ActionVerbs(Holding):
    """Things to do at moments of a workflow (`Actions`)."""
