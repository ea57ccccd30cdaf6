"""One parser for JSON and JSON5 that keeps places, counts what it builds, and never recurses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isinf
from typing import Any, NoReturn

from torc_core.record import record
from torc_core.spec.complaint import Complaint, Complaints
from torc_core.spec.document import Path
from torc_formats.limits import (
    DEPTH,
    LISTED,
    NODES,
    SHORT,
    complaint,
    duplicate,
    shown,
    too_deep,
    too_long,
    too_many,
)
from torc_formats.outline import Outline

SPACE = r"[\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
COMMENT = r"//[^\n\r\u2028\u2029]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*\*/"
ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<unit>[0-9a-fA-F]{4})|x(?P<byte>[0-9a-fA-F]{2})|(?P<line>\r\n|[\n\r\u2028\u2029])|(?P<other>.))",
    re.DOTALL,
)
LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORD = re.compile(r"\w++")
NEVER = re.compile(r"[+-]?(?:Infinity|NaN)\b")
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
LONGEST = 400
"""No number that a double can hold needs so many digits, and Python takes quadratic time for them."""


@record(frozen=True, slots=True, kw_only=True)
class Notation:
    """What is allowed where; no pattern goes back over what it has matched.

    `text` has one group for each quote, `begun` is a text without the closing one.
    """

    name: str
    space: re.Pattern[str]
    text: re.Pattern[str]
    begun: Mapping[str, re.Pattern[str]]
    number: re.Pattern[str]
    key: re.Pattern[str] | None
    letters: Mapping[str, str]
    trailing: bool


STRICT = r'"([^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*)'
LENIENT = r"Q([^Q\\\n\r]*+(?:\\(?:\r\n|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|0(?![0-9])|[^ux0-9])[^Q\\\n\r]*+)*)"
DOUBLE, SINGLE = LENIENT.replace("Q", '"'), LENIENT.replace("Q", "'")

JSON = Notation(
    name="JSON",
    space=re.compile(r"[ \t\n\r]*+"),
    text=re.compile(f'{STRICT}"'),
    begun={'"': re.compile(STRICT)},
    number=re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![\w.+-])"),
    key=None,
    letters=LETTERS,
    trailing=False,
)
JSON5 = Notation(
    name="JSON5",
    space=re.compile(rf"(?:{SPACE}++|{COMMENT})*"),
    text=re.compile(f"{DOUBLE}\"|{SINGLE}'"),
    begun={'"': re.compile(DOUBLE), "'": re.compile(SINGLE)},
    number=re.compile(
        r"[+-]?(?:0[xX][0-9a-fA-F]++|(?:(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)(?![\w.+-])"
    ),
    key=re.compile(r"[^\W\d][\w$\u200c\u200d]*+|\$[\w$\u200c\u200d]*+"),
    letters={**LETTERS, "v": "\v", "0": "\0"},
    trailing=True,
)


def parse(text: str, notation: Notation) -> tuple[Any, Outline]:
    """Read one value and everything in it.

    Raises `Complaints`.
    """
    parser = _Parser(text, notation)
    value = parser.document()
    return value, parser.outline


class _Frame:
    """A list or map that is being read."""

    __slots__ = ("entry", "key", "value")

    def __init__(self, value: Any, entry: int) -> None:
        self.value = value
        self.entry = entry
        self.key = ""


class _Parser:
    def __init__(self, text: str, notation: Notation) -> None:
        self.outline = Outline(text)
        self._text = text
        self._notation = notation
        self._frames: list[_Frame] = []
        self._complaints: list[Complaint] = []
        self._nodes = 0

    def document(self) -> Any:
        """Read values until the outermost one has ended.

        PERF: one loop over a position; a document may hold two million values.
        """
        text, size, frames = self._text, len(self._text), self._frames
        space = self._notation.space
        at = self._space(0)
        if at == size:
            self._refuse("syntax", "the document is empty", 0)
        frame: _Frame | None = None
        entry = self.outline.open("", at)
        while True:
            # A value stands at `at`; its entry in the outline has been made.
            self._nodes += 1
            if self._nodes > NODES:
                self._refuse("too-large", too_many(), at)
            character = text[at : at + 1]
            value: Any
            if character == "{" or character == "[":
                if len(frames) >= DEPTH:
                    self._refuse("too-deep", too_deep(), at)
                frame = _Frame({} if character == "{" else [], entry)
                frames.append(frame)
                at = space.match(text, at + 1).end()  # type: ignore[union-attr]  # matches always
                if text[at : at + 1] != ("}" if character == "{" else "]"):
                    entry, at = self._next(frame, at)
                    continue
                value, at = self._close(), at + 1
            else:
                value, at = self._scalar(at)
            while True:
                # A value has ended; give it to what it stands in, and see what follows.
                frame = frames[-1] if frames else None
                at = space.match(text, at).end()  # type: ignore[union-attr]  # matches always
                if frame is None:
                    return self._end(value, at)
                listed = type(frame.value) is list
                if listed:
                    frame.value.append(value)
                else:
                    frame.value[frame.key] = value
                closing = "]" if listed else "}"
                character = text[at : at + 1]
                if character == ",":
                    comma, at = at, self._space(at + 1)
                    character = text[at : at + 1]
                    if character != closing:
                        entry, at = self._next(frame, at)
                        break
                    if not self._notation.trailing:
                        self._refuse("syntax", f"JSON allows no comma before {closing!r}; remove it", comma)
                if character != closing:
                    self._unexpected(f"',' or {closing!r}", at)
                value, at = self._close(), at + 1

    def _next(self, frame: _Frame, at: int) -> tuple[int, int]:
        """An item or member begins at `at`: its entry, and where its value stands."""
        if type(frame.value) is list:
            return self.outline.open(len(frame.value), at), at
        start, key = at, self._text[at : at + 1]
        if key == '"' or (key == "'" and self._notation.key is not None):
            key, at = self._quoted(at)
        elif self._notation.key is None:
            self._unexpected("a key in double quotes", at)
        elif match := self._notation.key.match(self._text, at):
            key, at = match[0], match.end()
        else:
            self._unexpected("a key", at)
        self._nodes += 1
        if key in frame.value:
            line = self.outline.line_of(frame.entry, key)
            path = (*self._path()[:-1], key)
            where = self.outline.position(start)
            self._complaints.append(complaint("duplicate-key", duplicate(key, line), where, path))
            if len(self._complaints) >= LISTED:
                raise Complaints(self._complaints)
        frame.key = key
        entry = self.outline.open(key, start)
        at = self._space(at)
        if self._text[at : at + 1] != ":":
            self._unexpected(f"':' after the key {shown(key)}", at)
        return entry, self._space(at + 1)

    def _close(self) -> Any:
        frame = self._frames.pop()
        self.outline.close(frame.entry)
        return frame.value

    def _end(self, value: Any, at: int) -> Any:
        if at < len(self._text):
            self._refuse("syntax", f"{self._found(at)} after the end of the document", at)
        if self._complaints:
            raise Complaints(self._complaints)
        return value

    def _space(self, at: int) -> int:
        match = self._notation.space.match(self._text, at)
        assert match is not None
        return match.end()

    def _scalar(self, at: int) -> tuple[Any, int]:
        text = self._text
        if text[at : at + 1] == '"' or (text[at : at + 1] == "'" and self._notation.key is not None):
            return self._quoted(at)
        if match := self._notation.number.match(text, at):
            return self._number(match[0], at), match.end()
        if (match := WORD.match(text, at)) and match[0] in WORDS:
            return WORDS[match[0]], match.end()
        if match := NEVER.match(text, at):
            self._refuse("syntax", f"{match[0]} is not a number that can be kept", at)
        self._unexpected("a value", at)

    def _number(self, written: str, at: int) -> int | float:
        whole = written.lstrip("+-")
        value: int | float
        if len(whole) > LONGEST and whole.isdigit():
            value = float("inf")
        elif whole[:2] in ("0x", "0X"):
            value = int(whole, 16) if len(whole) < LONGEST else float("inf")
            value = -value if written[0] == "-" else value
        elif whole.isdigit():
            value = int(written)
        else:
            value = float(written)
        if isinf(value) if isinstance(value, float) else value.bit_length() > 1023:
            self._refuse("syntax", f"the number {shown(written)} is too big; the limit is 1.8e308", at)
        return value

    def _quoted(self, at: int) -> tuple[str, int]:
        match = self._notation.text.match(self._text, at)
        if match is None:
            self._bad_text(at)
        content: str = match[match.lastindex or 1]
        if "\\" in content:
            content = ESCAPE.sub(self._unescaped, content)
            if "\0" in content:
                self._refuse("encoding", "a NUL character cannot stand in a text", at)
            if not content.isascii() and not _encodable(content):
                self._refuse("encoding", "half of a surrogate pair cannot stand in a text", at)
        if len(content) > SHORT and (message := too_long(content)):
            self._refuse("too-large", message, at)
        return content, match.end()

    def _unescaped(self, match: re.Match[str]) -> str:
        if match["high"]:
            return chr(0x10000 + ((int(match["high"], 16) & 0x3FF) << 10) + (int(match["low"], 16) & 0x3FF))
        if code := match["unit"] or match["byte"]:
            return chr(int(code, 16))
        if match["line"]:
            return ""
        return self._notation.letters.get(match["other"], match["other"])

    def _bad_text(self, at: int) -> NoReturn:
        """Say why what begins at `at` is not a text: its pattern without the closing quote ends where it goes wrong."""
        text, quote = self._text, self._text[at]
        begun = self._notation.begun[quote].match(text, at)
        assert begun is not None
        end = begun.end()
        found = text[end : end + 1]
        if found == "\\" and end + 1 < len(text):
            name = text[end : end + 2] if text[end + 1].isprintable() else "\\"
            self._refuse("syntax", f"{name} is not an escape of {self._notation.name}", end)
        if found and found not in "\n\r\\":
            self._refuse("syntax", f"the character {found!a} has to be written as an escape", end)
        where = " on its line" if found and found in "\n\r" else ""
        self._refuse("syntax", f"the text that begins here has no closing quote{where}", at)

    def _unexpected(self, wanted: str, at: int) -> NoReturn:
        if at >= len(self._text) and self._frames:
            frame = self._frames[-1]
            kind = "list" if isinstance(frame.value, list) else "map"
            line = self.outline.position(self.outline.offset(frame.entry)).line
            self._refuse("syntax", f"the document ends inside the {kind} that began at line {line}", at)
        if self._text[at : at + 2] in ("//", "/*"):
            reason = "JSON has no comments; name the file .json5 to write them"
            self._refuse("syntax", reason if not self._notation.trailing else "a comment without an end", at)
        self._refuse("syntax", f"expected {wanted}, not {self._found(at)}", at)

    def _found(self, at: int) -> str:
        if at >= len(self._text):
            return "the end of the document"
        match = re.compile(r"\w[\w.+-]*+").match(self._text, at)
        return shown(match[0] if match else self._text[at])

    def _path(self) -> Path:
        return tuple(len(f.value) if isinstance(f.value, list) else f.key for f in self._frames)

    def _refuse(self, code: str, message: str, at: int) -> NoReturn:
        path = () if code == "too-deep" else self._path()
        raise Complaints([*self._complaints, complaint(code, message, self.outline.position(at), path)])


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
