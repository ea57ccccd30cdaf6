"""Records as JSON and back: any value of the model, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter
from typing import Any

from torc_core import model

Plain = Any
"""What JSON can say: None, bool, int, float, str, list, dict."""

RECORD, ENUM, TUPLE, PAIRS, KIND = "@", "=", "()", "{}", "#"
"""Keys that mark an object as something else: a record, an enum's member, a tuple, a mapping as pairs, a class."""

MARKS = frozenset({RECORD, ENUM, TUPLE, PAIRS, KIND})

SCALARS = frozenset({type(None), bool, int, float, str})

_PUBLIC = [getattr(model, name) for name in model.__all__]
RECORDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in _PUBLIC if isinstance(kind, type) and is_dataclass(kind)
}
ENUMS: Mapping[str, type[Enum]] = {
    kind.__name__: kind for kind in _PUBLIC if isinstance(kind, type) and issubclass(kind, Enum)
}
"""What may be made of a message: the allow-list."""

FIELDS = {kind: tuple(item.name for item in fields(kind)) for kind in RECORDS.values()}

_DEFAULTS = {kind: tuple(item.default for item in fields(kind)) for kind in RECORDS.values()}


def _values_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads these fields of a record."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


_VALUES = {kind: _values_of(names) for kind, names in FIELDS.items()}


def dumps(value: object) -> bytes:
    """Write a value.

    Raises
    ------
    TypeError
        If something in it belongs neither to JSON nor to the model.
    """
    return json.dumps(_plain(value), separators=(",", ":")).encode("ascii")


def plain(value: object) -> Plain:
    """A value as JSON can say it; fields of records that have their defaults are left out.

    Raises
    ------
    TypeError
        As `dumps`.
    """
    return _plain(value)


def loads(text: bytes) -> Any:
    """Read a value.

    Raises
    ------
    ValueError
        If the text is not JSON, names what is no record of the model, or a record's fields are not its own.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return rich(value)


def rich(value: Plain) -> Any:
    """Read a value that is JSON already; the argument is used up.

    Raises
    ------
    ValueError
        As `loads`.
    """
    try:
        return _rich(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a value of the model: {error}") from error


def _plain(value: Any) -> Plain:
    kind: type[Any] = type(value)
    if kind in SCALARS:
        return value
    if kind in FIELDS:
        return _written(value, kind)
    if isinstance(value, Enum):
        if ENUMS.get(kind.__name__) is kind:
            return {ENUM: kind.__name__, "value": value.value}
    elif isinstance(value, tuple):
        return {TUPLE: [_plain(item) for item in value]}
    elif isinstance(value, Mapping):
        if all(type(key) is str for key in value) and MARKS.isdisjoint(value):
            return {key: _plain(item) for key, item in value.items()}
        return {PAIRS: [[_plain(key), _plain(item)] for key, item in value.items()]}
    elif isinstance(value, type):
        if value in FIELDS:
            return {KIND: value.__name__}
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    raise TypeError(f"{kind.__name__} {value!r} does not belong to the model")


def _written(value: Any, kind: type[Any]) -> dict[str, Plain]:
    """A record; PERF: most fields of most records have their defaults, which are known by being the same object."""
    record: dict[str, Plain] = {RECORD: kind.__name__}
    for name, default, item in zip(FIELDS[kind], _DEFAULTS[kind], _VALUES[kind](value), strict=True):
        if item is not default:
            record[name] = item if type(item) in SCALARS else _plain(item)
    return record


def _rich(value: Plain) -> Any:
    kind = type(value)
    if kind is dict:
        for mark, read in _READERS:
            if mark in value:
                return read(value)
        return {key: item if type(item) in SCALARS else _rich(item) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in SCALARS else _rich(item) for item in value]
    return value


def _record(value: dict[str, Plain]) -> Any:
    kind = RECORDS[value.pop(RECORD)]
    for name, item in value.items():
        if type(item) not in SCALARS:
            value[name] = _rich(item)
    return kind(**value)


def _member(value: dict[str, Plain]) -> Enum:
    kind, key = ENUMS[value[ENUM]], value["value"]
    # PERF: calling the class takes five times as long; flags that are combined are only known to it.
    known = kind._value2member_map_.get(key)
    return kind(key) if known is None else known


def _tuple(value: dict[str, Plain]) -> tuple[Any, ...]:
    return tuple(_rich(value[TUPLE]))


def _pairs(value: dict[str, Plain]) -> dict[Any, Any]:
    return {_rich(key): _rich(item) for key, item in value[PAIRS]}


def _kind(value: dict[str, Plain]) -> type[Any]:
    return RECORDS[value[KIND]]


_READERS: Sequence[tuple[str, Callable[[dict[str, Plain]], Any]]] = (
    (RECORD, _record),
    (TUPLE, _tuple),
    (ENUM, _member),
    (PAIRS, _pairs),
    (KIND, _kind),
)
