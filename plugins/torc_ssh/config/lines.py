"""Text of a configuration file becomes lines: a keyword and its arguments, quotes and comments understood."""

from __future__ import annotations

import re

from torc_core.errors import InvalidConfig
from torc_core.record import record

_KEYWORD = re.compile(r'[ \t]*("?)([A-Za-z0-9_]+)\1[ \t]*=?[ \t]*')
_BLANK = " \t"


@record(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that says something; `rest`: what follows the keyword, as it stands."""

    keyword: str
    words: tuple[str, ...]
    rest: str
    place: str


def lines(text: str, path: str) -> tuple[Line, ...]:
    """Read a file.

    Raises
    ------
    InvalidConfig
        If a quote is not closed or a line has no keyword; it names file and line.
    """
    found = []
    for number, raw in enumerate(text.splitlines(), start=1):
        stripped = raw.strip(" \t\r\f\n")
        if not stripped or stripped.startswith("#"):
            continue
        place = f"{path}:{number}"
        match = _KEYWORD.match(stripped)
        if not match:
            raise InvalidConfig(f"{place}: no keyword in {stripped!r}")
        rest = stripped[match.end() :]
        found.append(Line(keyword=match[2].lower(), words=tuple(split(rest, place)), rest=rest, place=place))
    return tuple(found)


def split(text: str, place: str) -> list[str]:
    """Words, by the rules of OpenSSH: both kinds of quotes, a backslash before a quote, a backslash or a blank.

    Raises
    ------
    InvalidConfig
        If a quote is not closed.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        following = text[at + 1 : at + 2]
        if char == "\\" and following and (following in "'\"\\" or (not quote and following == " ")):
            word = [*(word or []), following]
            at += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                word = [*(word or []), char]
        elif char in _BLANK:
            if word is not None:
                words.append("".join(word))
            word = None
        elif char == "#" and word is None:
            break
        elif char in "'\"":
            quote, word = char, word or []
        else:
            word = [*(word or []), char]
        at += 1
    if quote:
        raise InvalidConfig(f"{place}: a quote is not closed in {text!r}")
    if word is not None:
        words.append("".join(word))
    return words
