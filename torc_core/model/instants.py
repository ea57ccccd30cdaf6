"""Instants as text: milliseconds since 1970 inside, RFC 3339 in UTC outside (`wire.md` T18)."""

from __future__ import annotations

import re

from torc_core.errors import BadValue

_DAY = 86_400_000
_TEXT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))?",
    re.ASCII,
)
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def instant_text(milliseconds: int) -> str:
    """Write an instant: `2026-05-01T14:03:22.120Z`."""
    days, rest = divmod(milliseconds, _DAY)
    year, month, day = _date(days)
    seconds, fraction = divmod(rest, 1000)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{clock}.{fraction:03d}Z"


def instant_of(text: str) -> int:
    """Read an instant; without an offset UTC is meant.

    Raises
    ------
    BadValue
        If the text is none.
    """
    found = _TEXT.fullmatch(text)
    if found:
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        if 1 <= month <= 12 and 1 <= day <= _LENGTHS[month - 1] and hour < 24 and minute < 60 and second < 61:
            offset = (int(found[9]) * 60 + int(found[10])) * (-1 if found[8] == "-" else 1) if found[8] else 0
            fraction = int((found[7] or "").ljust(3, "0")[:3])
            minutes = _days(year, month, day) * 1440 + hour * 60 + minute - offset
            return (minutes * 60 + second) * 1000 + fraction
    raise BadValue(f'"{text}" is not an instant; write e.g. "2026-05-01T14:03:22.120Z"')


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970; years begin in March, so that the leap day comes last (H. Hinnant, "chrono-compatible dates")."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _date(days: int) -> tuple[int, int, int]:
    era, of_day = divmod(days + 719_468, 146_097)
    of_era = (of_day - of_day // 1460 + of_day // 36_524 - of_day // 146_096) // 365
    of_year = of_day - (365 * of_era + of_era // 4 - of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = (shifted + 2) % 12 + 1
    return of_era + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1
