"""A command on a host while it runs, as a process of the system's `ssh`."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import tempfile
import threading
import time
from types import TracebackType
from typing import IO, Protocol, Self

from torc_ssh.connection.protocol import LONGEST_OUTPUT, Ran
from torc_ssh.trouble import Lost, Overdue, Unreachable

_PIECE = 1 << 16
_LOSS = 255


class Hosting(Protocol):
    """What a command needs of the connection over which it runs."""

    @property
    def host(self) -> str:
        """As messages name it."""
        ...

    def client(self, command: str, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the process."""
        ...

    def is_lost(self) -> bool:
        """Whether it broke."""
        ...

    def lost(self) -> Lost:
        """The error for that."""
        ...


class Running:
    """A command on a host while it runs.

    Parameters
    ----------
    until
        When it has to have ended; None: it may go on while something comes every `seconds`.
    """

    def __init__(
        self,
        connection: Hosting,
        command: str,
        stdin: bytes,
        *,
        until: float | None,
        seconds: float,
    ) -> None:
        self._connection = connection
        self._until = until
        self._seconds = seconds
        self._seen = 0
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the stream
        try:
            self._process = connection.client(command, self._said)
        except BaseException:
            self._said.close()
            raise
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout
        self._out = self._process.stdout
        self._selector.register(self._out, selectors.EVENT_READ)
        self._feeder = threading.Thread(target=self._feed, args=(stdin,), name="torc-stdin", daemon=True)
        self._feeder.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def read(self) -> bytes:
        """The next piece of stdout; empty at its end."""
        if not self._selector.select(max(0.0, self._limit() - time.monotonic())):
            raise self._overdue()
        piece = os.read(self._out.fileno(), _PIECE)
        self._seen += len(piece)
        if self._until and self._seen > LONGEST_OUTPUT:
            raise Unreachable(self._connection.host, f"a command printed more than {LONGEST_OUTPUT} bytes")
        if not piece:
            self._status()
        return piece

    def ended(self) -> Ran:
        """Wait for the end of the command."""
        status = self._status()
        self._said.seek(0)
        return Ran(status=status, stdout=b"", stderr=self._said.read(LONGEST_OUTPUT))

    def _status(self) -> int:
        try:
            status = self._process.wait(max(0.0, self._limit() - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._overdue() from None
        if status == _LOSS and self._connection.is_lost():
            raise self._connection.lost()
        return status if status >= 0 else _LOSS

    def _limit(self) -> float:
        return self._until or time.monotonic() + self._seconds

    def _overdue(self) -> Overdue:
        return Overdue(self._connection.host, f"no answer within {self._seconds:g} s")

    def close(self) -> None:
        """Leave."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._feeder.join()
        self._selector.close()
        self._out.close()
        self._said.close()

    def _feed(self, stdin: bytes) -> None:
        """Say all there is to say; who does not listen has ended, which the reader sees."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.write(stdin)
        with contextlib.suppress(OSError):
            self._process.stdin.close()
