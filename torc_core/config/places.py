"""Finds where keys stand in a TOML text, which the standard library's reader does not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping

Place = tuple[int, int]
"""Line and column, from 1."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_PART = re.compile(r'[ \t]*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|\'([^\'\n]*)\')[ \t]*')
_VALUE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|#[^\n]*|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)


def places(text: str) -> Mapping[str, Place]:
    """Where each table and key of a valid TOML text begins, by its dotted name; the first place counts.

    Keys inside of inline tables and of arrays are not found; ask with `nearest`.
    """
    found: dict[str, Place] = {}
    table: list[str] = []
    at = 0
    while (at := _skip(_BLANK, text, at)) < len(text):
        begin = at
        header = 2 if text.startswith("[[", at) else 1 if text[at] == "[" else 0
        names, at = _names(text, at + header)
        if header:
            path = table = names
            end = text.find("\n", at)
            at = end if end >= 0 else len(text)
        else:
            path = table + names
            at = _after_value(text, at + 1)
        for length in range(1 if header else len(table) + 1, len(path) + 1):
            found.setdefault(".".join(path[:length]), _place(text, begin))
    return found


def nearest(found: Mapping[str, Place], name: str) -> Place:
    """The place of a key, or of the table or key that it is inside of."""
    while name:
        if name in found:
            return found[name]
        name = name.rpartition(".")[0]
    return 1, 1


def _place(text: str, at: int) -> Place:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _names(text: str, at: int) -> tuple[list[str], int]:
    names: list[str] = []
    while found := _PART.match(text, at):
        names.append(next(part for part in found.groups() if part is not None))
        at = found.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    return names, at


def _after_value(text: str, at: int) -> int:
    depth = 0
    while found := _VALUE.match(text, at):
        piece = found[0]
        if piece == "\n" and depth == 0:
            return at
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece, 0)
        at = found.end()
    return len(text)
