"""What a service allows and how long it waits; the numbers of `promises.md` §7."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from torc_core.record import record

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

KIB, MIB = 1024, 1024**2

PLAIN_BODY = 2 * MIB
"""Bytes that a body may have where the application says nothing else (`wire.md` T12)."""


def plain_limit(method: str, path: str) -> int:
    """The longest body of a request, for an application that has no opinion."""
    return PLAIN_BODY


def never(method: str, path: str) -> bool:
    """No request yields to others, for an application that has no opinion."""
    return False


@record(frozen=True, slots=True, kw_only=True)
class Application:
    """What is served: a WSGI callable, the longest body of each route, and which requests yield to all others.

    `limit_of(method, path)` and `yields(method, path)` are called for every request by the thread that serves all
    connections: they must not block. The first is asked before a byte of the body is read.
    """

    call: WSGIApplication
    limit_of: Callable[[str, str], int] = plain_limit
    yields: Callable[[str, str], bool] = never


@record(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """Bounds of one service: sizes in bytes, times in seconds."""

    threads: int = 16
    connections: int = 4_000
    connections_per_peer: int = 256
    idle: float = 30.0
    head: int = 16 * KIB
    head_fields: int = 128
    head_seconds: float = 10.0
    body: int = 256 * MIB
    body_seconds: float = 10.0
    body_advance: int = 16 * KIB
    spool_over: int = 512 * KIB
    spool_in: Path | None = None
    """Folder for what is too large for memory; None makes a private one and removes it at the end."""
    unread: float = 30.0
    """An answer of which its reader takes no byte for so long is given up."""
    linger: float = 5.0
    """What a refused sender still sends is thrown away for so long, so that it can read why."""
    long_request: float = 60.0
    """A request that runs longer is written to the log with its stack (W5)."""
    held: int = 1_000
    streams: int = 64
    streams_per_user: int = 4
    stream_buffer: int = 256 * KIB
    stream_stall: float = 30.0
    keep_alive: float = 15.0


Headers = Iterable[tuple[str, str]]
