"""Reads objects of a document from outside, field by field, with a sentence for whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from torc_core.engine.checks import checked
from torc_core.errors import Invalid

V = TypeVar("V")

_NOUNS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}

_COUNTED = ("run_id", "initialized_run", "attempt_id", "losses", "trigger_count")
"""Numbers that are counted on from where they are."""


class Entry:
    """One object, and where it stands in the document: `jobs[3]`."""

    def __init__(self, at: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise Invalid(f"{at} is {_said(value)}, not an object")
        self.at = at
        self.value: Mapping[str, Any] = value

    def get(self, key: str, kind: type[V], default: V | None = None) -> V | None:
        """A field that may be missing or null.

        Raises
        ------
        Invalid
            If it is something else.
        """
        value: Any = self.value.get(key)
        if value is None:
            return default
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.wrong(key, f"is {_said(value)}, not {_NOUNS[kind]}", value)
        if isinstance(value, str) and "\0" in value:
            raise self.wrong(key, "holds a NUL character", value)
        if isinstance(value, int | float) and not -(2**63) <= value < 2**63:
            raise self.wrong(key, "is beyond 64 bits", value)
        if isinstance(value, int) and key in _COUNTED and not 0 <= value <= 2**62:
            raise self.wrong(key, f"is {value}; it is a number from 0 to 2^62", value)
        return cast("V", value)

    def need(self, key: str, kind: type[V]) -> V:
        """A field that has to be there.

        Raises
        ------
        Invalid
            If it is missing, null or something else.
        """
        value = self.get(key, kind)
        if value is None:
            raise self.wrong(key, "is missing", None)
        return value

    def texts(self, key: str) -> dict[str, str] | None:
        """A map of text to text."""
        value = self.get(key, dict)
        for name, text in (value or {}).items():
            if type(text) is not str or "\0" in name or "\0" in text:
                raise self.wrong(key, f"holds {name!r}: {_said(text)}, not text", text)
        return value

    def read(self, key: str, reader: Callable[[str], V]) -> V | None:
        """A text that says something else, such as an instant."""
        text = self.get(key, str)
        if text is None:
            return None
        try:
            return reader(text)
        except Invalid:
            raise
        except Exception as error:
            raise self.wrong(key, f"is wrong: {error}", text) from error

    def one(self, key: str, ids: Mapping[int, int]) -> Any:
        """The position of the record that a field names."""
        id = self.get(key, int)
        return None if id is None else self._position(key, id, ids)

    def many(self, key: str, ids: Mapping[int, int]) -> list[int]:
        """The positions of the records that a list names, ascending, each once."""
        named = self.get(key, list) or []
        return sorted({self._position(key, id, ids) for id in named})

    def wrong(self, key: str, what: str, value: object) -> Invalid:
        """What is wrong with a field."""
        shown = value if isinstance(value, str | int | float | bool) else None
        return Invalid(f"{self.at}.{key} {what}", details={"field": f"{self.at}.{key}", "value": shown})

    def _position(self, key: str, id: object, ids: Mapping[int, int]) -> int:
        if type(id) is not int or id not in ids:
            raise self.wrong(key, f"names {_said(id)}, which is not in the document", id)
        return ids[id]


def sound(one: Entry, made: Any) -> Any:
    """A record as its checks leave it; their complaints begin with the place.

    Raises
    ------
    Invalid
        If it is not what it has to be.
    """
    try:
        return checked(made)
    except Invalid as error:
        raise Invalid(f"{one.at}: {error}", details=error.details) from error


def entries(document: Mapping[str, Any], key: str) -> list[Entry]:
    """The objects of a list of the document; none if there is no such list.

    Raises
    ------
    Invalid
        If it is something else.
    """
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid(f"{key} is {_said(value)}, not a list")
    return [Entry(f"{key}[{at}]", one) for at, one in enumerate(value)]


def numbered(found: list[Entry]) -> dict[int, int]:
    """Position by id.

    Raises
    ------
    Invalid
        If an id comes twice.
    """
    ids: dict[int, int] = {}
    for at, one in enumerate(found):
        if ids.setdefault(one.need("id", int), at) != at:
            raise one.wrong("id", f"{one.value['id']} comes twice", one.value["id"])
    return ids


def _said(value: object) -> str:
    return (
        repr(value)[:60]
        if isinstance(value, str | int | float | bool | None)
        else _NOUNS.get(type(value), "something else")
    )
