"""Lists that `torc-server` prints."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from torc_core.session import Session


class Listed:
    """The answer of a command that lists records.

    Parameters
    ----------
    instants
        Columns in milliseconds since 1970.
    """

    exit_code = 0

    def __init__(
        self, schema: str, noun: str, rows: Sequence[Mapping[str, Any]], instants: Sequence[str] = ()
    ) -> None:
        self._schema = schema
        self._noun = noun
        self._rows = [
            {key: _instant(value) if key in instants else value for key, value in row.items()} for row in rows
        ]

    def render(self, session: Session) -> None:
        """Print it in the session's format."""
        if session.format == "json":
            told = {
                "schema": self._schema, "items": self._rows, "count": len(self._rows),
                "total_count": len(self._rows), "offset": 0, "has_more": False,
            }  # fmt: skip
            print(json.dumps(told))
        elif not self._rows:
            print(f"No {self._noun}s found", file=sys.stderr)
        elif session.format == "csv":
            writer = csv.DictWriter(sys.stdout, list(self._rows[0]))
            writer.writeheader()
            writer.writerows({key: _cell(value) for key, value in row.items()} for row in self._rows)
        else:
            heads = [key.replace("_", " ").capitalize() for key in self._rows[0]]
            lines = [heads, *([_cell(value) for value in row.values()] for row in self._rows)]
            widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
            for line in lines:
                print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _instant(value: int | None) -> str | None:
    if value is None:
        return None
    return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
