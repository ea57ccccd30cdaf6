"""Passes over a workflow: begun, begun again, set back (`Runs`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class RunVerbs(Transacting):
    """Passes over a workflow: begun, begun again, set back (`Runs`)."""
