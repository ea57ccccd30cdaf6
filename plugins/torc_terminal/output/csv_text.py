"""CSV on standard output: RFC 4180, the field names of the JSON items as header (C7)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from torc_core.model import Json
from torc_terminal.output import stdout


def write(items: Sequence[Mapping[str, Json]], schema: str, fields: Iterable[str] = ()) -> None:
    """Write the items; without `fields` every field that an item has, or the schema when there is none."""
    header = list(fields) or list(dict.fromkeys(key for item in items for key in item))
    if not header:
        from torc_terminal.schemas import item_fields

        header = item_fields(schema)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header)
    for item in items:
        writer.writerow([_text(item.get(key)) for key in header])
    stdout.write(buffer.getvalue())


def _text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_tree)


def _tree(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else list(value)  # type: ignore[call-overload]  # a sequence
