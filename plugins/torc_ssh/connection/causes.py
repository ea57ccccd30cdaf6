"""The causes of failures, worded as `remote.md` §12 has them, out of what sockets and paramiko raise."""

from __future__ import annotations

import errno
import re
import socket

REFUSED = "Connection refused"
UNRESOLVED = "Could not resolve hostname"
CLOSED = "Server closed the connection (MaxStartups?)"

_NUMBERS = {
    errno.ECONNREFUSED: REFUSED,
    errno.ENETUNREACH: "Network is unreachable",
    errno.EHOSTUNREACH: "No route to host",
    errno.ECONNRESET: CLOSED,
    errno.EPIPE: CLOSED,
}


def plain(text: str) -> str:
    """What another machine said, as it may be shown: one line, no control characters, not too long."""
    return re.sub(r"[^ -~]+", " ", text).strip()[:200]


def timed_out(seconds: float) -> str:
    """What took longer than it may."""
    return f"Connection timed out after {seconds:g} s"


def of_socket(error: OSError, seconds: float) -> str:
    """Why a socket could not be connected."""
    if isinstance(error, socket.gaierror):
        return UNRESOLVED
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return timed_out(seconds)
    return _NUMBERS.get(error.errno or 0, error.strerror or str(error))


def of_handshake(error: Exception | None, seconds: float) -> str:
    """Why two programs did not agree to speak SSH."""
    if error is None or isinstance(error, EOFError):
        return CLOSED
    if isinstance(error, OSError):
        return of_socket(error, seconds)
    text = str(error)
    if text.startswith("Error reading SSH protocol banner"):
        return timed_out(seconds) if "timed out" in text else CLOSED
    if text.startswith("Indecipherable protocol version"):
        return "it does not speak SSH"
    return plain(text) or type(error).__name__
