"""Answers that are kept under idempotency keys (`Embedded`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class KeepingVerbs(Transacting):
    """Answers that are kept under idempotency keys (`Embedded`)."""
