"""What is said about machines: sizes of what they have, and what helps where a worker did not begin (`remote.md` RW15)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from torc_core.model import Json

CAUSES = (
    ("refused", "nothing listens at the server's address as the worker sees it"),
    ("timed out", "the server's address is not reached from there; a firewall may be in the way"),
    ("name or service not known", "the name of the server is not known there"),
    ("name resolution", "the name of the server is not known there"),
    ("does not hold your key", "what answers at the server's address is another server"),
    ("credential", "the server does not know the worker's key; was it revoked meanwhile?"),
    ("no space left", "the disk there is full; free some space or choose another --output-dir"),
    ("--setup ended", "see what the line of --setup says there"),
    ("version", "install the same version on all machines"),
)
"""Part of the last words of a worker, in lower case, and what they mean."""

OF_ADDRESS = 4
"""The first of them are about the address of the server."""


def died_text(told: Mapping[str, Json], remedies: str) -> tuple[str, str | None]:
    """The message about a worker that has ended at once, and the hint."""
    if told.get("status") not in ("died", "complete"):
        return str(told.get("message") or f"unexpected answer: {told.get('status')}"), None
    found = told.get("last_log")
    lines = [str(one) for one in found] if isinstance(found, list) else []
    text = "Process died immediately. Last log:" + "".join(f"\n  {line}" for line in lines)
    if not lines:
        text = f"Process died immediately with code {told.get('exit_code')}; its log '{told.get('log')}' is empty"
    said = " ".join(lines).lower()
    for number, (words, meaning) in enumerate(CAUSES):
        if words in said:
            return text, f"{meaning}; {remedies}" if number < OF_ADDRESS else meaning
    return text, None


def size_text(size: int) -> str:
    """Bytes of files, as people say them: `979 bytes`, `3.2 MB`."""
    for unit, text in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {text}"
    return f"{size} byte{'' if size == 1 else 's'}"


def process_text(pid: Json, started: Json = None) -> str:
    """Which process a worker is, and since when, behind a word about it; nothing of one that has not said so yet.

    Parameters
    ----------
    started
        Seconds since 1970.
    """
    if not isinstance(pid, int):
        return ""
    since = ""
    if isinstance(started, int | float):
        since = f", since {datetime.fromtimestamp(started, UTC).astimezone():%H:%M}"
    return f" (PID {pid}{since})"
