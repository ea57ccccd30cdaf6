"""Turns what stands in a file or a variable into the value that a key asks for."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from torc_core.record import record


@record(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as its dataclass declares it; `type` without None, `optional` says whether None was there."""

    name: str
    type: Any
    optional: bool
    default: Any
    help: str
    secret: bool = False

    @property
    def is_table(self) -> bool:
        """Whether its value is a table of any keys."""
        return get_origin(self.type) is Mapping


def keys_of(kind: type[Any]) -> Mapping[str, Key]:
    """All keys of a settings class, those of its tables as `table.key`, in order."""
    return _cached(cast("Hashable", kind))


@cache
def _cached(kind: Hashable) -> Mapping[str, Key]:
    return dict(_keys(cast("type[Any]", kind)))


def _keys(kind: type[Any]) -> Iterator[tuple[str, Key]]:
    hints = get_type_hints(kind)
    for item in fields(kind):
        hint = hints[item.name]
        if is_dataclass(hint):
            for name, key in keys_of(hint).items():  # type: ignore[arg-type]  # a class, by get_type_hints
                yield f"{item.name}.{name}", key
            continue
        parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        bare = tuple(part for part in parts if part is not NoneType)
        default = item.default if item.default_factory is MISSING else item.default_factory()
        yield (
            item.name,
            Key(
                name=item.name,
                type=bare[0],
                optional=len(bare) < len(parts),
                default=default,
                help=item.metadata.get("help", ""),
                secret=item.metadata.get("secret", False),
            ),
        )


def build(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """A settings record with these values (`table.key`); the rest are defaults."""
    given: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for item in fields(kind):
        hint = hints[item.name]
        if is_dataclass(hint):
            start = f"{item.name}."
            inner = {
                name.removeprefix(start): value for name, value in values.items() if name.startswith(start)
            }
            given[item.name] = build(hint, inner)  # type: ignore[arg-type]  # a class, by get_type_hints
        elif item.name in values:
            given[item.name] = values[item.name]
    return kind(**given)


def typed(value: object, key: Key) -> Any:
    """A value of TOML as the key's type has it.

    Raises
    ------
    ValueError
        If it is of another type; the text says what is expected: `a number`.
    """
    kind = key.type
    if kind is float and type(value) in (int, float) and abs(cast("float", value)) < 1e300:
        return float(cast("float", value))
    if get_origin(kind) is Literal and value in get_args(kind):
        return value
    if (
        get_origin(kind) is tuple
        and isinstance(value, list | tuple)
        and all(type(one) is str for one in value)
    ):
        return tuple(value)
    if key.is_table and isinstance(value, Mapping):
        return value
    if isinstance(kind, type) and type(value) is kind is not float:
        return value
    raise ValueError(expected(key))


def from_text(text: str, key: Key) -> Any:
    """The value that a variable or a command line gives: lists with commas or as TOML, booleans also as 1 and 0.

    Raises
    ------
    ValueError
        As `typed`.
    """
    kind = key.type
    text = text.strip()
    if kind is str or get_origin(kind) is Literal:
        return typed(text, key)
    if kind is bool:
        found = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
        return typed(found, key)
    if get_origin(kind) is tuple and not text.startswith("["):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    import tomllib

    try:
        return typed(tomllib.loads(f"value = {text}")["value"], key)
    except tomllib.TOMLDecodeError:
        raise ValueError(expected(key)) from None


def expected(key: Key) -> str:
    """What a key asks for, in words."""
    if get_origin(key.type) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(key.type))
    if get_origin(key.type) is tuple:
        return "a list of texts"
    if key.is_table:
        return "a table"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}[
        key.type
    ]
