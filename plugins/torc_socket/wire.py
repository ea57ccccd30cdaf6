"""What both sides agree on: how messages are framed, how calls and answers look, who may speak."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any

from torc_core.errors import ERRORS, TorcError
from torc_core.store.codec import dumps, loads

PROTOCOL = 1
"""Raised when a side of an older torc could no longer understand this one."""

LENGTH = struct.Struct("!Q")

BACKLOG = 128


class Closed(Exception):
    """The other side has gone."""


def send(connection: socket.socket, message: object) -> None:
    """Send one message: its length in eight bytes, then JSON."""
    body = dumps(message)
    connection.sendall(LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket, limit: int | None = None) -> Any:
    """The next message.

    Parameters
    ----------
    limit
        Refuse longer ones, in bytes.

    Raises
    ------
    Closed
        If the other side has hung up.
    ValueError
        If the message is too long, or none.
    """
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    if limit is not None and length > limit:
        raise ValueError(f"a message of {length} bytes, more than {limit}")
    return loads(_exactly(connection, length))


def _exactly(connection: socket.socket, length: int) -> bytes:
    # NOTE: grown as it arrives, so that an announced length alone costs no memory.
    body = bytearray()
    while len(body) < length:
        piece = connection.recv(min(length - len(body), 1 << 20))
        if not piece:
            raise Closed
        body += piece
    return bytes(body)


def failure(error: TorcError) -> dict[str, Any]:
    """The answer that carries an error: its class by name, or the nearest one that has a name on the wire."""
    name = next(kind.__name__ for kind in type(error).__mro__ if ERRORS.get(kind.__name__) is kind)
    return {"error": name, "message": str(error), "hint": error.hint, "details": error.details}


def raised(answer: dict[str, Any]) -> TorcError:
    """The error that an answer carries."""
    kind = ERRORS.get(answer["error"], TorcError)
    return kind(answer["message"], hint=answer.get("hint"), details=answer.get("details"))


def is_us(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to the same user, as the kernel saw it when they met."""
    if sys.platform == "darwin":
        # struct xucred of <sys/ucred.h>: version and uid come first.
        _, uid = struct.unpack_from("2I", connection.getsockopt(0, 1, 76))
    else:
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return bool(uid == os.geteuid())
