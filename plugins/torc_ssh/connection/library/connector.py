"""Makes connections by the paramiko library."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from torc_core.engine.addresses import Address
from torc_ssh.config import SshConfig
from torc_ssh.connection.library.connection import LibraryConnection
from torc_ssh.connection.library.ways import Ways
from torc_ssh.connection.protocol import Destination
from torc_ssh.settings import RemoteSettings


class LibraryConnector:
    """Makes connections, all of which share the lines to jump hosts."""

    def __init__(self, settings: RemoteSettings, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._ways = Ways(SshConfig(settings.ssh_config), note)
        self._lock = threading.Lock()
        self._open: set[LibraryConnection] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def resolved(self, address: Address) -> Destination:
        """Where an address leads; nothing is connected."""
        options = self._ways.options(address)
        return Destination(
            hostname=options.hostname,
            user=options.user,
            port=options.port,
            proxy_jump=options.proxy_jump,
            identity_files=options.identity_files,
        )

    def connection(self, address: Address, *, timeout: float | None = None) -> LibraryConnection:
        """A connection to this host, not yet connected."""
        made = LibraryConnection(
            self._ways,
            address,
            timeout=timeout or self._settings.connect_timeout_secs,
            patience=self._settings.command_timeout_secs,
            closed=self._forget,
        )
        with self._lock:
            self._open.add(made)
        return made

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            connections, self._open = list(self._open), set()
        for one in connections:
            one.close()
        self._ways.close()

    def _forget(self, connection: LibraryConnection) -> None:
        with self._lock:
            self._open.discard(connection)
