"""Workflows that leave a store and come into another one (`Transfer`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class TransferVerbs(Transacting):
    """Workflows that leave a store and come into another one (`Transfer`)."""
