"""Short scripts for the shell of a host, where there is no torc, or none is needed."""

from __future__ import annotations

from collections.abc import Sequence

from torc_ssh import framing
from torc_ssh.connection import Connection

SHELL = "exec /bin/sh -s"
"""What the login shell of a host is given, whatever it is; everything else is said on stdin."""


def words_of(connection: Connection, script: str) -> Sequence[str]:
    """The words that a script leaves in `$answer`.

    Raises
    ------
    NoAnswer
        If there is no such shell.
    Unreachable
        As `Connection.run`.
    """
    marker = framing.new_marker()
    told = f"{script}\nprintf '\\n%s\\n%s\\n' {marker} \"$answer\"\n"
    return framing.answer(connection.run(SHELL, told.encode()).stdout, marker).decode().split()
