"""Sizes as Slurm writes them: `240000M`, `1.5G`, `2000`, `123456K` (`slurm.md` §14, memory units)."""

from __future__ import annotations

import re

from torc_core.model.resources import MIB

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)[nc]?", re.ASCII | re.IGNORECASE)
_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4, "P": 1024**5}


def size(text: str, *, unit: int = 1) -> int | None:
    """A size in bytes; None: there is none.

    Parameters
    ----------
    unit
        What a number without a letter counts, in bytes: sacct with `--noconvert` gives bytes, `--mem` and
        `RealMemory` are in MiB.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    return int(float(found[1]) * _UNITS.get(found[2].upper(), unit))


def mebibytes(text: str) -> int | None:
    """A size as `--mem` and `RealMemory` mean it, in bytes."""
    return size(text, unit=MIB)


def as_mebibytes(amount: int) -> str:
    """Bytes as `--mem` takes them, whole MiB rounded up: `2000M`."""
    return f"{-(-amount // MIB)}M"
