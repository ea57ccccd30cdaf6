"""Who may use which workflow (`Permissions`)."""

from __future__ import annotations

from torc_core.testing.memory.holding import Holding


class PermissionVerbs(Holding):
    """Who may use which workflow (`Permissions`)."""
