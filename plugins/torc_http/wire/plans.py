"""Readers and writers made of schemas: what marshmallow's `load` and `dump` would do, at a tenth of their cost.

A schema is looked at once. Readers take a body to a dict with the names of the record, without what was null or
read-only; writers take a record to a dict with the names of the wire, without what is None and not required.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from marshmallow import Schema, ValidationError

from torc_core.errors import Invalid
from torc_http.wire.fields import Kind, ListOf, Part, Plain, TextOrObject, quoted
from torc_http.wire.values import told


class Reader:
    """Reads objects of a schema.

    Parameters
    ----------
    strict
        Unknown keys are refused (`wire.md` T11).
    """

    def __init__(self, schema: Schema, *, strict: bool = False) -> None:
        self._takes: dict[str, tuple[str, Callable[[Plain], Any]]] = {}
        self._ignored: set[str] = set()
        self._strict = strict or bool(getattr(schema, "strict", False))
        for name, field in schema.fields.items():
            assert isinstance(field, Kind)
            if field.dump_only:
                self._ignored.add(name)
            else:
                self._takes[name] = (field.attribute or name, field.take)
        self._required = [
            (name, bool(field.allow_none)) for name, field in schema.fields.items() if field.required
        ]

    def __call__(self, value: Plain) -> dict[str, Any]:
        """Read one object.

        Raises
        ------
        Invalid
            The sentence names the field and the value.
        """
        return self._one(value, "")

    def many(self, values: Sequence[Plain]) -> list[dict[str, Any]]:
        """Read a list of objects; errors name the index."""
        one = self._one
        return [one(value, index) for index, value in enumerate(values)]

    def _one(self, value: Plain, index: int | str) -> dict[str, Any]:
        if type(value) is not dict:
            raise problem(index, "", f"expected an object, got {quoted(value)}", value)
        found: dict[str, Any] = {}
        takes = self._takes
        for name, item in value.items():
            known = takes.get(name)
            if known is None:
                if self._strict and name not in self._ignored:
                    raise problem(index, name, f"unknown key; choose from {', '.join(sorted(takes))}", item)
            elif item is not None:
                try:
                    found[known[0]] = known[1](item)
                except ValidationError as error:
                    raise problem(index, name, str(error.messages[0]), item) from None
                except Invalid as error:
                    raise nested(index, name, error) from None
        for name, nullable in self._required:
            if name not in value:
                raise problem(index, name, "it is missing", None)
            if value[name] is None and not nullable:
                raise problem(index, name, "it must not be null", None)
        return found


def problem(index: int | str, name: str, message: str, value: Plain) -> Invalid:
    """A complaint about one key of a body."""
    field = f"[{index}]" if isinstance(index, int) else ""
    field += f".{name}" if field and name else name
    return Invalid(f"{field}: {message}" if field else message, details={"field": field, "value": value})


def nested(index: int | str, name: str, error: Invalid) -> Invalid:
    """The same complaint, from further outside."""
    outer = f"[{index}].{name}" if isinstance(index, int) else name
    inner = str(error.details.get("field", ""))
    field = f"{outer}{inner}" if inner.startswith("[") else f"{outer}.{inner}".rstrip(".")
    text = str(error).removeprefix(inner).removeprefix(": ")
    return Invalid(f"{field}: {text}", details={**error.details, "field": field})


class Writer:
    """Writes records by a schema.

    Parameters
    ----------
    as_text
        The fields of `wire.md` T14 become text.
    """

    def __init__(self, fields: Iterable[tuple[str, Kind]], *, as_text: bool = False) -> None:
        self._plan: list[tuple[str, Callable[[Any], Any], Callable[[Any], Plain] | None, bool, Plain]] = []
        for name, field in fields:
            show: Callable[[Any], Plain] | None = field.show
            if isinstance(field, Part | ListOf) and getattr(field, "part", None) is not None:
                show = _inside(field, as_text=as_text)
            if as_text and isinstance(field, TextOrObject):
                show = _text
            default = field.dump_default if isinstance(field.dump_default, int | str) else None
            self._plan.append((name, attrgetter(field.attribute or name), show, field.required, default))

    def __call__(self, record: Any) -> dict[str, Plain]:
        """The body of one record."""
        out: dict[str, Plain] = {}
        for name, get, show, required, default in self._plan:
            value = get(record)
            if value is None:
                if required or default is not None:
                    out[name] = default
            else:
                out[name] = value if show is None else show(value)
        return out


def _inside(field: Any, *, as_text: bool) -> Callable[[Any], Plain]:
    write = writer(field.part, as_text=as_text)
    if isinstance(field, Part):
        return lambda value: value if isinstance(value, Mapping) else write(value)
    return lambda values: [write(value) for value in values]


def _text(value: Plain) -> str:
    return told(value).decode()


@cache
def reader(schema: type[Schema], *, strict: bool = False) -> Reader:
    """The reader of a schema."""
    return Reader(schema(), strict=strict)


@cache
def writer(
    schema: type[Schema],
    *,
    as_text: bool = False,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
) -> Writer:
    """The writer of a schema, or of some of its fields."""
    chosen = [
        (name, field)
        for name, field in schema().fields.items()
        if not field.load_only and name not in without and (only is None or name in only)
    ]
    return Writer(chosen, as_text=as_text)  # type: ignore[arg-type]  # all our fields are kinds
