"""What a command returns: one of five shapes, each of which can show itself as a table, as JSON or as CSV."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar

from torc_core.errors import UsageError
from torc_core.model import Json
from torc_core.record import record
from torc_terminal.output import json_text
from torc_terminal.output.cells import Column, plain
from torc_terminal.output.stdout import write

if TYPE_CHECKING:
    from torc_core.session import Session

OUTCOME = "torc.outcome/1"
"""The schema of every change (C10)."""


@record(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of records (C10): the items as JSON has them, and the columns that a table shows of them.

    Parameters
    ----------
    schema
        Such as `torc.jobs.list/1`.
    noun
        What the items are called, in the plural: `No jobs found`.
    total
        How many match altogether; None: as many as there are items.
    extra
        Further keys of the JSON document, before the items.
    """

    tabular: ClassVar[bool] = True

    schema: str
    noun: str
    items: Sequence[Mapping[str, Json]]
    columns: Sequence[Column]
    total: int | None = None
    offset: int = 0
    extra: Mapping[str, Json] = field(default_factory=dict)
    exit_code: int = 0

    def document(self) -> dict[str, Json]:
        """The page as its JSON document."""
        total = len(self.items) if self.total is None else self.total
        return {
            "schema": self.schema,
            **self.extra,
            "items": self.items,
            "count": len(self.items),
            "total_count": total,
            "offset": self.offset,
            "has_more": self.offset + len(self.items) < total,
        }

    def render(self, session: Session) -> None:
        """Print the page in the format that was asked for."""
        session.close()  # whoever reads slowly keeps nobody from the store
        if session.format == "json":
            json_text.write(self.document())
        elif session.format == "csv":
            from torc_terminal.output import csv_text

            csv_text.write(self.items, self.schema)
        else:
            _show_table(session, self.columns, self.items, self.noun)
            left = (len(self.items) if self.total is None else self.total) - self.offset - len(self.items)
            if self.items and left > 0:
                after = self.offset + len(self.items)
                session.note(f"… and {left} more {self.noun}; go on with --offset {after}")


@record(frozen=True, slots=True, kw_only=True)
class Record:
    """One record (C10): its REST model as a mapping; a table shows one field per line.

    Parameters
    ----------
    columns
        What a table shows; empty: every field that has a value, under its own name.
    hint
        A line for people, on standard error.
    """

    tabular: ClassVar[bool] = False

    schema: str
    data: Mapping[str, Json]
    columns: Sequence[Column] = ()
    hint: str | None = None
    exit_code: int = 0

    def render(self, session: Session) -> None:
        """Print the record in the format that was asked for."""
        session.close()  # whoever reads slowly keeps nobody from the store
        refuse_csv(session)
        if session.format == "json":
            json_text.write({"schema": self.schema, **self.data})
            return
        columns = self.columns or [
            Column(title=key, key=key) for key, value in self.data.items() if value is not None
        ]
        width = max((len(column.title) for column in columns), default=0)
        lines = (f"{column.title:<{width}}  {column.text(self.data)}".rstrip() for column in columns)
        write("".join(line + "\n" for line in lines))
        if self.hint:
            session.note(plain(self.hint, lines=True))


@record(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a change did (C10, `torc.outcome/1`).

    Parameters
    ----------
    message
        A sentence: `Created workflow 42 'name' (100 jobs, 3 files)`.
    extra
        Further keys of the JSON document.
    status
        `success` or `partial_success`.
    hint
        A line for people, on standard error: the next command to try.
    """

    tabular: ClassVar[bool] = False

    message: str
    workflow_id: int | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    status: str = "success"
    hint: str | None = None
    exit_code: int = 0

    def render(self, session: Session) -> None:
        """Print the sentence, or the JSON document."""
        refuse_csv(session)
        if session.format == "json":
            document: dict[str, Json] = {"schema": OUTCOME, "status": self.status, "message": self.message}
            if self.workflow_id is not None:
                document["workflow_id"] = self.workflow_id
            json_text.write(document | dict(self.extra))
            return
        write(plain(self.message, lines=True) + "\n")
        if self.hint:
            session.note(plain(self.hint, lines=True))


@record(frozen=True, slots=True, kw_only=True)
class Report:
    """A summary of many records (C10, `observability.md`).

    Parameters
    ----------
    data
        The JSON document without its schema.
    text
        What people read instead, printed as it is; a function of the session where it depends on colour.
    rows, columns
        The table below the text, if there is one; only with columns can a report be written as CSV.
    hint
        A line for people, on standard error.
    """

    tabular: ClassVar[bool] = True

    schema: str
    data: Mapping[str, Json]
    text: str | Callable[[Session], str] = ""
    rows: Sequence[Mapping[str, Json]] = ()
    columns: Sequence[Column] = ()
    noun: str = "rows"
    hint: str | None = None
    exit_code: int = 0

    def render(self, session: Session) -> None:
        """Print the report in the format that was asked for."""
        session.close()  # whoever reads slowly keeps nobody from the store
        if session.format == "json":
            json_text.write({"schema": self.schema, **self.data})
            return
        if not self.columns:
            refuse_csv(session)
        if session.format == "csv":
            from torc_terminal.output import csv_text

            csv_text.write(self.rows, self.schema, [column.key for column in self.columns])
            return
        text = self.text if isinstance(self.text, str) else self.text(session)
        if text:
            write(text if text.endswith("\n") else text + "\n")
        if self.columns:
            _show_table(session, self.columns, self.rows, self.noun)
        if self.hint:
            session.note(plain(self.hint, lines=True))


@record(frozen=True, slots=True, kw_only=True)
class Stream:
    """Records that appear while the command runs: lines for people, JSON Lines for programs (C9)."""

    tabular: ClassVar[bool] = False

    items: Iterable[Mapping[str, Json]]
    line: Callable[[Mapping[str, Json]], str]
    exit_code: int = 0

    def render(self, session: Session) -> None:
        """Print every item at once when it comes."""
        refuse_csv(session)
        for item in self.items:
            write((json_text.line(item) if session.format == "json" else plain(self.line(item))) + "\n")
            sys.stdout.flush()


@record(frozen=True, slots=True, kw_only=True)
class Text:
    """Text that is the same in every format, such as a completion script; printed as it is."""

    tabular: ClassVar[bool] = True

    text: str
    exit_code: int = 0

    def render(self, session: Session) -> None:
        """Print the text."""
        write(self.text)


def refuse_csv(session: Session) -> None:
    """Object to `-f csv` where there is no list (C7); commands that change something call it before they do.

    Raises
    ------
    UsageError
        If the format is CSV.
    """
    if session.format == "csv":
        raise UsageError("format 'csv' is for lists; use '-f json' here")


def _show_table(
    session: Session, columns: Sequence[Column], items: Sequence[Mapping[str, Json]], noun: str
) -> None:
    from torc_terminal.output import table

    if not items:
        session.note(f"No {noun} found")
    elif session.tty:
        table.boxed(columns, items, color=session.color)
    else:
        write(table.text(columns, items))
