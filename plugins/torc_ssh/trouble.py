"""What goes wrong with one host; the causes are worded as `remote.md` §12 has them."""

from __future__ import annotations

from torc_core.errors import TorcError


class Unreachable(TorcError):
    """a host cannot be reached over SSH

    Parameters
    ----------
    host
        As the user named it.
    cause
        What stands after `SSH connection failed to <host>: `.
    """

    code = "ssh_failed"

    def __init__(self, host: str, cause: str) -> None:
        super().__init__(f"SSH connection failed to {host}: {cause}", details={"host": host, "cause": cause})
        self.host = host
        self.cause = cause


class Lost(Unreachable):
    """the connection to a host broke"""

    code = "ssh_lost"


class Overdue(Unreachable):
    """a command on a host did not end in time"""

    code = "ssh_overdue"
