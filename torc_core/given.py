"""`Given`: how a command asks for the session. The one module of the core that imports cyclopts; for command modules."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from torc_core.session import Answer, Session

Given = Annotated[Session, Parameter(parse=False)]
"""A command declares `*, session: Given` and is given the session of this run of the program."""

__all__ = ["Answer", "Given", "Session"]
