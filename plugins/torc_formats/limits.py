"""How much a document may hold, and the sentence for each limit that it breaks."""

from __future__ import annotations

from torc_core.spec.complaint import Complaint, Complaints
from torc_core.spec.document import Path, Position

DEPTH = 64
"""So many maps and lists may stand inside each other."""

NODES = 2_000_000
"""Keys, values, lists and maps in one document, after aliases have been followed."""

ALIASES = 1_000
"""Aliases in one document."""

TEXT = 1024 * 1024
"""Bytes of UTF-8 in one text."""

LISTED = 100
"""A reader that can go on after a mistake gives up after so many."""

SHORT = TEXT // 4
"""A text of at most so many characters cannot be too long, whatever they are."""

UNREADABLE = "\0"


def complaint(
    code: str, message: str, position: Position, path: Path = (), hint: str | None = None
) -> Complaint:
    """An error that stands at a known place."""
    return Complaint(
        severity="error",
        code=code,
        message=message,
        path=path,
        hint=hint,
        line=position.line,
        column=position.column,
    )


def refusal(
    code: str, message: str, position: Position, path: Path = (), hint: str | None = None
) -> Complaints:
    """The only error of a document, ready to be raised."""
    return Complaints([complaint(code, message, position, path, hint)])


def clean(text: str) -> str:
    """Skip a byte-order mark and refuse characters that UTF-8 text cannot or may not hold.

    Raises `Complaints` (code `encoding`).
    """
    text = text.removeprefix("\ufeff")
    bad = text.find(UNREADABLE)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            bad = error.start if bad < 0 else min(bad, error.start)
    if bad >= 0:
        offset = len(text[:bad].encode())
        raise refusal("encoding", f"not valid UTF-8 at byte {offset}", Lines(text).position(bad))
    return text


def too_long(text: str) -> str:
    """The complaint about a text over the limit, empty when it is not; call it only above `SHORT` characters."""
    size = len(text.encode(errors="surrogatepass"))
    if size <= TEXT:
        return ""
    # Rounded up, so that nobody reads that 1.0 MiB is more than 1 MiB.
    return f"a text here is {-(-size * 10 // TEXT) / 10:.1f} MiB long; the limit is 1 MiB"


def too_many() -> str:
    """The complaint about a document over `NODES` that has no aliases to blame."""
    return f"the document holds more than {NODES:,} keys and values"


def too_deep() -> str:
    """The complaint about a document over `DEPTH`."""
    return f"nested deeper than {DEPTH} levels"


def duplicate(key: str, line: int) -> str:
    """The complaint about a key that its map has already."""
    return f"duplicate key {shown(key)} (first at line {line})"


def shown(text: str) -> str:
    """A piece of a document, quoted and short enough for a sentence."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


class Lines:
    """Offsets of a text turned into lines and columns.

    A complete table of line starts would cost more memory than the text, so line breaks are counted per block, the
    first time somebody asks.
    """

    BLOCK = 1 << 16

    def __init__(self, text: str) -> None:
        self._text = text
        self._before: list[int] = []

    def position(self, offset: int) -> Position:
        """Where the character with this index stands."""
        text, size = self._text, self.BLOCK
        if not self._before:
            total = 0
            for start in range(0, len(text) + 1, size):
                self._before.append(total)
                total += text.count("\n", start, start + size)
        block = min(offset // size, len(self._before) - 1)
        line = self._before[block] + text.count("\n", block * size, offset) + 1
        return Position(line, offset - text.rfind("\n", 0, offset))
