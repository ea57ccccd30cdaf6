"""Makes connections by the paramiko library."""

from __future__ import annotations

from collections.abc import Callable

from torc_core.engine.addresses import Address
from torc_ssh.config import SshConfig
from torc_ssh.connection.library.connection import LibraryConnection
from torc_ssh.connection.library.ways import Ways
from torc_ssh.connection.making import Making
from torc_ssh.connection.protocol import Destination
from torc_ssh.settings import RemoteSettings


class LibraryConnector(Making[LibraryConnection]):
    """Makes connections, all of which share the lines to jump hosts."""

    def __init__(self, settings: RemoteSettings, note: Callable[[str], None]) -> None:
        super().__init__(settings)
        self._ways = Ways(SshConfig(settings.ssh_config), note)

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

    def _made(
        self,
        address: Address,
        timeout: float,
        patience: float,
        closed: Callable[[LibraryConnection], None],
    ) -> LibraryConnection:
        return LibraryConnection(self._ways, address, timeout=timeout, patience=patience, closed=closed)

    def _shared_closed(self) -> None:
        self._ways.close()
