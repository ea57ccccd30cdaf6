"""Makes connections by the system's `ssh`."""

from __future__ import annotations

import os
from collections.abc import Callable

from torc_core.engine.addresses import Address
from torc_ssh.connection.making import Making
from torc_ssh.connection.program.connection import ProgramConnection
from torc_ssh.connection.program.ssh import Ssh
from torc_ssh.connection.protocol import Destination
from torc_ssh.settings import RemoteSettings


class ProgramConnector(Making[ProgramConnection]):
    """Makes connections, all of which share one folder and one pace.

    Raises
    ------
    InvalidConfig
        If there is no `ssh`, or the configured file does not exist.
    """

    def __init__(self, settings: RemoteSettings, note: Callable[[str], None]) -> None:
        super().__init__(settings)
        self._ssh = Ssh(settings, note)

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

    def _made(
        self,
        address: Address,
        timeout: float,
        patience: float,
        closed: Callable[[ProgramConnection], None],
    ) -> ProgramConnection:
        return ProgramConnection(self._ssh, address, timeout=timeout, patience=patience, closed=closed)

    def _shared_closed(self) -> None:
        self._ssh.close()
