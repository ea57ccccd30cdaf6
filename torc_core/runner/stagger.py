"""Spreads the first requests of runners that start together (`runner.md` §2.2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

PLACE = ("SLURM_JOB_ID", "SLURM_NODEID", "SLURM_TASK_PID")


def delay(hostname: str, environ: Mapping[str, str], window: float) -> float:
    """Seconds, in whole milliseconds, that the runner at this place waits: the same each time, below `window`."""
    place = "|".join((hostname, *(environ.get(name, "") for name in PLACE)))
    part = int.from_bytes(sha256(place.encode()).digest()[:8]) / 2**64
    return int(1000 * part * window) / 1000
