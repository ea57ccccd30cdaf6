"""Says how a value has to look: each kind reads one value of a document, or complains about it and gives `WRONG`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torc_core.errors import BadValue
from torc_core.model.resources import duration_seconds, memory_bytes
from torc_core.record import record
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path, Plain

WRONG: Any = type("Wrong", (), {"__repr__": lambda _: "WRONG", "__bool__": lambda _: False})()
"""Stands for a value that has been complained about."""

LARGEST = 2**63 - 1
IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DEEPEST = 64
MOST_TEXT = 1024**2
UNSTORABLE = "the text holds a NUL character or half of a character pair; take it out"

_VARIABLE = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}")

Kind = Callable[["Reading", Any, Path], Any]


@record(frozen=True, slots=True)
class Field:
    """A key of an object."""

    kind: Kind
    required: bool = False
    default: Any = None


class Table:
    """The keys of an object; it is itself a kind and reads a mapping into values with the defaults filled in."""

    def __init__(self, **fields: Field) -> None:
        self.fields = fields
        self.required = tuple(key for key, field in fields.items() if field.required)
        self.defaults = {key: field.default for key, field in fields.items()}

    def __call__(self, reading: Reading, value: Any, path: Path) -> Any:
        if not isinstance(value, Mapping):
            return reading.wrong("wrong-type", path, f"expected a mapping, got {shown(value)}")
        values = dict(self.defaults)
        for key, raw in value.items():
            field = self.fields.get(key)
            if field is None:
                message = f"unknown key {quoted(key)}{reading.report.meant(key, self.fields)}"
                reading.wrong("unknown-key", (*path, key), message)
            elif not absent(raw):
                got = field.kind(reading, raw, (*path, key))
                values[key] = None if got is WRONG else got
        for key in self.required:
            if values[key] is None and absent(value.get(key)):
                reading.wrong("missing", path, f"'{key}' is missing")
        return values


class Reading:
    """What the kinds share: where to complain, and the variables that every string is filled with.

    Parameters
    ----------
    variables
        None: the value has been complained about, its uses are left as they are.
    known
        Names of variables and shared parameters, for the warning about a token that resolves to nothing.
    """

    def __init__(
        self, report: Report, variables: Mapping[str, str | None] | None = None, known: Iterable[str] = ()
    ) -> None:
        self.report = report
        self.variables = variables or {}
        self.known = dict.fromkeys(known)
        self.used: set[str] = set()

    def wrong(self, code: str, path: Path, message: str) -> Any:
        """Complain; gives `WRONG`."""
        self.report.error(code, path, message)
        return WRONG

    def fill(self, text: str, path: Path, *, template: bool = False) -> Any:
        """Replace variables; in a template the escapes `{{name}}` are left for the pass over the parameters."""
        if not self.variables or "{" not in text:
            return text
        size = len(text)

        def value(found: re.Match[str]) -> str:
            nonlocal size
            name = found[1] or found[2]
            if name not in self.variables:
                return found[0]
            self.used.add(name)
            if found[1]:
                return found[0] if template else "{" + name + "}"
            value = self.variables[name]
            size += len(value or "")
            return found[0] if value is None or size > MOST_TEXT else value

        filled = _VARIABLE.sub(value, text)
        if size > MOST_TEXT:
            return self.wrong("too-large", path, f"{path[-1]} is longer than 1 MiB with its variables")
        return filled


def absent(value: Any) -> bool:
    """Null means that nothing was given."""
    return value is None or (type(value) is Plain and value.value is None)


def bare(value: Any) -> Any:
    """A scalar without the memory of how it was written."""
    return value.value if type(value) is Plain else value


def quoted(text: str) -> str:
    """A name as sentences quote it: escaped, and not longer than a line."""
    return repr(text if len(text) <= 100 else text[:97] + "…")


def shown(value: Any) -> str:
    """A value of a document as sentences show it."""
    value = bare(value)
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            # NOTE: Python refuses to print integers of more than 4,300 digits
            return str(value) if abs(value) < 10**40 else "a number of more than 40 digits"
        case float():
            return repr(value)
        case str():
            return json.dumps(value if len(value) <= 100 else value[:97] + "…", ensure_ascii=False)
        case Mapping():
            return "a mapping"
    return "a list"


def size_text(size: int) -> str:
    """Bytes as limits tell them: `3.1 MiB`."""
    return f"{size / 1024**2:,.1f} MiB" if size >= 1024**2 else f"{size / 1024:,.1f} KiB"


def storable(text: str) -> bool:
    """Whether a text can be stored and passed to a process: no NUL, no lone surrogates."""
    if text.isascii():
        return "\x00" not in text
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def plain_text(reading: Reading, value: Any, path: Path, *, template: bool = False) -> Any:
    """The text of a scalar, variables replaced."""
    got = as_written(reading, value, path)
    return WRONG if got is WRONG else reading.fill(got, path, template=template)


def as_written(reading: Reading, value: Any, path: Path) -> Any:
    """The text of a scalar: of a plain YAML scalar what was written."""
    text = value.text if type(value) is Plain else value
    if isinstance(text, str):
        return text if storable(text) else reading.wrong("bad-value", path, UNSTORABLE)
    if isinstance(value, bool):
        return reading.wrong("wrong-type", path, f"expected text, got {shown(value)}; write it in quotes")
    if isinstance(value, int | float):
        message = f"expected text, got the number {shown(value)}; write it in quotes"
        return reading.wrong("wrong-type", path, message)
    return reading.wrong("wrong-type", path, f"expected text, got {shown(value)}")


def text(*, low: int = 0, template: bool = False, prose: bool = False, control: str | None = None) -> Kind:
    """Text; `low`: fewest characters, `control`: code of the complaint about control characters."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        got = plain_text(reading, value, path, template=template)
        if got is WRONG:
            return WRONG
        if len(got) < low:
            return reading.wrong("bad-value", path, f"{path[-1]} is empty")
        if control and CONTROL.search(got):
            return reading.wrong(control, path, f"{shown(got)} holds a control character; take it out")
        if prose:
            warn_unresolved(reading, got, path)
        return got

    return read


def name(reading: Reading, value: Any, path: Path) -> Any:
    """A name: 1 to 255 characters, none of them a control character."""
    got = plain_text(reading, value, path)
    if got is WRONG:
        return WRONG
    fault = name_fault(got)
    return reading.wrong("bad-name", path, fault) if fault else got


def name_fault(name: str) -> str | None:
    """What is wrong with a name; None: nothing."""
    if not name:
        return "the name is empty; write 1 to 255 characters"
    if len(name) > 255:
        return f"the name {quoted(name)} has {len(name)} characters; write at most 255"
    if CONTROL.search(name):
        return f"the name {quoted(name)} holds a control character; take it out"
    return None


def warn_unresolved(reading: Reading, text: str, path: Path) -> None:
    """Warn of tokens in a text that is not a template, if they look like a known name."""
    from torc_core.spec.tokens import TOKEN, alike

    if "{" in text and reading.known:
        for found in TOKEN.finditer(text):
            token = "" if found[2] else found[3]
            if token and (token in reading.known or alike(token, reading.known, reading.report)):
                message = f"{found[0]} is left as it is: there is no variable '{found[3]}' here"
                reading.report.warning("unresolved-token", path, message)


def whole(low: int = 0, high: int = LARGEST) -> Kind:
    """A whole number within limits."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        got = bare(value)
        if isinstance(got, bool) or not isinstance(got, int):
            remedy = "; remove the quotes" if isinstance(got, str) and re.fullmatch(r"-?[0-9]+", got) else ""
            return reading.wrong("wrong-type", path, f"expected a whole number, got {shown(got)}{remedy}")
        if not low <= got <= high:
            span = f"at least {low}" if high == LARGEST and got < low else f"between {low} and {high}"
            return reading.wrong("out-of-range", path, f"{path[-1]} must be {span}, got {shown(got)}")
        return got

    return read


def number(low: float) -> Kind:
    """A finite number of at least `low`."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        got = bare(value)
        if isinstance(got, bool) or not isinstance(got, int | float):
            remedy = "; remove the quotes" if isinstance(got, str) and _numeric(got) else ""
            return reading.wrong("wrong-type", path, f"expected a number, got {shown(got)}{remedy}")
        if not low <= got <= 1e300:
            return reading.wrong("out-of-range", path, f"{path[-1]} must be at least {low}, got {shown(got)}")
        return float(got)

    return read


def boolean(reading: Reading, value: Any, path: Path) -> Any:
    """True or false."""
    got = bare(value)
    if isinstance(got, bool):
        return got
    remedy = "; remove the quotes" if got in ("true", "false") else ""
    return reading.wrong("wrong-type", path, f"expected true or false, got {shown(value)}{remedy}")


def choice(*names: str, **aliases: str) -> Kind:
    """One of a few words."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        got = plain_text(reading, value, path)
        if got is WRONG:
            return WRONG
        got = aliases.get(got, got)
        if got not in names:
            message = f"{path[-1]} must be one of {', '.join(names)}, got {shown(got)}"
            return reading.wrong("bad-value", path, message + reading.report.meant(got, names))
        return got

    return read


def list_of(kind: Kind, *, low: int = 0) -> Kind:
    """A list; items that were complained about are None, so that the others keep their places."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        if not isinstance(value, list | tuple):
            return reading.wrong("wrong-type", path, "expected a list; write [ … ]")
        if len(value) < low:
            return reading.wrong("missing", path, f"{path[-1]} is an empty list; it needs an entry")
        items = (kind(reading, item, (*path, k)) for k, item in enumerate(value))
        return tuple([None if item is WRONG else item for item in items])

    return read


def map_of(kind: Kind) -> Kind:
    """A mapping with free keys; entries that are null or were complained about are left out."""

    def read(reading: Reading, value: Any, path: Path) -> Any:
        if not isinstance(value, Mapping):
            return reading.wrong("wrong-type", path, f"expected a mapping, got {shown(value)}")
        entries = {key: kind(reading, item, (*path, key)) for key, item in value.items() if not absent(item)}
        return {key: item for key, item in entries.items() if item is not WRONG}

    return read


def memory(reading: Reading, value: Any, path: Path) -> Any:
    """A size as text that `memory_bytes` reads; a whole number means bytes."""
    got = bare(value)
    if isinstance(got, float):
        message = f'memory {shown(value)} has no unit; write e.g. "1.5g"'
        return reading.wrong("wrong-type", path, message)
    if isinstance(got, int) and not isinstance(got, bool):
        got = str(got) if abs(got) <= LARGEST else "9" * 19
    return _amount(reading, got, path, memory_bytes)


def duration(reading: Reading, value: Any, path: Path) -> Any:
    """A duration as text that `duration_seconds` reads."""
    return _amount(reading, value, path, duration_seconds)


def _amount(reading: Reading, value: Any, path: Path, read: Callable[[str], int]) -> Any:
    got = plain_text(reading, value, path)
    if got is WRONG:
        return WRONG
    try:
        read(got if len(got) <= 100 else got[:97] + "…")
    except BadValue as error:
        return reading.wrong("bad-value", path, str(error))
    return got


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
