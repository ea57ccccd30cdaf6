"""Times as Slurm writes them: `1-02:03:04`, `05:06.789`, `2026-05-01T14:03:22`."""

from __future__ import annotations

import re
from datetime import datetime

_LENGTH = re.compile(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)(?:\.(\d+))?", re.ASCII)
ENDLESS = frozenset({"UNLIMITED", "INFINITE", "PARTITION_LIMIT"})
UNKNOWN = frozenset({"", "N/A", "NOT_SET", "INVALID", "UNKNOWN", "NONE"})


def seconds(text: str) -> float | None:
    """A length of time in seconds: `[[D-]HH:]MM:SS[.mmm]`; None: there is none, or it is endless.

    With days but without colons the rest counts hours, as everywhere in Slurm.
    """
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        return None
    days, hours, minutes, rest, part = found.groups()
    if days is not None and minutes is None:
        return int(days) * 86_400.0 + int(rest) * 3_600.0
    if days is not None and hours is None:
        # `D-HH:MM`
        return int(days) * 86_400.0 + int(minutes) * 3_600.0 + int(rest) * 60.0
    total = int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes or 0) * 60 + int(rest)
    return total + (float(f"0.{part}") if part else 0.0)


def endless(text: str) -> bool:
    """Whether this is the word for no limit."""
    return text.strip().upper() in ENDLESS


def instant(text: str) -> int | None:
    """A moment in milliseconds since 1970; Slurm tells the local time of this host. None: it is not known."""
    text = text.strip()
    if text.upper() in UNKNOWN:
        return None
    if text.isascii() and text.isdigit():
        return int(text) * 1000
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def written(length: float) -> str:
    """A length of time as sbatch takes it, whole seconds rounded up: `HH:MM:SS`, from a day on `D-HH:MM:SS`."""
    whole = int(-(-length // 1))
    days, rest = divmod(whole, 86_400)
    clock = f"{rest // 3_600:02}:{rest % 3_600 // 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def moment(at: int) -> str:
    """A moment, in milliseconds since 1970, as `sacct -S` takes it: local time of this host."""
    return datetime.fromtimestamp(at / 1000).strftime("%Y-%m-%dT%H:%M:%S")
