"""Amounts of a machine: what a job needs, what a node has. Bytes and seconds inside, text at the edges."""

from __future__ import annotations

import re
from fractions import Fraction

from torc_core.errors import BadValue
from torc_core.record import record

MIB = 1024**2
GIB = 1024**3
UNITS = {"": 1, "k": 1024, "m": MIB, "g": GIB, "t": 1024**4}
YEAR, MONTH = 31_557_600, 2_630_016
LONGEST_RUNTIME = 100 * YEAR
MOST_MEMORY = 2**63 - 1

_MEMORY = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,19})?)[ \t]*(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,12})Y)?(?:([0-9]{1,12})M)?(?:([0-9]{1,12})W)?(?:([0-9]{1,12})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,12})H)?(?:([0-9]{1,12})M)?(?:([0-9]{1,12})(?:\.[0-9]{1,12})?S)?)?"
)
_SECONDS_OF = (YEAR, MONTH, 604_800, 86_400, 3_600, 60, 1)
_WALLTIME = re.compile(
    r"(?:(?P<d>\d{1,5})-(?P<dh>\d{1,4})(?::(?P<dm>\d{1,4})(?::(?P<ds>\d{1,4}))?)?"
    r"|(?:(?:(?P<h>\d{1,6}):)?(?P<m>\d{1,6}):)(?P<s>\d{1,6})|(?P<only>\d{1,9}))",
    re.ASCII,
)


@record(frozen=True, slots=True, kw_only=True)
class Resources:
    """An amount of one machine.

    Parameters
    ----------
    cpus, gpus
        Counts.
    memory
        Bytes.
    """

    cpus: int = 0
    memory: int = 0
    gpus: int = 0

    def covers(self, need: Resources) -> bool:
        """Whether `need` fits into this amount."""
        return self.cpus >= need.cpus and self.memory >= need.memory and self.gpus >= need.gpus

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            cpus=self.cpus + other.cpus, memory=self.memory + other.memory, gpus=self.gpus + other.gpus
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            cpus=self.cpus - other.cpus, memory=self.memory - other.memory, gpus=self.gpus - other.gpus
        )


def memory_bytes(text: str) -> int:
    """Read a size such as `8g`, `1.5 GiB` or `4096`: powers of 1,024; without a unit bytes.

    Raises
    ------
    BadValue
        If the text is not a size, below one byte or beyond 64 bits.
    """
    found = _MEMORY.fullmatch(text.strip())
    if not found:
        raise BadValue(f'memory "{text}" is not a size; write e.g. "10g"')
    size = int(Fraction(found[1]) * UNITS[(found[2] or "").lower()])
    if not 1 <= size <= MOST_MEMORY:
        raise BadValue(f'memory "{text}" is out of range; write a size from 1 byte to 8388607t')
    return size


def memory_text(size: int) -> str:
    """Write bytes as users read them: `10.2g`, `512m`, `17`."""
    for unit in ("t", "g", "m", "k"):
        if size >= UNITS[unit]:
            return f"{size / UNITS[unit]:.1f}".removesuffix(".0") + unit
    return str(size)


def duration_seconds(text: str) -> int:
    """Read an ISO 8601 duration such as `PT30M`; fractions of seconds are cut off.

    A year has 31,557,600 s and a month 2,630,016 s (`workflow-spec.md` §6).

    Raises
    ------
    BadValue
        If the text is not a duration, zero or longer than 100 years.
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise BadValue(f'runtime "{text}" is not an ISO 8601 duration; write "PT30M"')
    seconds = sum(int(part) * unit for part, unit in zip(found.groups(), _SECONDS_OF, strict=True) if part)
    if not 0 < seconds <= LONGEST_RUNTIME:
        raise BadValue(f'runtime "{text}" is out of range; write a duration above 0 s and up to 100 years')
    return seconds


def walltime_seconds(text: str) -> int:
    """Seconds of a Slurm time (`D-HH:MM:SS`, `HH:MM:SS`, `MM:SS`, `MM`); 0: it is none."""
    found = _WALLTIME.fullmatch(text)
    if not found:
        return 0
    parts = {key: int(part) for key, part in found.groupdict(default="0").items()}
    hours, minutes = parts["dh"] + parts["h"], parts["dm"] + parts["m"] + parts["only"]
    return parts["d"] * 86_400 + hours * 3_600 + minutes * 60 + parts["ds"] + parts["s"]


def duration_text(seconds: float) -> str:
    """Write seconds as people say them: `2h 30m 15s`, `0.4s`."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
