"""Where a server listens, and what it is called by those who reach it (`cli.md` §6.1, `slurm.md` §13.2)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from torc_core.errors import BadValue, Unavailable
from torc_http.routes import BASE
from torc_http.serving.listening import EVERYWHERE, Listening, listen, resolved
from torc_terminal.internal_names import Hints, gathered, ranked

RETRIES = 30.0
"""Seconds for which a server tries to get back the port it had."""

FIRST_PORT, LAST_PORT = 8_000, 9_999
NO_HINTS = Hints()


def internal_name(configured: str | None = None, hints: Hints = NO_HINTS) -> str:
    """The name under which other nodes of the cluster reach this host: the configured one, else the best that qualifies.

    Raises
    ------
    BadValue
        If this host has no such name.
    """
    if configured:
        return configured
    best = next(iter(ranked(gathered(), hints)), None)
    if best is not None and best.why_not is None:
        return best.name
    raise BadValue(
        "no name of this host stands for an address that other hosts can reach; find it with 'hostname -A' or"
        " 'grep $(hostname -s) /etc/hosts' or 'scontrol show config | grep -i slurmctldhost', and give it with --host"
    )


def opened(host: str, port: str | int, *, again: bool, directory: str | None = None) -> Listening:
    """Listen.

    Parameters
    ----------
    port
        0: any free one; `auto`: 8000 + uid % 1000, else the next free one.
    again
        The port was this server's before: wait until it is free.

    Raises
    ------
    BadValue, Unavailable
        If the host is not this one, or the port is taken.
    """
    if port == "auto":
        return _next_free(host, directory)
    number = _number(port)
    until = time.monotonic() + (RETRIES if again else 0)
    while True:
        try:
            return listen(host, number, directory=directory)
        except Unavailable:
            if time.monotonic() >= until:
                raise
            time.sleep(0.5)


def check(host: str, port: str | int) -> None:
    """Refuse what is no port, and a host that is not this one, before anything is made.

    Raises
    ------
    BadValue
        If it is one of them.
    """
    if port != "auto":
        _number(port)
    if host not in EVERYWHERE:
        resolved(host)


def _number(port: str | int) -> int:
    try:
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number < 65_536:
        raise BadValue(f"port '{port}' is not a number from 0 to 65535, and not 'auto'")
    return number


def _next_free(host: str, directory: str | None) -> Listening:
    first = FIRST_PORT + os.getuid() % 1_000
    for port in range(first, LAST_PORT + 1):
        try:
            return listen(host, port, directory=directory)
        except Unavailable:
            continue
    raise Unavailable(f"no port from {first} to {LAST_PORT} is free; name another one with --port")


def urls(host: str, doors: Listening, *, scheme: str = "http") -> Sequence[str]:
    """The addresses of the API: loopback first, then the name that was given, then those of this host."""
    names = ["127.0.0.1", "localhost", "[::1]"]
    if host in EVERYWHERE:
        names += [socket.gethostname(), socket.getfqdn()]
        with suppress(BadValue):
            names.append(internal_name())
    elif host not in ("127.0.0.1", "::1", "localhost"):
        names.append(f"[{host}]" if ":" in host else host)
    names += [f"[{one}]" if ":" in one else one for one in doors.addresses if one not in (*EVERYWHERE, "::1")]
    return [f"{scheme}://{name}:{doors.port}{BASE}" for name in dict.fromkeys(names)]


def advertised(host: str, doors: Listening, *, scheme: str = "http") -> str:
    """The one address to give to others."""
    if host in EVERYWHERE:
        with suppress(BadValue):
            return f"{scheme}://{internal_name()}:{doors.port}{BASE}"
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{doors.port}{BASE}"
