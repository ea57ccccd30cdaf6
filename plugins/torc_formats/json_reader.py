"""JSON and JSON5 text become documents.

Most JSON is read by the standard library, which is ten times as fast; whatever it does not accept, or accepts although
RFC 8259 or torc's limits do not, is read once more by the parser of this package, which knows where everything stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from math import isinf
from typing import Any, NoReturn

from torc_core.spec.document import Document, Path, Position
from torc_formats.json_parser import JSON, JSON5, parse
from torc_formats.limits import DEPTH, NODES, SHORT, clean, refusal

SUSPICIOUS = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
"""Escapes of surrogates, which have to come in pairs, and of NUL."""


def load(text: str) -> Document:
    """Read JSON whose root is an object.

    Raises `Complaints`.
    """
    text = clean(text)
    tree = _quickly(text)
    if tree is None:
        parsed, outline = parse(text, JSON)
        return Document(tree=_root(parsed, outline.find(())), locate=outline.find, format="json")
    return Document(tree=_root(tree, Position(1, 1)), locate=_Places(text).find, format="json")


def load_json5(text: str) -> Document:
    """Read JSON5 whose root is an object.

    Raises `Complaints`.
    """
    tree, outline = parse(clean(text), JSON5)
    return Document(tree=_root(tree, outline.find(())), locate=outline.find, format="json5")


def json_value(text: str) -> tuple[Any, int]:
    """Any JSON value, as KDL holds one in a string, and how many values are in it.

    Raises `Complaints`, whose lines count from the start of `text`.
    """
    value, outline = parse(text, JSON)
    return value, len(outline)


class _Places:
    """Parses the text again when the first place in it is asked for; most documents are never asked."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._find: Any = None

    def find(self, path: Path) -> Position:
        if self._find is None:
            self._find = parse(self._text, JSON)[1].find
        position: Position = self._find(path)
        return position


def _root(tree: Any, at: Position) -> dict[str, Any]:
    if not isinstance(tree, dict):
        kind = "a list" if isinstance(tree, list) else "a single value"
        raise refusal("wrong-type", f"the document must be a map of fields, not {kind}", at)
    return tree


class _NotSimple(ValueError):
    """Something that only the careful parser may judge."""


def _quickly(text: str) -> Any:
    """The value of flawless JSON within all limits, else None."""
    # NOTE: an upper bound of the nodes; lists cannot be counted while the library builds them.
    if sum(map(text.count, ",:[{")) >= NODES or SUSPICIOUS.search(text):
        return None
    try:
        tree = json.loads(text, object_pairs_hook=_members, parse_constant=_constant)
    except (ValueError, RecursionError):
        return None
    return tree if _within_limits(tree) else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotSimple
    return members


def _constant(name: str) -> NoReturn:
    raise _NotSimple(name)


def _within_limits(tree: Any) -> bool:
    """Whether depth, numbers and lengths of texts are allowed; level by level, so that nothing recurses."""
    level = [tree]
    for _ in range(DEPTH):
        deeper: list[Any] = []
        for container in level:
            items: Iterable[Any]
            if type(container) is dict:
                if any(len(key) > SHORT for key in container):
                    return False
                items = container.values()
            elif type(container) is list:
                items = container
            else:
                items = (container,)
            for value in items:
                kind = type(value)
                if kind is dict or kind is list:
                    deeper.append(value)
                elif kind is str:
                    if len(value) > SHORT:
                        return False
                elif kind is int:
                    if value.bit_length() > 1023:
                        return False
                elif kind is float and isinf(value):
                    return False
        if not deeper:
            return True
        level = deeper
    return False
