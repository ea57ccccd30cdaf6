"""Tables for people: plain text in a pipe, box lines on a terminal; never cut off in a pipe (C4)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from torc_core.model import Json
from torc_terminal.output.cells import Column
from torc_terminal.output.stdout import write

GAP = "  "
LONGEST = 20
"""Words with more characters are broken where a column has to be narrow."""


def text(columns: Sequence[Column], items: Sequence[Mapping[str, Json]]) -> str:
    """The table as lines: a header, then one line per item."""
    rows = [[column.title for column in columns]]
    rows += [[column.text(item) for column in columns] for item in items]
    widths = [max(_width(row[index]) for row in rows) for index in range(len(columns))]
    rights = [column.right for column in columns]
    return "".join(_line(row, widths, rights) for row in rows)


def boxed(columns: Sequence[Column], items: Sequence[Mapping[str, Json]], *, color: bool) -> None:
    """Print the table wrapped to the width of the terminal, with box lines where that breaks no words.

    Where it does not fit without them either, its lines are as long as in a pipe.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(no_color=not color, highlight=False, markup=False)
    rows = [[column.text(item) for column in columns] for item in items]
    cells = [[column.title, *(row[place] for row in rows)] for place, column in enumerate(columns)]
    least = [
        max(min(_width(word), LONGEST) for cell in one for word in (cell.split() or [""])) for one in cells
    ]
    plain, lines = len(GAP) * (len(columns) - 1), 3 * len(columns) + 1
    if sum(least) + plain > console.width:
        write(text(columns, items))
        return
    drawn = sum(least) + lines <= console.width
    natural = [max(_width(line) for cell in one for line in (cell.splitlines() or [""])) for one in cells]
    widths = _narrowed(natural, least, console.width - (lines if drawn else plain))
    table = Table(box=box.ROUNDED, header_style="bold" if color else None)
    if not drawn:
        table.box, table.padding, table.pad_edge = None, (0, len(GAP), 0, 0), False
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            column.title, justify="right" if column.right else "left", overflow="fold", width=width
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths of columns that fit in so many: the widest give up first, none more than its words allow."""
    made = list(widths)
    while sum(made) > room:
        widest = max(
            (place for place in range(len(made)) if made[place] > least[place]), key=made.__getitem__
        )
        made[widest] -= 1
    return made


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
