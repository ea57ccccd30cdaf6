"""Tables for people: plain text in a pipe, box lines on a terminal; never cut off in a pipe (C4)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from torc_core.model import Json
from torc_terminal.output.cells import Column

GAP = "  "


def text(columns: Sequence[Column], items: Sequence[Mapping[str, Json]]) -> str:
    """The table as lines: a header, then one line per item."""
    rows = [[column.title for column in columns]]
    rows += [[column.text(item) for column in columns] for item in items]
    widths = [max(_width(row[index]) for row in rows) for index in range(len(columns))]
    rights = [column.right for column in columns]
    return "".join(_line(row, widths, rights) for row in rows)


def boxed(columns: Sequence[Column], items: Sequence[Mapping[str, Json]], *, color: bool) -> None:
    """Print the table with box lines, wrapped to the width of the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.ROUNDED, header_style="bold" if color else None)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for item in items:
        table.add_row(*(Text(column.text(item)) for column in columns))
    Console(no_color=not color, highlight=False, markup=False).print(table)


def _line(cells: Sequence[str], widths: Sequence[int], rights: Sequence[bool]) -> str:
    padded = (
        " " * (width - _width(cell)) + cell if right else cell + " " * (width - _width(cell))
        for cell, width, right in zip(cells, widths, rights, strict=True)
    )
    return GAP.join(padded).rstrip() + "\n"


def _width(cell: str) -> int:
    """Columns of the terminal that a text takes: wide characters two, combining marks none."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in cell
    )
