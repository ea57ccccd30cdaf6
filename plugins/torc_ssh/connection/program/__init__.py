"""Connections by the system's `ssh` program: a process for each host, others as its clients."""

from __future__ import annotations

from torc_ssh.connection.program.connector import ProgramConnector

__all__ = ["ProgramConnector"]
