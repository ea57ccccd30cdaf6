"""Durations as the wire writes them."""

from __future__ import annotations

_UNITS = ((86_400, "D"), (3_600, "H"), (60, "M"), (1, "S"))


def iso_duration(seconds: int) -> str:
    """Seconds as ISO 8601: `PT30M`, `P1DT2H`, `PT0S`."""
    days, rest = divmod(seconds, 86_400)
    time = ""
    for size, unit in _UNITS[1:]:
        count, rest = divmod(rest, size)
        time += f"{count}{unit}" if count else ""
    if not days and not time:
        return "PT0S"
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")
