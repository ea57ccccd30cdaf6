"""The one value that takes a field away: in a change, None leaves a field as it is (`wire.md` T8)."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Clear(Enum):
    """The type of `CLEAR`, which a change gives a field that is to hold nothing afterwards."""

    CLEAR = "clear"


CLEAR: Final = Clear.CLEAR
"""`store.change(File, 7, {"st_mtime": CLEAR})`; what a merge patch calls null."""
