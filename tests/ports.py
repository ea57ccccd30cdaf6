"""Ports for servers whose port has to be known before they listen."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_000


def free_port() -> int:
    """A port at which nobody listens, and which no connection gets as its own end: it stays free until it is used."""
    first = int(RANGE.read_text().split()[0]) if RANGE.exists() else 32_768
    while True:
        port = random.SystemRandom().randrange(LOWEST, max(first, LOWEST + 1_000))
        with socket.socket() as one, suppress(OSError):
            one.bind(("", port))
            return port
