"""Long verbs that a client does not wait for (`Operations`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class OperationVerbs(Transacting):
    """Long verbs that a client does not wait for (`Operations`)."""
