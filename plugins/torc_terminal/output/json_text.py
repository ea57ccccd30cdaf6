"""JSON on standard output: one document, written piece by piece so that long lists cost no second copy."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from torc_core.model import Json
from torc_terminal.output.stdout import opened


def write(document: Mapping[str, Json]) -> None:
    """Write one document; of a list, one item per line, so that line tools can work on it."""
    with opened() as stream:
        _write(document, stream.write)


def _write(document: Mapping[str, Json], out: Callable[[str], object]) -> None:
    items = document.get("items")
    if not isinstance(items, (list, tuple)) or not items:
        out(
            json.dumps(document, indent=2, ensure_ascii=not _unicode(), allow_nan=False, default=_plain)
            + "\n"
        )
        return
    lead = "{"
    for key, value in document.items():
        out(f"{lead}\n  {json.dumps(key)}: ")
        if key == "items":
            for number, item in enumerate(items):
                out(("[\n    " if number == 0 else ",\n    ") + line(item))
            out("\n  ]")
        else:
            out(line(value))
        lead = ","
    out("\n}\n")


def line(value: Json) -> str:
    """A value as JSON in one line."""
    return json.dumps(value, ensure_ascii=not _unicode(), allow_nan=False, default=_plain)


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _plain(value: object) -> object:
    """Mappings that are not dicts, and sequences that are not lists, as JSON knows them."""
    return dict(value) if isinstance(value, Mapping) else list(value)  # type: ignore[call-overload]  # a sequence
