"""Things to do at moments of a workflow (`Actions`)."""

from __future__ import annotations

from torc_sql.transacting import Transacting


class ActionVerbs(Transacting):
    """Things to do at moments of a workflow (`Actions`)."""
