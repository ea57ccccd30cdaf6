"""Durations as people write them on a command line: `PT30M`, `1h30m`, `01:30:00`."""

from __future__ import annotations

import re

from torc_core.errors import BadValue, UsageError
from torc_core.model.resources import LONGEST_RUNTIME, duration_seconds

_SHORT = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_CLOCK = re.compile(r"(?:([0-9]{1,9})-)?([0-9]{1,9}):([0-9]{1,2}):([0-9]{1,2})")
_SECONDS = (86_400, 3_600, 60, 1)


def seconds_of(text: str, option: str) -> int:
    """The seconds that a duration lasts.

    Raises
    ------
    UsageError
        If the text is none, zero, or longer than 100 years; the message names the option.
    """
    text = text.strip()
    if text[:1] in ("P", "p"):
        try:
            return duration_seconds(text.upper())
        except BadValue as error:
            raise UsageError(f"{option}: {error}") from error
    found = (_SHORT.fullmatch(text) or _CLOCK.fullmatch(text)) if text else None
    seconds = (
        sum(int(part) * unit for part, unit in zip(found.groups(), _SECONDS, strict=True) if part)
        if found
        else 0
    )
    if not 0 < seconds <= LONGEST_RUNTIME:
        raise UsageError(
            f"{option} '{text}' is not a duration above 0 s; write e.g. 30m, 1h30m, 01:30:00 or PT30M"
        )
    return seconds
