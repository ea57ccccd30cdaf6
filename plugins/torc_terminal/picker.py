"""Lets a user at a terminal pick a workflow: type to filter, arrows, Enter; Esc leaves (`cli.md` C19)."""

from __future__ import annotations

import os
import re
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from select import select

from torc_core.model import Totals, Workflow
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.output.cells import age, plain
from torc_terminal.progress import columns
from torc_terminal.standing import state

KEYS = {
    "\x1b[A": "up", "\x1bOA": "up", "\x10": "up", "\x1b[B": "down", "\x1bOB": "down", "\x0e": "down",
    "\r": "enter", "\n": "enter", "\x1b": "leave", "\x03": "leave", "\x04": "leave", "\x7f": "rub", "\b": "rub",
}  # fmt: skip
KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
SHOWN = 10


@record(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the user has typed, and where the cursor stands among the rows that match it.

    Parameters
    ----------
    rows
        One line of text for each candidate.
    """

    rows: Sequence[str]
    typed: str = ""
    at: int = 0

    @property
    def matching(self) -> list[int]:
        """Positions of the rows that contain every typed word."""
        words = self.typed.lower().split()
        return [n for n, row in enumerate(self.rows) if all(word in row.lower() for word in words)]

    @property
    def chosen(self) -> int | None:
        """Position of the row under the cursor; None: nothing matches."""
        matching = self.matching
        return matching[self.at] if matching else None

    def pressed(self, key: str) -> Choice:
        """The choice after a key other than Enter and Esc."""
        if key in ("up", "down"):
            last = len(self.matching) - 1
            return replace(self, at=max(0, min(last, self.at + (1 if key == "down" else -1))))
        if key == "rub":
            return replace(self, typed=self.typed[:-1], at=0)
        return replace(self, typed=self.typed + key, at=0) if key.isprintable() else self

    def lines(self, width: int) -> list[str]:
        """What to draw: the question, then the rows around the cursor."""
        matching = self.matching
        first = max(0, min(self.at - SHOWN // 2, len(matching) - SHOWN))
        lines = [f"which workflow? {self.typed}"]
        for place, row in enumerate(matching[first : first + SHOWN], start=first):
            lines.append(("> " if place == self.at else "  ") + self.rows[row])
        if not matching:
            lines.append("  (no workflow matches)")
        return [line[: max(10, width - 1)] for line in lines]


def pick(session: Session, offered: Sequence[Workflow]) -> Workflow:
    """Ask for one of these workflows.

    Raises
    ------
    KeyboardInterrupt
        If the user presses Esc.
    """
    totals = session.store().totals([workflow.id for workflow in offered])
    choice = Choice(rows=rows(totals, session.clock.now()))
    terminal, drawn = sys.stdin.fileno(), 0
    with raw(terminal):
        keys = keys_of(terminal)
        try:
            while True:
                drawn = draw(choice.lines(columns(sys.stderr)), drawn)
                key = next(keys)
                if key == "leave":
                    raise KeyboardInterrupt
                if key == "enter":
                    if choice.chosen is not None:
                        return offered[choice.chosen]
                else:
                    choice = choice.pressed(key)
        finally:
            draw([], drawn)


def rows(totals: Sequence[Totals], now: int) -> list[str]:
    """Id, name, status and age of each workflow, in columns."""
    cells = [
        (str(t.workflow.id), plain(t.workflow.name), state(t), age(t.workflow.created_at, now))
        for t in totals
    ]
    widths = [max(len(row[n]) for row in cells) for n in range(3)]
    return [f"{a:>{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d}" for a, b, c, d in cells]


def draw(lines: Sequence[str], before: int) -> int:
    """Replace the lines drawn before; how many there are now."""
    up = f"\r\x1b[{before - 1}A" if before > 1 else "\r"
    sys.stderr.write(f"{up}\x1b[J" + "\r\n".join(lines))
    sys.stderr.flush()
    return len(lines)


def keys_of(terminal: int) -> Iterator[str]:
    """The keys as they are pressed, for ever: names of `KEYS`, or characters that were typed."""
    while True:
        data = os.read(terminal, 1024)
        # An escape sequence may come in parts; a lone Esc has nothing behind it.
        while data and unfinished(data) and select([terminal], [], [], 0.05)[0]:
            data += os.read(terminal, 1024)
        if not data:
            yield "leave"
        for key in KEY.findall(data.decode("utf-8", "replace")):
            yield KEYS.get(key, "" if key.startswith("\x1b") else key)


def unfinished(data: bytes) -> bool:
    """Whether a character or an escape sequence at the end may still go on."""
    try:
        return data.decode().endswith(("\x1b", "\x1b[", "\x1bO"))
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"


@contextmanager
def raw(terminal: int) -> Iterator[None]:
    """Read key by key, without echo; as it was before at the end."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
