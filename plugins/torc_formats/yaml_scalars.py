"""What a scalar without quotes means in YAML 1.2 (core schema), for the reader and the writer alike."""

from __future__ import annotations

import re
from math import isfinite

from torc_core.spec.document import Plain

NULL = frozenset(("", "~", "null", "Null", "NULL"))
TRUE = frozenset(("true", "True", "TRUE"))
FALSE = frozenset(("false", "False", "FALSE"))
WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
OCTAL = re.compile(r"0o([0-7]+)")
HEXADECIMAL = re.compile(r"0x([0-9a-fA-F]+)")
FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
STARTS = frozenset("-+.0123456789~nNtTfF")
"""Every scalar that is not text starts with one of these, or is empty."""

DIGITS = 400
"""No number that a double can hold needs so many, and Python takes quadratic time for them."""


def resolve(text: str) -> str | Plain:
    """The value of a plain scalar: text stays text, all else becomes a `Plain`.

    `.inf`, `.nan` and numbers that no double can hold stay text, as do `007`, `yes`, `10:00:00` and dates: where text is
    expected they are what the user wrote, and where a number is expected they are refused as text.
    """
    if text and text[0] not in STARTS:
        return text
    if text in NULL:
        return Plain(None, text)
    if text in TRUE:
        return Plain(True, text)
    if text in FALSE:
        return Plain(False, text)
    number = _number(text) if len(text) < DIGITS else None
    if number is None or (number.bit_length() > 1023 if isinstance(number, int) else not isfinite(number)):
        return text
    return Plain(number, text)


def _number(text: str) -> int | float | None:
    if WHOLE.fullmatch(text):
        return int(text)
    if match := OCTAL.fullmatch(text):
        return int(match[1], 8)
    if match := HEXADECIMAL.fullmatch(text):
        return int(match[1], 16)
    # A leading zero makes 007 text, but 0.5 and 00.5 are numbers, as the core schema has it.
    if FRACTION.fullmatch(text) and not text.lstrip("-+").isdigit():
        return float(text)
    return None
