"""How the schema grew: one file of SQL per number, forward only, never changed once released."""

from __future__ import annotations

from pathlib import Path

NEWEST = 3
"""The schema that this code reads and writes."""


def migration(number: int) -> list[str]:
    """The statements that lead from schema `number - 1` to `number`, portable SQL in order."""
    text = Path(__file__).with_name(f"{number:04}.sql").read_text(encoding="utf-8")
    return [statement for part in text.split(";\n") if (statement := part.strip())]
