"""The kinds of values on the wire: how each is checked, read from a query, shown, and described in OpenAPI.

They are marshmallow fields, so that schemas say what a body is; `torc_http.wire.plans` turns schemas into readers and
writers that use the same `take` and `show` without marshmallow's cost per object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError
from marshmallow.fields import Field

from torc_core.errors import BadValue
from torc_core.model import JobStatus
from torc_core.model.resources import GIB
from torc_http.wire.values import heard

SMALLEST, LARGEST = -(2**63), 2**63 - 1
DEEPEST = 64
LONGEST_TEXT = 1024**2
LONGEST_NAME = 255
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
TRUE, FALSE = ("true", "1"), ("false", "0")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Plain = Any
"""What JSON can say."""


class Kind(Field[Any]):
    """A kind of value.

    Parameters
    ----------
    attribute
        The field of the record, dotted where it lies deeper; the name on the wire by default.
    clears
        What a body sends to clear the field: `""`, `[]`, `{}`; it is read as such and handlers pass it on.
    """

    noun = "a value"
    schema: ClassVar[Mapping[str, Plain]] = {}
    show: Callable[[Any], Plain] | None = None
    """How a record's value becomes JSON; None: it is JSON already."""

    def __init__(self, **options: Any) -> None:
        self.note: str = options.pop("note", "")
        super().__init__(**options)

    def take(self, value: Plain) -> Any:
        """A value of a body, checked.

        Raises
        ------
        ValidationError
            If it is not one.
        """
        return value

    def parse(self, text: str) -> Any:
        """A value of a query parameter."""
        return self.take(text)

    def described(self) -> dict[str, Plain]:
        """The JSON schema."""
        return dict(self.schema)

    def wrong(self, value: Plain) -> ValidationError:
        """What to raise for a value that is not of this kind."""
        return ValidationError(f"{quoted(value)} is not {self.noun}")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        return self.take(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> Any:
        return value if value is None or self.show is None else self.show(value)


class Int(Kind):
    """An integer of 64 bits."""

    noun = "an integer"

    def __init__(self, minimum: int = SMALLEST, maximum: int = LARGEST, **options: Any) -> None:
        super().__init__(**options)
        self.minimum, self.maximum = minimum, maximum

    def take(self, value: Plain) -> int:
        if type(value) is not int:
            raise self.wrong(value)
        if not self.minimum <= value <= self.maximum:
            low = f"from {self.minimum}" if self.minimum > SMALLEST else "within 64 bits"
            high = f" to {self.maximum}" if self.maximum < LARGEST else ""
            raise ValidationError(f"{value} is out of range; write an integer {low}{high}")
        return value

    def parse(self, text: str) -> int:
        if not WHOLE.fullmatch(text):
            raise self.wrong(text)
        return self.take(int(text))

    def described(self) -> dict[str, Plain]:
        bounds = {"minimum": self.minimum} if self.minimum > SMALLEST else {}
        top = {"maximum": self.maximum} if self.maximum < LARGEST else {}
        return {"type": "integer", "format": "int64", **bounds, **top}


class Id(Int):
    """The id of a record."""

    noun = "an id"

    def __init__(self, **options: Any) -> None:
        super().__init__(minimum=1, **options)


class IdOrNone(Int):
    """An id that the contract wants where we have none: shown as 0."""

    def __init__(self, **options: Any) -> None:
        super().__init__(minimum=0, **options)


class Number(Kind):
    """A finite number; an integer will do."""

    noun = "a number"
    schema: ClassVar[Mapping[str, Plain]] = {"type": "number"}

    def __init__(self, minimum: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.minimum = minimum

    def take(self, value: Plain) -> float:
        if type(value) not in (int, float):
            raise self.wrong(value)
        if self.minimum is not None and value < self.minimum:
            raise ValidationError(f"{value} is below {self.minimum}")
        if not SMALLEST <= value <= 1e300:
            raise ValidationError(f"{value} is out of range")
        return float(value)

    def described(self) -> dict[str, Plain]:
        return dict(self.schema) | ({} if self.minimum is None else {"minimum": self.minimum})


class Gibibytes(Number):
    """Bytes inside, gibibytes outside."""

    def take(self, value: Plain) -> int:
        number = super().take(value)
        if number * GIB > LARGEST:
            raise ValidationError(f"{value} GiB is out of range")
        return round(number * GIB)

    show = staticmethod(lambda size: size / GIB)


class Flag(Kind):
    """True or false."""

    noun = "true or false"
    schema: ClassVar[Mapping[str, Plain]] = {"type": "boolean"}

    def take(self, value: Plain) -> bool:
        if type(value) is not bool:
            raise self.wrong(value)
        return value

    def parse(self, text: str) -> bool:
        lower = text.lower()
        if lower not in TRUE and lower not in FALSE:
            raise self.wrong(text)
        return lower in TRUE


class Text(Kind):
    """Text without NUL; at most 1 MiB."""

    noun = "a string"

    def __init__(self, longest: int = LONGEST_TEXT, *, empty: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.longest, self.empty = longest, empty

    def take(self, value: Plain) -> str:
        if type(value) is not str:
            raise self.wrong(value)
        if not value and not self.empty:
            raise ValidationError("it must not be empty")
        if len(value) > self.longest:
            raise ValidationError(f"it has {len(value)} characters; at most {self.longest} are allowed")
        if "\x00" in value:
            raise ValidationError("it holds a NUL character; take it out")
        return value

    def described(self) -> dict[str, Plain]:
        bounds = {"maxLength": self.longest} if self.longest < LONGEST_TEXT else {}
        return {"type": "string", **bounds, **({} if self.empty else {"minLength": 1})}


class Name(Text):
    """A name: 1 to 255 characters, none of them a control character."""

    def __init__(self, **options: Any) -> None:
        super().__init__(longest=LONGEST_NAME, empty=False, **options)

    def take(self, value: Plain) -> str:
        text = super().take(value)
        if CONTROL.search(text):
            raise ValidationError(f"{quoted(text)} holds a control character; take it out")
        return text


class Choice(Text):
    """One of a few words."""

    def __init__(self, *words: str, **options: Any) -> None:
        super().__init__(**options)
        self.words = words

    def take(self, value: Plain) -> str:
        if type(value) is not str or value not in self.words:
            raise ValidationError(f"{quoted(value)} is not one of {', '.join(self.words)}")
        return value

    def described(self) -> dict[str, Plain]:
        return {"type": "string", "enum": list(self.words)}


LABELS: Mapping[str, JobStatus] = {status.label: status for status in JobStatus}
SHOWN: Mapping[int, str] = {status: status.label for status in JobStatus}


class Status(Kind):
    """A job status: its label outside."""

    schema: ClassVar[Mapping[str, Plain]] = {"type": "string", "enum": list(LABELS)}

    def take(self, value: Plain) -> JobStatus:
        found = LABELS.get(value) if type(value) is str else None
        if found is None:
            raise ValidationError(f"{quoted(value)} is not a job status; choose from {', '.join(LABELS)}")
        return found

    show = staticmethod(SHOWN.__getitem__)


def instant(text: str) -> int:
    """Read an RFC 3339 instant.

    Raises
    ------
    ValidationError
        If the text is none, or lies outside of the years 1 to 9999.
    """
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        return int((found - EPOCH) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        raise ValidationError(f"{quoted(text)} is not an instant; write 2026-05-01T14:03:22.120Z") from None


def shown_instant(at: int) -> str:
    """Write an instant as the wire wants it."""
    found = EPOCH + timedelta(milliseconds=at)
    return f"{found:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


class Instant(Kind):
    """Milliseconds since 1970 inside, RFC 3339 outside; without an offset UTC is meant (`wire.md` T18)."""

    noun = "an instant; write 2026-05-01T14:03:22.120Z"
    schema: ClassVar[Mapping[str, Plain]] = {"type": "string"}

    def take(self, value: Plain) -> int:
        if type(value) is not str:
            raise self.wrong(value)
        return instant(value)

    show = staticmethod(shown_instant)


class Anything(Kind):
    """Any JSON."""

    def take(self, value: Plain) -> Plain:
        if type(value) in (list, dict):
            deep(value)
        return value


class Object(Kind):
    """A JSON object with any keys."""

    noun = "a JSON object"
    schema: ClassVar[Mapping[str, Plain]] = {"type": "object"}

    def take(self, value: Plain) -> dict[str, Plain]:
        if type(value) is not dict:
            raise self.wrong(value)
        deep(value)
        return value


class TextOrObject(Object):
    """A JSON object; clients below HTTP API 0.20 write and read it as text (`wire.md` T14)."""

    schema: ClassVar[Mapping[str, Plain]] = {"type": ["object", "string"]}

    def take(self, value: Plain) -> dict[str, Plain]:
        if type(value) is str:
            if not value:
                return {}
            try:
                value = heard(value.encode())
            except ValueError as error:
                raise ValidationError(f"the text is not JSON: {error}") from None
            if type(value) is not dict:
                raise ValidationError("the text is not a JSON object")
        return super().take(value)


class MapOf(Object):
    """An object with text values; keys by a pattern."""

    def __init__(self, key: re.Pattern[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.key = key

    def take(self, value: Plain) -> dict[str, str]:
        if type(value) is not dict:
            raise self.wrong(value)
        for name, item in value.items():
            if self.key is not None and not self.key.fullmatch(name):
                raise ValidationError(f"{quoted(name)} is not allowed as a name; write {self.key.pattern}")
            if type(item) is not str or "\x00" in item:
                raise ValidationError(f"the value of {quoted(name)} is not a string without NUL")
        return value

    def described(self) -> dict[str, Plain]:
        return {"type": "object", "additionalProperties": {"type": "string"}}


class Env(MapOf):
    """Environment variables.

    Parameters
    ----------
    own
        The one that torc itself may have set: those who read, modify and send back send it too; the store judges it.
    """

    def __init__(self, own: str = "", **options: Any) -> None:
        super().__init__(key=ENV_NAME, **options)
        self.own = own

    def take(self, value: Plain) -> dict[str, str]:
        env = super().take(value)
        for name in env:
            if name.startswith("TORC_") and name != self.own:
                raise ValidationError(f"{quoted(name)} is set by torc itself; choose a name without TORC_")
        if len(env) > 1_000 or sum(len(name) + len(item) for name, item in env.items()) > 128 * 1024:
            raise ValidationError("it has more than 1,000 entries or 128 KiB")
        return env


class ListOf(Kind):
    """A list."""

    def __init__(self, inner: Kind, most: int = 1_000_000, **options: Any) -> None:
        super().__init__(**options)
        self.inner, self.most = inner, most

    def take(self, value: Plain) -> list[Any]:
        if type(value) is not list:
            raise ValidationError(f"{quoted(value)} is not a list")
        if len(value) > self.most:
            raise ValidationError(f"it has {len(value)} entries; at most {self.most} are allowed")
        take = self.inner.take
        return [take(item) for item in value]

    def parse(self, text: str) -> Any:
        return self.inner.parse(text)

    @property
    def show(self) -> Callable[[Any], Plain]:  # type: ignore[override]  # a list has to copy
        inner = self.inner.show
        return list if inner is None else lambda values: [inner(value) for value in values]

    def described(self) -> dict[str, Plain]:
        return {"type": "array", "items": self.inner.described()}


class Ids(ListOf):
    """Ids of records."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Id(), **options)

    def take(self, value: Plain) -> list[int]:
        if type(value) is not list:
            raise ValidationError(f"{quoted(value)} is not a list of ids")
        for item in value:
            if type(item) is not int or not 1 <= item <= LARGEST:
                raise ValidationError(f"{quoted(item)} is not an id")
        return list(dict.fromkeys(value))

    show = list  # PERF: ids need no conversion


class Part(Kind):
    """An object with its own schema."""

    def __init__(self, schema: type[Schema], **options: Any) -> None:
        super().__init__(**options)
        self.part = schema

    def take(self, value: Plain) -> Any:
        from torc_http.wire.plans import reader

        return reader(self.part)(value)

    def described(self) -> dict[str, Plain]:
        return {"$ref": f"#/components/schemas/{schema_name(self.part)}"}


class Parts(ListOf):
    """A list of objects with their own schema."""

    def __init__(self, schema: type[Schema], **options: Any) -> None:
        super().__init__(Part(schema), **options)
        self.part = schema

    def take(self, value: Plain) -> list[Any]:
        from torc_http.wire.plans import reader

        if type(value) is not list:
            raise ValidationError(f"{quoted(value)} is not a list")
        if len(value) > self.most:
            raise ValidationError(f"it has {len(value)} entries; at most {self.most} are allowed")
        return reader(self.part).many(value)

    def described(self) -> dict[str, Plain]:
        return {"type": "array", "items": {"$ref": f"#/components/schemas/{schema_name(self.part)}"}}


class Measured(Text):
    """Text that is read by a function of the core: a size, a duration."""

    def __init__(self, read: Callable[[str], object], **options: Any) -> None:
        super().__init__(longest=64, **options)
        self.read = read

    def take(self, value: Plain) -> str:
        text = super().take(value)
        try:
            self.read(text)
        except BadValue as error:
            raise ValidationError(str(error)) from None
        return text


class Matching(Text):
    """Text of a pattern."""

    def __init__(self, pattern: str, **options: Any) -> None:
        super().__init__(longest=options.pop("longest", LONGEST_NAME), **options)
        self.pattern = re.compile(pattern, re.ASCII)

    def take(self, value: Plain) -> str:
        text = super().take(value)
        if text and not self.pattern.fullmatch(text):
            raise ValidationError(f"{quoted(text)} is not allowed; write {self.pattern.pattern}")
        return text


def deep(value: Plain) -> None:
    """Refuse free JSON that is nested too deeply or that no store can keep.

    Raises
    ------
    ValidationError
        If it is.
    """
    level: Sequence[Plain] = [value]
    for _ in range(DEEPEST):
        below: list[Plain] = []
        for item in level:
            if type(item) is dict:
                below += item.values()
                if any("\x00" in key for key in item):
                    raise ValidationError("a key holds a NUL character; take it out")
            elif type(item) is list:
                below += item
            elif type(item) is str and "\x00" in item:
                raise ValidationError("a string in it holds a NUL character; take it out")
        if not below:
            return
        level = below
    raise ValidationError(f"it is nested deeper than {DEEPEST} levels")


def quoted(value: Plain) -> str:
    """A value in a sentence, cut where it is long."""
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def schema_name(schema: type[Schema]) -> str:
    """What the contract calls the model of a schema."""
    return str(getattr(schema, "model", schema.__name__))
