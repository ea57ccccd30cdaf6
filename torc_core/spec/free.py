"""Reads values that may be anything JSON can say, and JSON that a document holds as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from torc_core.spec.document import Path
from torc_core.spec.shape import DEEPEST, UNSTORABLE, WRONG, Kind, Reading, bare, plain_text, storable


def json_value(reading: Reading, value: Any, path: Path) -> Any:
    """Anything JSON can say; strings are templates."""
    return _json(reading, value, path, template=True)


def json_object(reading: Reading, value: Any, path: Path) -> Any:
    """A mapping of JSON values, or text that holds one."""
    value = bare(value)
    if isinstance(value, str):
        value = json_text(reading, value, path)
        if value is WRONG:
            return WRONG
    if not isinstance(value, Mapping):
        return reading.wrong("wrong-type", path, f"{path[-1]} must be an object")
    return _json(reading, value, path, template=False)


def json_text(reading: Reading, text: str, path: Path) -> Any:
    """The value of a JSON text inside a document, read as strictly as a document."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) != len(dict(pairs)):
            raise ValueError("a key is given twice")
        return dict(pairs)

    def finite(text: str) -> float:
        if math.isinf(float(text)):
            raise ValueError(f"{text[:40]} is beyond the numbers of JSON")
        return float(text)

    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite, object_pairs_hook=unique)
    except RecursionError:
        return reading.wrong("too-deep", path, f"nested deeper than {DEEPEST} levels")
    except ValueError as error:
        return reading.wrong("bad-value", path, f"{path[-1]} is not JSON: {error}")


def _json(reading: Reading, value: Any, path: Path, *, template: bool) -> Any:
    value = bare(value)
    if len(path) > DEEPEST + 2:
        return reading.wrong("too-deep", path[:3], f"nested deeper than {DEEPEST} levels")
    if isinstance(value, str):
        return plain_text(reading, value, path, template=template)
    if isinstance(value, float) and not math.isfinite(value):
        return reading.wrong("bad-value", path, f"{value} cannot be stored as JSON; write it in quotes")
    if isinstance(value, int) and abs(value) >= 10**300:
        return reading.wrong("out-of-range", path, "a number of more than 300 digits; write it in quotes")
    if isinstance(value, Mapping):
        if not all(map(storable, value)):
            return reading.wrong("bad-value", path, UNSTORABLE)
        entries = {key: _json(reading, item, (*path, key), template=template) for key, item in value.items()}
        return WRONG if WRONG in entries.values() else entries
    if isinstance(value, list | tuple):
        items = [_json(reading, item, (*path, k), template=template) for k, item in enumerate(value)]
        return WRONG if WRONG in items else items
    return value


def or_json_text(kind: Kind) -> Kind:
    """What `kind` reads, or JSON text that holds it (`workflow-spec.md` §12.2)."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        if isinstance(value, str):
            value = json_text(reading, value, path)
        return WRONG if value is WRONG else kind(reading, value, path)

    return read
