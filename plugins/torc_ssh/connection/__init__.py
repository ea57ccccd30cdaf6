"""Connections to hosts: one protocol, and two that keep it, by the paramiko library or by the program `ssh`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torc_ssh.connection.protocol import Connection, Connector, Destination, Forward, Ran, Stream

if TYPE_CHECKING:
    from torc_ssh.settings import RemoteSettings

__all__ = ["Connection", "Connector", "Destination", "Forward", "Ran", "Stream", "open_connector"]


def open_connector(settings: RemoteSettings, note: Callable[[str], None]) -> Connector:
    """A connector of the configured backend.

    Parameters
    ----------
    note
        Is told what the user may want to know and nothing fails for: a new host key, a key that was left out. Called
        from any thread, once for each such thing.

    Raises
    ------
    InvalidConfig
        If the backend is `openssh` and there is no `ssh` on the path.
    """
    if settings.backend == "openssh":
        from torc_ssh.connection.program import ProgramConnector

        return ProgramConnector(settings, note)
    from torc_ssh.connection.library import LibraryConnector

    return LibraryConnector(settings, note)
