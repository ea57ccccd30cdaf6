"""Values that users type: JSON, environment variables, statuses and moments; each is read once, here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import isinf
from typing import Literal, NoReturn

from torc_core.errors import BadValue, UsageError, did_you_mean
from torc_core.model import JobStatus, Json

Truth = Literal["true", "false"]
"""How an option says yes or no with a word: `--is-ephemeral true`."""

LONGEST_TEXT = 64 * 1024**2
"""Bytes of a JSON value in a file or on standard input."""

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AGO = re.compile(r"([0-9]{1,9})([smhd])")


def json_value(text: str, option: str) -> Json:
    """JSON as given: itself, `@file`, or `-` for standard input.

    Raises
    ------
    UsageError
        If it cannot be read or is not JSON; the message says where.
    """
    source, name = text, option
    try:
        if text == "-":
            name = "standard input"
            source = sys.stdin.read(LONGEST_TEXT + 1)
        elif text.startswith("@"):
            name = f"'{text[1:]}'"
            with open(text[1:], encoding="utf-8") as file:
                source = file.read(LONGEST_TEXT + 1)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {(error.strerror or 'error').lower()}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not valid UTF-8 at byte {error.start}") from error
    if len(source) > LONGEST_TEXT:
        raise UsageError(f"{name} is longer than {LONGEST_TEXT // 1024**2} MiB")
    return json_of(source, f"{name} '{text}'" if source is text and len(text) <= 80 else name)


def json_of(text: str, name: str) -> Json:
    """The value of a JSON text, read so strictly that it can be written again.

    Raises
    ------
    UsageError
        If it is none; the message says where.
    """
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)  # type: ignore[no-any-return]  # JSON is what it yields
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{name} is not JSON: {error.msg.lower()} at {where}") from error
    except RecursionError as error:
        raise UsageError(f"{name} is nested too deeply") from error
    except ValueError as error:  # Python reads no longer ones
        raise UsageError(f"{name} holds a number of more than 4,300 digits; write it as text") from error


def json_object(text: str, option: str) -> dict[str, Json]:
    """JSON as given, which has to be an object.

    Raises
    ------
    UsageError
        If it is not.
    """
    value = json_value(text, option)
    if not isinstance(value, dict):
        raise UsageError(f"{option} has to be a JSON object such as '{{\"key\": 1}}'")
    return value


def environment(pairs: Sequence[str]) -> dict[str, str] | None:
    """`NAME=VALUE` pairs as a mapping; None when there is none.

    Raises
    ------
    UsageError
        If a pair has no `=`, or its name is not one for an environment variable or is torc's own.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equal, value = pair.partition("=")
        if not equal or not _ENV_NAME.fullmatch(name):
            raise UsageError(f"--env '{pair}' is not NAME=VALUE")
        if name.startswith("TORC_"):
            raise UsageError(f"--env '{name}': names that start with TORC_ are set by torc")
        found[name] = value
    return found or None


def statuses(texts: Iterable[str]) -> tuple[JobStatus, ...]:
    """Job statuses by name, separate or with commas.

    Raises
    ------
    UsageError
        If there is no such status; the nearest one is suggested.
    """
    found: dict[JobStatus, None] = {}
    known = [status.label for status in JobStatus]
    for label in (part.strip().lower() for text in texts for part in text.split(",")):
        if label not in known:
            names = ", ".join(known)
            raise UsageError(f"no job status '{label}'{did_you_mean(label, known) or f'; there are {names}'}")
        found[JobStatus.of(label)] = None
    return tuple(found)


def truth(word: Truth) -> bool:
    """The word as a value."""
    return word == "true"


def moment(text: str, now: int) -> int:
    """A moment in milliseconds since 1970: RFC 3339, local date and time, or how long ago (`10m`, `3d`).

    Raises
    ------
    BadValue
        If it is none of them.
    """
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[ago[2]] * 1000
    try:
        when = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        example = "write e.g. 2026-05-01T14:03:22Z, '2026-05-01 14:03' or 10m"
        raise BadValue(f"'{text}' is not a time; {example}") from error
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _finite(number: str) -> float:
    value = float(number)
    if isinf(value):
        raise UsageError(f"{number[:40]} is beyond the numbers of JSON; write it as text")
    return value


def _no_number(name: str) -> NoReturn:
    raise UsageError(f"{name} is not JSON; use null or text")
