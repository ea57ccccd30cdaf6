"""Connections by the paramiko library: a line to each host, in this process."""

from __future__ import annotations

from torc_ssh.connection.library.connector import LibraryConnector

__all__ = ["LibraryConnector"]
