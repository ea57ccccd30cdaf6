"""Makes connections by the system's `ssh`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from torc_core.engine.addresses import Address
from torc_ssh.connection.program.connection import ProgramConnection
from torc_ssh.connection.program.ssh import Ssh
from torc_ssh.connection.protocol import Destination
from torc_ssh.settings import RemoteSettings


class ProgramConnector:
    """Makes connections, all of which share one folder and one pace.

    Raises
    ------
    InvalidConfig
        If there is no `ssh`, or the configured file does not exist.
    """

    def __init__(self, settings: RemoteSettings, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._ssh = Ssh(settings, note)
        self._lock = threading.Lock()
        self._open: set[ProgramConnection] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def resolved(self, address: Address) -> Destination:
        """Where an address leads; nothing is connected."""
        found = self._ssh.asked(address)
        jump = found.get("proxyjump", ["none"])[0]
        return Destination(
            hostname=found["hostname"][0],
            user=found["user"][0],
            port=int(found["port"][0]),
            proxy_jump=None if jump == "none" else jump,
            identity_files=tuple(os.path.expanduser(one) for one in found.get("identityfile", [])),
        )

    def connection(self, address: Address, *, timeout: float | None = None) -> ProgramConnection:
        """A connection to this host, not yet connected."""
        made = ProgramConnection(
            self._ssh,
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
        self._ssh.close()

    def _forget(self, connection: ProgramConnection) -> None:
        with self._lock:
            self._open.discard(connection)
