"""Who may use which workflow (`Permissions`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class PermissionVerbs(Transacting):
    """Who may use which workflow (`Permissions`)."""
