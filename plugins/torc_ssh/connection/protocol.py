"""What a connection to a host can do, whichever SSH is behind it (`remote.md` RW60)."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from torc_core.engine.addresses import Address
from torc_core.record import record

LONGEST_OUTPUT = 16 << 20
"""Bytes that a command that is run to its end may print."""


@record(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command on a host ended; `status`: its exit status, or 255 when a signal ended it, as OpenSSH has it."""

    status: int
    stdout: bytes
    stderr: bytes


@record(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an address leads by the configuration of ssh.

    Parameters
    ----------
    hostname
        What is connected to: `HostName` of the configuration, else the address.
    proxy_jump
        The hosts on the way, as written, or None.
    identity_files
        Full paths, in the order in which they are tried.
    """

    hostname: str
    user: str
    port: int
    proxy_jump: str | None = None
    identity_files: tuple[str, ...] = ()


class Stream(Protocol):
    """The output of a command while it runs; a context that ends the command when it is left."""

    def read(self) -> bytes:
        """The next piece of stdout; empty at its end.

        Raises
        ------
        Overdue
            If nothing came for as long as was allowed.
        Lost
            If the connection broke.
        """
        ...

    def ended(self) -> Ran:
        """Wait for the end of the command; `stdout` is empty, it was read. Raises as `read`."""
        ...

    def close(self) -> None:
        """Leave; a command that still runs loses its streams."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Forward(Protocol):
    """A port on the loopback of the host whose connections come out here."""

    @property
    def port(self) -> int:
        """The port on the host."""
        ...

    def close(self) -> None:
        """No longer listen there."""
        ...


class Connection(Protocol):
    """One host on which commands can be run. Any thread may use it; several commands may run at once.

    Commands are given to the login shell of the host, whatever it is: they have to mean the same in sh, bash, zsh,
    fish and csh. Nothing is ever asked of the user. Leaving its context closes it.
    """

    @property
    def host(self) -> str:
        """The host as messages name it."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it is connected; one that was lost stays lost."""
        ...

    def connect(self) -> None:
        """Connect and log in, within the time for connecting.

        Raises
        ------
        Unreachable
            With the cause as `remote.md` §12 words it.
        """
        ...

    def run(self, command: str, stdin: bytes = b"", deadline: float | None = None) -> Ran:
        """Run a command to its end.

        Parameters
        ----------
        deadline
            Seconds for all of it; None: `command_timeout_secs` of the configuration, 60.

        Raises
        ------
        Overdue
            If it has not ended by then. It may still run over there.
        Lost
            If the connection broke; whether the command ran is not known.
        Unreachable
            If the host refused to run it.
        """
        ...

    def stream(self, command: str, stdin: bytes = b"", silence: float | None = None) -> Stream:
        """Run a command and read what it prints piece by piece.

        Parameters
        ----------
        silence
            Longest pause between two pieces in seconds; None: `command_timeout_secs` of the configuration, 60.

        Raises
        ------
        Lost, Unreachable
            As `run`.
        """
        ...

    def forward(self, target: tuple[str, int], port: int = 0) -> Forward:
        """Let a port on the loopback of the host lead to `target`, a host and port as seen from here.

        Every user of that host can connect to it. The connections that come out here are made by this process, so
        the kernel tells a server they are this user's: `target` has to be a port that trusts credentials only.

        Parameters
        ----------
        port
            0: the host chooses.

        Raises
        ------
        Unreachable
            If the host does not allow it, or the port is taken there.
        Lost
            If the connection broke.
        """
        ...

    def close(self) -> None:
        """End it. Commands that still run lose their streams."""
        ...

    def __enter__(self) -> Self:
        """Connect, as `connect`."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Connector(Protocol):
    """Makes connections, which share jump hosts and the pace of starting; leaving its context closes all."""

    def resolved(self, address: Address) -> Destination:
        """Where an address leads; nothing is connected.

        Raises
        ------
        InvalidConfig
            If the configuration of ssh cannot be read.
        """
        ...

    def connection(self, address: Address, *, timeout: float | None = None) -> Connection:
        """A connection to this host, not yet connected.

        Parameters
        ----------
        timeout
            Seconds for each hop from the first packet to the login, used unless the configuration of ssh has a
            `ConnectTimeout` for the host; None: `connect_timeout_secs` of the configuration, 30.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
