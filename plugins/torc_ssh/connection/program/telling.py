"""The causes of failures, worded as `remote.md` §12 has them, out of what the `ssh` program says."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from torc_ssh.connection import causes

_OFFENDING = re.compile(r"Offending \S+ key in (?P<path>.+?):(?P<line>\d+)")
_REVOKED = re.compile(r"key for .* (?:is|was) (?:marked as )?revoked|REVOKED HOST KEY", re.IGNORECASE)
_STRICT = re.compile(r"No \S+ host key is known for")
_DENIED = re.compile(r"Permission denied \(([^)]*)\)")
_CLOSED = re.compile(r"Connection closed by|Connection reset by|kex_exchange_identification")
_PLAIN = (
    ("Connection refused", causes.REFUSED),
    ("Could not resolve hostname", causes.UNRESOLVED),
    ("Network is unreachable", "Network is unreachable"),
    ("No route to host", "No route to host"),
)
_SEEN = re.compile(r"open failed: ([a-z ]+): ([^\r\n]+)")
_ADDED = re.compile(r"Permanently added '([^']+)' \((\S+)\)")
_OF_JUMP = re.compile(r"UNKNOWN port 65535|kex_exchange_identification|stdio forwarding failed")


def cause_of(said: str, seconds: float, jumps: Sequence[str]) -> str:
    """Why it did not connect.

    Parameters
    ----------
    said
        All of stderr.
    seconds
        How long it may take.
    jumps
        Hosts on the way: what goes wrong with one is told as theirs.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if jumps and (found := _SEEN.search(said)):
        if "prohibited" in found[1]:
            return f"Jump host {jumps[-1]}: it does not allow forwarding"
        return f"{found[2]} (seen from jump host {jumps[-1]})"
    if jumps and any("UNKNOWN port" in line for line in lines):
        # What the last one says is only that it got no connection.
        text = "\n".join(line for line in lines if not _OF_JUMP.search(line))
        return f"Jump host {_which(text, jumps)}: {_cause(text, seconds)}"
    return _cause("\n".join(lines), seconds)


def new_keys(said: str) -> list[tuple[str, str]]:
    """Hosts whose keys were accepted, and the kinds of these keys."""
    return _ADDED.findall(said)


def _which(text: str, jumps: Sequence[str]) -> str:
    return next((one for one in jumps if one in text), jumps[-1])


def _cause(text: str, seconds: float) -> str:
    if "Host key verification failed" in text or _STRICT.search(text) or _REVOKED.search(text):
        return f"Host key verification failed ({_about_key(text)})"
    if found := _DENIED.search(text):
        return f"Permission denied ({found[1]})"
    if "timed out" in text:
        return causes.timed_out(seconds)
    for part, told in _PLAIN:
        if part in text:
            return told
    if not text or _CLOSED.search(text):
        return causes.CLOSED
    return text.splitlines()[-1]


def _about_key(text: str) -> str:
    if found := _OFFENDING.search(text):
        home = os.path.expanduser("~")
        path = found["path"]
        shown = f"~{path[len(home) :]}" if path.startswith(f"{home}/") else path
        kind = "revoked" if _REVOKED.search(text) else "changed"
        return f"key {kind}; known_hosts line {found['line']}: {shown}"
    if _REVOKED.search(text):
        return "key revoked"
    return "key not known, and StrictHostKeyChecking is yes"
