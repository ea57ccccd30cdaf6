"""Jobs that a running job adds (`Growth`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class GrowthVerbs(Transacting):
    """Jobs that a running job adds (`Growth`)."""
