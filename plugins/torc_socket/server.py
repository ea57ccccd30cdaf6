"""Serves a store of this process to other processes of the same user."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torc_core import __version__
from torc_core.errors import TorcError, Unavailable
from torc_core.protocols import Store
from torc_socket.place import new_socket_path
from torc_socket.settings import SocketServerSettings
from torc_socket.wire import BACKLOG, PROTOCOL, Closed, failure, is_us, receive, send

log = logging.getLogger(__name__)

CALLS = frozenset(name for name in dir(Store) if not name.startswith("_")) - {"close"}
"""What may be called: everything a store can do, but it is ours to close."""


class SocketServer:
    """A thread that accepts, and one for each connection: a held turn sleeps in its own."""

    def __init__(self, store: Store, settings: SocketServerSettings) -> None:
        self._store = store
        self._settings = settings
        self._listener: socket.socket | None = None
        self._path: Path | None = None
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._closing = False

    def start(self) -> Mapping[str, str]:
        """Listen.

        Raises
        ------
        Unavailable
            If no socket can be made.
        """
        path = new_socket_path(self._settings.directory)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise Unavailable(f"no socket can be made at '{path}': {error.strerror}") from error
        self._listener, self._path = listener, path
        threading.Thread(target=self._accept, args=(listener,), name="torc-socket", daemon=True).start()
        return {"socket": str(path)}

    def close(self) -> None:
        """Stop listening and hang up; a call that is being answered loses its caller."""
        self._closing = True
        if self._path is not None and self._listener is not None:
            # NOTE: closing a socket does not wake a thread that accepts on it; a caller does.
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
                caller.settimeout(1)
                caller.connect(str(self._path))
            self._path.unlink(missing_ok=True)
            self._listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            if self._closing:
                connection.close()
                return
            with self._lock:
                full = len(self._connections) >= self._settings.max_connections
                if not full:
                    self._connections.add(connection)
            if full or not is_us(connection):
                self._drop(connection)
                continue
            threading.Thread(target=self._serve, args=(connection,), name="torc-caller", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            send(connection, {"torc": __version__, "protocol": PROTOCOL, "pid": os.getpid()})
            while not self._closing:
                request = receive(connection, self._settings.max_message_mb * 1024**2)
                send(connection, self._answer(request))
        except Closed:
            pass
        except (OSError, ValueError) as error:
            log.debug("caller dropped why=%s", error)
        finally:
            self._drop(connection)

    def _answer(self, request: Any) -> Mapping[str, Any]:
        if not isinstance(request, dict) or request.get("call") not in CALLS:
            raise ValueError("no call")
        try:
            member = getattr(self._store, request["call"])
            value = member(*request["args"], **request["named"]) if callable(member) else member
        except TorcError as error:
            return failure(error)
        except Exception as error:
            # A bug in one call must not end the store for all others; the owner's log keeps its trace.
            if not self._closing:
                log.exception("call failed call=%s", request["call"])
            return failure(
                TorcError(f"{type(error).__name__} in the process that owns the database: {error}")
            )
        return {"value": value}

    def _drop(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)
        connection.close()
