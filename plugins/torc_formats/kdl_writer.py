"""Trees become KDL 2.0 text (`workflow-spec.md` §16)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from torc_core.errors import BadValue
from torc_formats.kdl_parser import BARE, NEVER, OLD_KEYWORDS
from torc_formats.kdl_places import ITEM
from torc_formats.kdl_scalars import BREAK, SPACE
from torc_formats.kdl_words import WORKFLOW, Shape

INDENT = "    "
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
"""What KDL does not allow as it is, or takes for a line break."""

BLANK_LINE = re.compile(rf"^[{SPACE}]+$", re.MULTILINE)
ESCAPED = re.compile(rf'[\\"\n\t{BREAK}]|{HIDDEN.pattern}')
"""What is not written as it is in a quoted string."""

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def dump(tree: Mapping[str, Any]) -> str:
    """Write KDL. Lists of objects that are empty are left out.

    Raises `BadValue` for what KDL cannot hold.
    """
    return "".join(f"{line}\n" for line in _fields(tree, WORKFLOW, ""))


def _fields(target: Mapping[str, Any], shape: Shape, indent: str) -> Iterator[str]:
    rows = {field: (node, inner) for node, (field, inner) in shape.rows.items()}
    for key, value in target.items():
        if key in rows:
            node, inner = rows[key]
            for row in _mappings(key, value):
                yield from _object(node, row, inner, indent)
        elif key in shape.lists.values():
            yield from _list(key, value, indent)
        elif key in shape.objects and isinstance(value, Mapping):
            yield from _object(key, value, shape.objects[key], indent)
        elif _as_json(key, value, shape):
            yield f"{indent}{key} {_string(_json(key, value), indent)}"
        else:
            yield from _value(key, value, indent)


def _object(node: str, target: Mapping[str, Any], shape: Shape, indent: str) -> Iterator[str]:
    head = indent + _name(node)
    rest = target
    if shape.named and "name" in target:
        head += f" {_scalar(target['name'], indent)}"
        rest = {key: value for key, value in target.items() if key != "name"}
    yield from _block(head, list(_fields(rest, shape, indent + INDENT)), indent)


def _block(head: str, lines: Sequence[str], indent: str) -> Iterator[str]:
    if not lines:
        yield f"{head} {{}}"
        return
    yield f"{head} {{"
    yield from lines
    yield f"{indent}}}"


def _list(key: str, value: Any, indent: str) -> Iterator[str]:
    """A list field: its items are arguments, even if there is only one, or none."""
    if not _sequence(value):
        raise BadValue(f"{key!r} must be a list to be written as KDL, not {value!r}")
    if any(_sequence(item) or isinstance(item, Mapping) for item in value):
        yield from _items(key, value, indent)
    else:
        yield " ".join([indent + _name(key), *(_scalar(item, indent) for item in value)])


def _items(key: str, value: Sequence[Any], indent: str) -> Iterator[str]:
    lines = [line for item in value for line in _value(ITEM, item, indent + INDENT)]
    yield from _block(indent + _name(key), lines, indent)


def _value(key: str, value: Any, indent: str) -> Iterator[str]:
    """A value that no shape tells about: one argument is a scalar, so a list of one becomes a block."""
    if isinstance(value, Mapping):
        if set(value) == {ITEM}:
            raise BadValue(
                f"{key!r} cannot be written as KDL: a map with the only key '-' would be read as a list"
            )
        lines = [line for name, item in value.items() for line in _value(name, item, indent + INDENT)]
        yield from _block(indent + _name(key), lines, indent)
    elif not _sequence(value):
        yield f"{indent}{_name(key)} {_scalar(value, indent)}"
    elif len(value) == 1:
        yield from _items(key, value, indent)
    else:
        yield from _list(key, value, indent)


def _as_json(key: str, value: Any, shape: Shape) -> bool:
    """Whether a field is written as JSON text: where that is what a text means, or where a block cannot say it."""
    if key in shape.text:
        return value is not None and not isinstance(value, (int, float))
    return key in shape.free and not _holds(value)


def _holds(value: Any) -> bool:
    """Whether a block can say this; if not, free JSON is written as a text."""
    if isinstance(value, Mapping):
        return set(value) != {ITEM} and all(map(_holds, value.values()))
    return all(map(_holds, value)) if _sequence(value) else True


def _mappings(key: str, value: Any) -> Sequence[Mapping[str, Any]]:
    if not _sequence(value) or not all(isinstance(row, Mapping) for row in value):
        raise BadValue(f"{key!r} must be a list of objects to be written as KDL")
    rows: Sequence[Mapping[str, Any]] = value
    return rows


def _sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _json(key: str, value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadValue(f"{key!r} cannot be written as JSON: {error}") from error


def _name(name: str) -> str:
    if BARE.fullmatch(name) and name not in OLD_KEYWORDS and name not in NEVER:
        return name
    return _escaped(name)


def _scalar(value: Any, indent: str) -> str:
    if isinstance(value, str):
        return _string(value, indent)
    if value is None or isinstance(value, bool):
        return {None: "#null", True: "#true", False: "#false"}[value]
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return repr(value)
    raise BadValue(f"this cannot be written as KDL: {value!r}")


def _string(text: str, indent: str) -> str:
    """A string as it is easiest to read: raw where quotes, backslashes or line breaks would have to be escaped."""
    if not any(sign in text for sign in '\\"\n') or HIDDEN.search(text) or BLANK_LINE.search(text):
        return _escaped(text)
    fence = "#"
    while f'"{fence}' in text:
        fence += "#"
    if "\n" not in text and not text.startswith('"'):
        return f'{fence}"{text}"{fence}'
    inside = indent + INDENT
    lines = [inside + line if line else "" for line in text.split("\n")]
    return f'{fence}"""\n' + "\n".join(lines) + f'\n{inside}"""{fence}'


def _escaped(text: str) -> str:
    return f'"{ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return ESCAPES.get(found[0]) or f"\\u{{{ord(found[0]):x}}}"
