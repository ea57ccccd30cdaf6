"""KDL text becomes nodes that know where they stand.

KDL 2.0 is read, and with it the spellings of 1.0 that 2.0 leaves free (`true`, `r"…"`, line breaks in quoted strings): no
document that is valid in 2.0 means anything else for that. The parser is our own because the packaged ones keep no
places, and a complaint has to name its line; it does not recurse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from torc_core.spec.document import Position
from torc_formats.kdl_scalars import BREAK, SPACE, BadScalar, number, quoted, raw, several_lines
from torc_formats.limits import DEPTH, NODES, SHORT, Lines, refusal, shown, too_deep, too_long, too_many

Scalar = bool | int | float | str | None

COMMENT = r"/\*(?:[^*/]++|\*(?!/)|/(?!\*))*\*/"
"""A comment without another inside; those with one take longer."""

BLANK = re.compile(rf"(?:[{SPACE}]++|{COMMENT})*")
BETWEEN = re.compile(rf"(?:[{SPACE}{BREAK};]++|//[^{BREAK}]*+|{COMMENT})*")
LINE_COMMENT = re.compile(rf"//[^{BREAK}]*+")
LINE_END = re.compile(rf"(?://[^{BREAK}]*+)?(?:\r\n|[{BREAK}]|\Z)")
COMMENT_EDGE = re.compile(r"/\*|\*/")
BARE = re.compile(
    rf'(?![+-]?\.?[0-9])[^\\/(){{}}\[\];"#={SPACE}{BREAK}\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]++'
)
PAIR = re.compile(rf'({BARE.pattern})[ \t]++(?:"([^"\\{BREAK}]*+)"|(-?[0-9]{{1,18}}))[ \t]*+[;\n]')
SIMPLE = re.compile(rf'"([^"\\{BREAK}]*+)"(?!")')
NUMBER = re.compile(r"[+-]?[0-9][0-9a-zA-Z_.+-]*+")
WORD = re.compile(r"#?-?\w*+")
RAW = re.compile(r'(r?)(#*+)"')
KEYWORDS: dict[str, None | bool] = {"#true": True, "#false": False, "#null": None}
OLD_KEYWORDS: dict[str, None | bool] = {"true": True, "false": False, "null": None}
BREAKS = frozenset(BREAK)
NEVER = ("inf", "-inf", "nan")
REMEMBERED = 1 << 16
"""Names of which one copy serves all nodes."""

SPECIAL = frozenset((*OLD_KEYWORDS, *NEVER))


class Node:
    """A node: its name, arguments, properties and, if it has a block, children. Offsets are indexes into the text."""

    __slots__ = ("arguments", "children", "name", "offset", "places", "properties")

    def __init__(self, name: str, offset: int) -> None:
        self.name = name
        self.offset = offset
        # PERF: most nodes have one of these, none has all; what is missing shares one empty tuple.
        self.arguments: Sequence[Scalar] = ()
        self.places: Sequence[int] = ()
        self.properties: Sequence[tuple[str, Scalar, int]] = ()
        self.children: list[Node] | None = None


class KdlText:
    """A document that has been read: the nodes at its top, and how to find places."""

    def __init__(self, text: str, *, places: bool = False) -> None:
        """Read a text; `places`: note where each argument stands, too.

        Raises `Complaints`.
        """
        self._text = text
        self._places = places
        self._names: dict[str, str] = {}
        self._lines = Lines(text)
        self.count = 0
        self.nodes: list[Node] = []
        self._read()

    def position(self, offset: int) -> Position:
        """Line and column of an offset."""
        return self._lines.position(offset)

    def _read(self) -> None:
        """Read nodes until the text ends.

        Each open block is on the stack with the node it belongs to, and whether a `/-` in front of it throws it away.
        """
        text, size = self._text, len(self._text)
        stack: list[tuple[Node, list[Node], bool]] = []
        nodes = self.nodes
        at = 0
        while True:
            at = self._between(at)
            if at < size and text[at] == "}":
                if not stack:
                    self._refuse("a '}' without its '{'", at)
                node, nodes, thrown = stack.pop()
                at, block = self._entries(node, at + 1, closed=not thrown)
            elif at >= size:
                if stack:
                    line = self.position(stack[-1][0].offset).line
                    self._refuse(f"the block of the node at line {line} is not closed; write '}}'", at)
                return
            elif (match := PAIR.match(text, at)) and match[1] not in SPECIAL and not self._places:
                # PERF: `name "text"` and `name 5` on a line of their own are most of most documents.
                node = Node(self._known_name(match[1], at), at)
                node.arguments = (int(match[3]) if match[2] is None else self._checked(match[2], at),)
                nodes.append(node)
                self.count += 1
                self._tick(at)
                at = match.end()
                continue
            else:
                kept = not text.startswith("/-", at)
                if not kept:
                    at = self._between(at + 2)
                name, after = self._name(at)
                node = Node(name, at)
                if kept:
                    nodes.append(node)
                at, block = self._entries(node, after, closed=False)
            if block is not None:
                self._tick(at)
                if len(stack) >= DEPTH:
                    raise refusal("too-deep", too_deep(), self.position(at))
                stack.append((node, nodes, block))
                nodes = []
                if not block:
                    node.children = nodes

    def _name(self, at: int) -> tuple[str, int]:
        self._tick(at)
        match = BARE.match(self._text, at)
        if match and match[0] not in SPECIAL and self._text[match.end() : match.end() + 1] not in ('"', "#"):
            return self._known_name(match[0], at), match.end()
        value, after = self._value(at, "a node")
        if not isinstance(value, str) or (value in OLD_KEYWORDS and self._text[at] != '"'):
            self._refuse(f"expected the name of a node, not {shown(self._text[at:after])}", at)
        return value, after

    def _known_name(self, name: str, at: int) -> str:
        """One and the same text for all nodes of a name."""
        known = self._names.get(name)
        if known is None:
            known = self._checked(name, at)
            if len(self._names) < REMEMBERED:
                self._names[name] = name
        return known

    def _entries(self, node: Node, at: int, *, closed: bool) -> tuple[int, bool | None]:
        """Read arguments and properties up to the end of the node, or to the `{` of a block.

        `closed`: the node has had its block. The second result is None at the end of the node, else whether the block
        that has just begun is thrown away.
        """
        text = self._text
        blocks = closed
        while True:
            start = at
            at = self._space(at)
            character = text[at : at + 1]
            if not character:
                return at, None
            if character == "{":
                if closed:
                    self._refuse("a node has one block at most", at)
                return at + 1, False
            if character == "}":
                return at, None
            if character == "\n" or character == ";":
                return at + 1, None
            if (character in BREAKS or character == "/") and (match := LINE_END.match(text, at)):
                return match.end(), None
            thrown = text.startswith("/-", at)
            if thrown:
                at = self._between(at + 2)
                if text.startswith("{", at):
                    return at + 1, True
            elif start == at:
                self._refuse(f"expected a blank, a line break or ';', not {shown(character)}", at)
            if blocks:
                self._refuse("expected a line break or ';' after '}'", at)
            at = self._entry(node, at, thrown)

    def _entry(self, node: Node, at: int, thrown: bool) -> int:
        """Read one argument or property."""
        self._tick(at)
        value, after = self._value(at, "a value")
        if isinstance(value, str):
            equals = self._blank(after)
            if self._text.startswith("=", equals):
                self._tick(at)
                key, place = value, at
                value, after = self._value(self._blank(equals + 1), "a value")
                if not thrown:
                    if type(node.properties) is not list:
                        node.properties = []
                    node.properties.append((key, value, place))
                return after
        if not thrown:
            # PERF: most nodes have one argument, for which a tuple takes half the memory of a list.
            if not node.arguments:
                node.arguments = (value,)
            elif type(node.arguments) is list:
                node.arguments.append(value)
            else:
                node.arguments = [*node.arguments, value]
            if self._places:
                if type(node.places) is not list:
                    node.places = []
                node.places.append(at)
        return after

    def _value(self, at: int, wanted: str) -> tuple[Scalar, int]:
        """Read a name, string, number or keyword."""
        text = self._text
        if match := SIMPLE.match(text, at):
            return self._checked(match[1], at), match.end()
        character = text[at : at + 1]
        try:
            if character == '"':
                if text.startswith('"""', at):
                    value, after = several_lines(text, at)
                else:
                    value, after = quoted(text, at)
                return self._checked(value, at), after
            if (character == "#" or character == "r") and (match := RAW.match(text, at)):
                value, after = raw(text, match.end(), len(match[2]), old=bool(match[1]))
                return self._checked(value, at), after
            if match := NUMBER.match(text, at):
                return number(match[0], at), match.end()
        except BadScalar as error:
            raise refusal(error.code, str(error), self.position(error.offset)) from error
        if character == "#":
            word = WORD.match(text, at)
            assert word is not None
            if word[0] in KEYWORDS:
                return KEYWORDS[word[0]], word.end()
            if word[0][1:] in NEVER:
                self._refuse(f"{word[0]} is not a number that can be kept", at)
            self._refuse(f"{shown(word[0])} is not a keyword; the keywords are #true, #false and #null", at)
        if match := BARE.match(text, at):
            bare = match[0]
            if bare in OLD_KEYWORDS:
                return OLD_KEYWORDS[bare], match.end()
            if bare in NEVER:
                self._refuse(
                    f"{bare} is not a number that can be kept; if it is text, write it in quotes", at
                )
            return self._checked(bare, at), match.end()
        if character == "(":
            self._refuse("type annotations are not supported; leave out what stands in parentheses", at)
        self._refuse(
            f"expected {wanted}, not {shown(character) if character else 'the end of the document'}", at
        )

    def _checked(self, value: str, at: int) -> str:
        if len(value) > SHORT and (message := too_long(value)):
            raise refusal("too-large", message, self.position(at))
        return value

    def _blank(self, at: int) -> int:
        """Skip blanks and `/* … */`, which may contain itself."""
        text = self._text
        while True:
            match = BLANK.match(text, at)
            assert match is not None
            at = match.end()
            if not text.startswith("/*", at):
                return at
            depth = 0
            for mark in COMMENT_EDGE.finditer(text, at):
                depth += 1 if mark[0] == "/*" else -1
                if depth > DEPTH:
                    raise refusal("too-deep", too_deep(), self.position(mark.start()))
                if depth == 0:
                    at = mark.end()
                    break
            else:
                self._refuse("the comment that begins here has no end", at)

    def _space(self, at: int) -> int:
        """Skip what may stand between the parts of a node: blanks, comments, and joined lines."""
        while True:
            match = BLANK.match(self._text, at)
            assert match is not None
            at = match.end()
            character = self._text[at : at + 1]
            if character != "\\":
                if character != "/" or not self._text.startswith("/*", at):
                    return at
                at = self._blank(at)
                continue
            end = LINE_END.match(self._text, self._blank(at + 1))
            if end is None:
                self._refuse("a '\\' outside of quotes must be the last thing on its line", at)
            at = end.end()

    def _between(self, at: int) -> int:
        """Skip what may stand between nodes: all of that, line breaks and spare semicolons."""
        while True:
            match = BETWEEN.match(self._text, at)
            assert match is not None
            at = match.end()
            if self._text[at : at + 1] not in ("/", "\\"):
                return at
            after = self._space(at)
            if after == at:
                return at
            at = after

    def _tick(self, at: int) -> None:
        self.count += 1
        if self.count > NODES:
            raise refusal("too-large", too_many(), self.position(at))

    def _refuse(self, message: str, at: int) -> NoReturn:
        raise refusal("syntax", message, self.position(at))
