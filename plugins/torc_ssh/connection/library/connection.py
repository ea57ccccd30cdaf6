"""A host by the paramiko library."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from paramiko import Channel, SSHException

from torc_core.engine.addresses import Address
from torc_ssh.connection.library.handshake import Failed
from torc_ssh.connection.library.line import Line, Refused
from torc_ssh.connection.library.running import Running, lost, overdue
from torc_ssh.connection.library.ways import Ways
from torc_ssh.connection.protocol import Ran
from torc_ssh.trouble import Lost, Unreachable

MOST_LINES = 8
"""Lines to one host for commands at once, where it allows few per line."""


class LibraryConnection:
    """A host by paramiko.

    Parameters
    ----------
    timeout
        Seconds for each hop of connecting.
    patience
        Seconds for a command.
    closed
        Is told when it is closed.
    """

    def __init__(
        self,
        ways: Ways,
        address: Address,
        *,
        timeout: float,
        patience: float,
        closed: Callable[[LibraryConnection], None],
    ) -> None:
        self._ways = ways
        self._address = address
        self._timeout = timeout
        self._patience = patience
        self._on_close = closed
        self._lines: list[Line] = []
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self._closed = False

    @property
    def host(self) -> str:
        """As the user wrote it, in one form."""
        return self._address.text

    @property
    def alive(self) -> bool:
        """Whether it is connected."""
        return bool(self._lines) and self._lines[0].is_active() and not self._lines[0].silent

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect and log in, unless it is done."""
        with self._connecting:
            if not self._lines:
                self._another(0)

    def close(self) -> None:
        """End it."""
        self._on_close(self)
        with self._lock:
            self._closed = True
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    def run(self, command: str, stdin: bytes = b"", deadline: float | None = None) -> Ran:
        """Run a command to its end."""
        seconds = deadline or self._patience
        with self._running(command, stdin, until=time.monotonic() + seconds, seconds=seconds) as running:
            printed = b"".join(iter(running.read, b""))
            ran = running.ended()
        return Ran(status=ran.status, stdout=printed, stderr=ran.stderr)

    def stream(self, command: str, stdin: bytes = b"", silence: float | None = None) -> Running:
        """Run a command and read what it prints piece by piece."""
        return self._running(command, stdin, until=None, seconds=silence or self._patience)

    def _running(self, command: str, stdin: bytes, *, until: float | None, seconds: float) -> Running:
        line, channel = self._session(seconds)
        return Running(self.host, line, channel, command, stdin, until=until, seconds=seconds)

    def forward(self, target: tuple[str, int], port: int = 0) -> LibraryForward:
        """Let a port on the loopback of the host lead to `target`."""
        line = self._first()
        try:
            return LibraryForward(line, line.listen(target, port))
        except SSHException as error:
            if not line.is_active():
                raise lost(self.host, line) from error
            raise Unreachable(self.host, "it does not allow forwarding (AllowTcpForwarding no?)") from error
        except (EOFError, OSError) as error:
            raise lost(self.host, line) from error

    def _session(self, seconds: float) -> tuple[Line, Channel]:
        """A channel for one command, on a further line where the host allows no more on those there are.

        Raises
        ------
        Unreachable, Lost, Overdue
            As `run`.
        """
        self._first()
        for number in itertools.count():
            with self._lock:
                lines = list(self._lines)
            if number >= len(lines):
                lines.append(self._another(number))
            line = lines[number]
            try:
                return line, line.session(seconds)
            except Refused as error:
                if number + 1 >= MOST_LINES:
                    raise Unreachable(self.host, f"it runs no more commands ({error})") from error
            except TimeoutError as error:
                raise overdue(self.host, seconds) from error
            except (EOFError, SSHException, OSError) as error:
                raise lost(self.host, line) from error
        raise AssertionError

    def _first(self) -> Line:
        with self._lock:
            if not self._lines:
                raise Lost(self.host, "not connected")
            return self._lines[0]

    def _another(self, number: int) -> Line:
        """The line of this number, a new one unless another thread has just made it."""
        try:
            line = self._ways.line(self._address, self._timeout)
        except Failed as error:
            raise Unreachable(self.host, str(error)) from error
        with self._lock:
            if not self._closed and len(self._lines) <= number:
                self._lines.append(line)
                return line
            made = self._lines[number:]
        line.close()
        if not made:
            raise Lost(self.host, "connection closed")
        return made[0]


class LibraryForward:
    """A port of a host that leads here."""

    def __init__(self, line: Line, port: int) -> None:
        self._line = line
        self.port = port

    def close(self) -> None:
        """No longer listen there."""
        self._line.listen_no_more(self.port)
