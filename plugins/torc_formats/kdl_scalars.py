"""Numbers and strings of KDL, read at a place in a text."""

from __future__ import annotations

import re
from math import isinf
from typing import NoReturn

from torc_formats.limits import TEXT, shown, too_long

SPACE = "\t \xa0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"
"""What KDL calls white space, for use inside the brackets of a pattern."""

BREAK = "\n\r\x85\f\v\u2028\u2029"
"""What ends a line in KDL; CR and LF together are one."""

DIGITS = r"[0-9][0-9_]*+"
DECIMAL = re.compile(rf"[+-]?{DIGITS}(\.{DIGITS})?([eE][+-]?{DIGITS})?")
BASES = {
    "x": (16, re.compile(r"[0-9a-fA-F][0-9a-fA-F_]*")),
    "o": (8, re.compile(r"[0-7][0-7_]*")),
    "b": (2, re.compile(r"[01][01_]*")),
}
LONGEST = 400
"""No number that a double can hold needs so many digits, and Python takes quadratic time for them."""

QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*)"', re.DOTALL)
LINES = re.compile(rf'"""(?:\r\n|[{BREAK}])((?:[^"\\]++|\\.|"(?!""))*)"""', re.DOTALL)
ANY_BREAK = re.compile(rf"\r\n|[{BREAK}]")
FOLD = re.compile(rf"\\(?:([^{SPACE}{BREAK}])|[{SPACE}{BREAK}]+)")
ESCAPE = re.compile(rf"\\(?:u\{{([0-9a-fA-F]{{1,6}})\}}|([{SPACE}{BREAK}]+)|(.))", re.DOTALL)
LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "s": " ", "\\": "\\", '"': '"', "/": "/"}
EDGE = re.compile(rf"[{SPACE}]*")


class BadScalar(ValueError):
    """what stands here is not a value"""

    def __init__(self, message: str, offset: int, code: str = "syntax") -> None:
        super().__init__(message)
        self.offset = offset
        self.code = code


def number(written: str, at: int) -> int | float:
    """The value of something that begins like a number."""
    sign = written[0] if written[0] in "+-" else ""
    body = written[len(sign) :]
    value: int | float
    if body[:1] == "0" and body[1:2] in BASES:
        base, digits = BASES[body[1:2]]
        if not digits.fullmatch(body, 2):
            _not_a_number(written, at)
        plain = body[2:].replace("_", "")
        value = int(sign + plain, base) if len(plain) < LONGEST * 3 else float("inf")
    elif match := DECIMAL.fullmatch(written):
        plain = written.replace("_", "")
        if match[1] or match[2]:
            value = float(plain)
        else:
            value = int(plain) if len(plain) < LONGEST else float("inf")
    else:
        _not_a_number(written, at)
    if isinf(value) if isinstance(value, float) else value.bit_length() > 1023:
        raise BadScalar(f"the number {shown(written)} is too big; the limit is 1.8e308", at)
    return value


def _not_a_number(written: str, at: int) -> NoReturn:
    raise BadScalar(f"{shown(written)} is not a number; if it is text, write it in quotes", at)


def _bounded(content: str, at: int) -> str:
    """The content, unless it is so long that escapes and indentation cannot make it short enough."""
    if len(content) > 8 * TEXT:
        raise BadScalar(too_long(content), at, "too-large")
    return content


def quoted(text: str, at: int) -> tuple[str, int]:
    """A string in quotes, and where it ends."""
    match = QUOTED.match(text, at)
    if match is None:
        raise BadScalar("the string that begins here has no closing quote", at)
    return _unescape(_bounded(match[1], at), at + 1), match.end()


def several_lines(text: str, at: int) -> tuple[str, int]:
    """A string in three quotes on either side, without what its last line is indented by."""
    match = LINES.match(text, at)
    if match is None:
        broken = ANY_BREAK.match(text, at + 3)
        reason = 'has no closing """' if broken else "must have a line break after its three quotes"
        raise BadScalar(f"the string that begins here {reason}", at)
    # Escaped white space goes first, since it may join lines; all other escapes are no indentation.
    folded = FOLD.sub(lambda found: found[0] if found[1] else "", _bounded(match[1], at))
    return _unescape(_dedent(folded, at), at), match.end()


def raw(text: str, start: int, hashes: int, *, old: bool) -> tuple[str, int]:
    """A string without escapes whose content begins at `start`; `old`: `r"…"` of KDL 1.0, which may have several lines."""
    fence = "#" * hashes
    broken = ANY_BREAK.match(text, start + 2) if text.startswith('""', start) and not old else None
    closing = ('"""' if broken else '"') + fence
    begin = broken.end() if broken else start
    # The line break before the closing quotes belongs to the frame, even if there is nothing else.
    end = text.find(closing, begin)
    if end < 0:
        raise BadScalar(f"the string that begins here is not closed by {closing}", start - 1)
    content = _bounded(text[begin:end], start - 1)
    if broken:
        content = _dedent(content, start)
    elif not old and ANY_BREAK.search(content):
        raise BadScalar(f'a string over several lines is written as {fence}""" and a line break', start - 1)
    return content, end + len(closing)


def _dedent(content: str, at: int) -> str:
    *lines, last = ANY_BREAK.split(content)
    if not EDGE.fullmatch(last):
        raise BadScalar('the closing """ must stand on a line of its own', at)
    kept: list[str] = []
    for line in lines:
        if EDGE.fullmatch(line):
            kept.append("")
        elif line.startswith(last):
            kept.append(line[len(last) :])
        else:
            raise BadScalar('each line of a string must be indented at least as its closing """', at)
    return "\n".join(kept)


def _unescape(content: str, at: int) -> str:
    if "\\" not in content:
        return content

    def plain(found: re.Match[str]) -> str:
        if found[1]:
            code = int(found[1], 16)
            if code == 0:
                raise BadScalar("a NUL character cannot stand in a text", at, "encoding")
            if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
                raise BadScalar(f"{found[0]} is not a character", at + found.start(), "encoding")
            return chr(code)
        if found[2]:
            return ""
        if found[3] not in LETTERS:
            name = found[0] if found[3].isprintable() else "\\"
            raise BadScalar(f"{name} is not an escape of KDL", at + found.start())
        return LETTERS[found[3]]

    return ESCAPE.sub(plain, content)
