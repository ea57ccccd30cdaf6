"""What a reader makes of a text: a tree of plain values that still knows where everything stood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torc_core.record import record

Path = tuple[str | int, ...]
"""The way from the root of a document to a value: keys and list indexes."""


@record(frozen=True, slots=True)
class Plain:
    """A scalar that was written without quotes and is not text, with the text as it was written.

    Only YAML yields these: where text is expected, `1.10`, `010` and `1e3` stay what the user wrote.
    """

    value: None | bool | int | float
    text: str


@record(frozen=True, slots=True)
class Position:
    """A place in a text, counted from 1."""

    line: int
    column: int


@record(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as read.

    Parameters
    ----------
    tree
        `str, int, float, bool, None, list, dict` and, from YAML, `Plain`.
    locate
        Where a value (for an entry of a mapping: its key) stands. Called only for complaints, so it may be slow; a
        path that does not exist gives the position of its nearest ancestor.
    format
        Name of the reader.
    """

    tree: Mapping[str, Any]
    locate: Callable[[Path], Position]
    format: str
