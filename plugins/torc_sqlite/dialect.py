"""SQLite as a dialect of `torc_sql`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from torc_core.errors import TorcError
from torc_sql.dialect import Dialect
from torc_sqlite.errors import translated

STATEMENTS = Path(__file__).with_name("statements.sql")
"""Written by `python -m torc_sql.compiling sqlite plugins/torc_sqlite/statements.sql`."""


@lru_cache(maxsize=1)
def texts() -> Mapping[str, str]:
    """The compiled statements by name."""
    parts = re.split(r"^-- (\w+)\n", STATEMENTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def sqlite(path: str) -> Dialect:
    """SQLite, for the file that its complaints are to name."""

    def translate(error: Exception) -> TorcError | None:
        return translated(error, path)

    return Dialect(name="sqlite", texts=texts, glob="{} GLOB ?", translate=translate)
