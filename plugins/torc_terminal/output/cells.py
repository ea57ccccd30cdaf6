"""How single values look: times, sizes, durations, and text that cannot hurt a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime

from torc_core.model import Json
from torc_core.model.instants import instant_text
from torc_core.record import record

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@record(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    key
        Of the item's JSON.
    right
        Align to the right: numbers.
    show
        From the whole item to the text of the cell; None: by the value alone (`cell`).
    """

    title: str
    key: str
    right: bool = False
    show: Callable[[Mapping[str, Json]], str] | None = None

    def text(self, item: Mapping[str, Json]) -> str:
        """The cell of an item: one line, safe to print."""
        return plain(self.show(item)) if self.show else cell(item.get(self.key))


def cell(value: Json) -> str:
    """A JSON value as a table shows it: times in the local zone, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return local_time(value) if _INSTANT.fullmatch(value) else plain(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return plain(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def plain(text: str, *, lines: bool = False) -> str:
    """Text without what could steer a terminal: it is shown as escapes (`lines`: line ends are kept)."""
    return (_CONTROL_IN_LINES if lines else _CONTROL).sub(_escape, text)


def instant(milliseconds: int | None) -> str | None:
    """Milliseconds since 1970 as RFC 3339 in UTC, as JSON and CSV have it (C8)."""
    return None if milliseconds is None else instant_text(milliseconds)


def local_time(text: str) -> str:
    """An instant of JSON as people read it: `2026-05-01 14:03:22` in the local zone."""
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError):  # the first and the last years, which documents may name
        return text


def age(milliseconds: int, now: int) -> str:
    """How long ago an instant was, in its largest unit: `45s`, `3m`, `7h`, `12d`."""
    seconds = max(0, now - milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def shortened(text: str, width: int) -> str:
    """The first line of a text, at most so many characters, with `…` where something was cut."""
    first, _, rest = text.partition("\n")
    return first if len(first) <= width and not rest else first[: width - 1] + "…"


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(found[0])
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
