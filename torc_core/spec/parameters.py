"""Reads what parameters may be: lists, single values and ranges, none of which is built before it is counted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from torc_core.record import record
from torc_core.spec.complaint import Report
from torc_core.spec.document import Path, Plain
from torc_core.spec.shape import IDENT, WRONG, Reading, absent, bare, plain_text, quoted, shown

Scalar = int | float | str

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}|[0-9]{0,40}\.[0-9]{1,40}|[0-9]{1,40}\.)(?:[eE][+-]?[0-9]{1,3})?")
_ITEM = re.compile(
    r"""[ \t\r\n]*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,\]'"][^,\]]*))[ \t\r\n]*""", re.DOTALL
)


@record(frozen=True, slots=True)
class Span:
    """A range: `count` values from `start` by `step`, each divided by `scale`; scale 0 means whole numbers.

    The arithmetic is done in whole numbers and each value is divided once, so that 0:1:0.1 has 0.3 in it and not
    0.30000000000000004.
    """

    start: int
    step: int
    count: int
    scale: int = 0

    def __iter__(self) -> Iterator[Scalar]:
        for k in range(self.count):
            value = self.start + k * self.step
            yield value / self.scale if self.scale else value


Values = Span | tuple[Scalar, ...]


def count(values: Values) -> int:
    """How many values there are, however many that is."""
    return values.count if isinstance(values, Span) else len(values)


def parameters(reading: Reading, tree: Any, path: Path) -> dict[str, Values | None]:
    """Read a `parameters` object; a parameter that was complained about is None."""
    if absent(tree):
        return {}
    if not isinstance(tree, Mapping):
        reading.wrong("wrong-type", path, f"expected a mapping, got {shown(tree)}")
        return {}
    read: dict[str, Values | None] = {}
    for name, value in tree.items():
        at = (*path, name)
        if not IDENT.fullmatch(name):
            reading.wrong(
                "bad-name", at, f"{quoted(name)} is no name of a parameter; use letters, digits and _"
            )
            read[name] = None
            continue
        if absent(value):
            continue
        read[name] = _values(reading, value, at) or None
    return read


def _values(reading: Reading, value: Any, path: Path) -> Any:
    if isinstance(value, str):
        text = plain_text(reading, value, path)
        return WRONG if text is WRONG else _of_text(reading, text, path)
    if isinstance(value, list | tuple):
        if not value:
            return reading.wrong("empty-parameter", path, "the list has no values")
        items = tuple([_native(reading, item, (*path, k)) for k, item in enumerate(value)])
        return WRONG if WRONG in items else items
    single = _native(reading, value, path)
    return WRONG if single is WRONG else (single,)


def _native(reading: Reading, value: Any, path: Path) -> Any:
    got = bare(value)
    if isinstance(got, str):
        return plain_text(reading, got, path)
    if isinstance(got, bool) or not isinstance(got, int | float):
        return reading.wrong("wrong-type", path, f"expected a number or text, got {shown(value)}")
    if isinstance(got, float) and not math.isfinite(got):
        written = value.text if type(value) is Plain else shown(value)
        return reading.wrong("bad-value", path, f"{written} is not finite; to mean the text put it in quotes")
    if isinstance(got, int) and abs(got) >= 10**40:
        return reading.wrong("out-of-range", path, "a number of more than 40 digits; write it in quotes")
    return got


def _of_text(reading: Reading, text: str, path: Path) -> Any:
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}") and "," not in inner:
        inner = inner[1:-1].strip()
    if inner.startswith("["):
        return _list(reading, inner, path)
    if ":" not in inner:
        return (_single(inner),)
    return _range(reading, inner, path)


def _single(text: str) -> Scalar:
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    return text


def _list(reading: Reading, text: str, path: Path) -> Any:
    items: list[Scalar] = []
    at = 1
    if re.fullmatch(r"\[\s*\]", text):
        return reading.wrong("empty-parameter", path, f"{shown(text)} has no values")
    while True:
        found = _ITEM.match(text, at)
        if not found or (found[3] is not None and not found[3].strip()):
            rest = text[at:].lstrip()
            fault = (
                "a quote is not closed" if rest[:1] in ("'", '"')
                else "an item is empty" if rest[:1] in (",", "]")
                else "the list is not closed"
            )  # fmt: skip
            return reading.wrong("bad-value", path, f"{shown(text)}: {fault}")
        quote = found[1] if found[1] is not None else found[2]
        items.append(_single(found[3].strip()) if quote is None else re.sub(r"\\([\\'\"])", r"\1", quote))
        at = found.end() + 1
        end = text[found.end() : at]
        if end == "]" and at == len(text):
            return tuple(items)
        if end != ",":
            fault = "the list is not closed" if not end else f"{shown(text[found.end() :])} follows an item"
            return reading.wrong("bad-value", path, f"{shown(text)}: {fault}")


def _range(reading: Reading, text: str, path: Path) -> Any:
    parts = [part.strip() for part in text.split(":")]
    if not all(_NUMBER.fullmatch(part) for part in parts):
        message = f"{shown(text)} is not a range of numbers; to mean the text itself put it in a list: ['{text[:100]}']"
        return reading.wrong("bad-value", path, message)
    if len(parts) > 3:
        return reading.wrong("bad-value", path, f"{shown(text)} is not a range (start:end or start:end:step)")
    floats = not all(_WHOLE.fullmatch(part) for part in parts)
    if floats and not all(math.isfinite(float(part)) for part in parts):
        return reading.wrong("out-of-range", path, f"{shown(text)} goes beyond the numbers of this machine")
    start, end, step = [Fraction(part) for part in (*parts, "1")[:3]]
    if not step:
        return reading.wrong("bad-value", path, f"the step of {shown(text)} is zero")
    number = (end - start) // step + 1
    if number <= 0:
        remedy = ""
        if len(parts) == 2:
            remedy = f'; write "{text}:-1" to count down'
        elif start > end:
            remedy = "; the step must be negative to count down"
        return reading.wrong("empty-parameter", path, f"{shown(text)} has no values{remedy}")
    scale = math.lcm(start.denominator, step.denominator)
    return Span(int(start * scale), int(step * scale), int(number), scale if floats else 0)


def unknown_parameter(name: str, pool: Mapping[str, Any], report: Report) -> str:
    """The sentence about a name in `use_parameters` that the workflow does not define."""
    defined = list(pool)
    known = f" (defined: {', '.join(defined[:10])})" if defined else " (it has none)"
    return f"the workflow has no parameter {quoted(name)}{report.meant(name, pool)}{known}"
