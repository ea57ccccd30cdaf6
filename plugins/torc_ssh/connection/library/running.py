"""A command on a host while it runs, over a line of paramiko."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from paramiko import Channel, SSHException

from torc_ssh.connection.library.line import Line
from torc_ssh.connection.protocol import LONGEST_OUTPUT, Ran
from torc_ssh.trouble import Lost, Overdue, Unreachable

_PIECE = 1 << 16
_TICK = 1.0
"""Longest pause between two looks at whether the other side still lives, in seconds."""


def lost(host: str, line: Line) -> Lost:
    """The error for a line that broke."""
    return Lost(host, f"connection lost ({line.trouble or 'closed by the other side'})")


def overdue(host: str, seconds: float) -> Overdue:
    """The error for a command that took too long."""
    return Overdue(host, f"no answer within {seconds:g} s")


class Running:
    """A command on a host while it runs.

    Parameters
    ----------
    until
        When it has to have ended; None: it may go on while something comes every `seconds`.
    """

    def __init__(
        self,
        host: str,
        line: Line,
        channel: Channel,
        command: str,
        stdin: bytes,
        *,
        until: float | None,
        seconds: float,
    ) -> None:
        self._host = host
        self._line = line
        self._channel = channel
        self._until = until
        self._seconds = seconds
        self._stderr = b""
        self._seen = 0
        self._poll = select.poll()
        try:
            self._poll.register(channel.fileno(), select.POLLIN)
            line.execute(channel, command)
            threading.Thread(target=self._feed, args=(stdin,), name="torc-stdin", daemon=True).start()
        except (SSHException, OSError, EOFError) as error:
            self.close()
            raise lost(host, line) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def read(self) -> bytes:
        """The next piece of stdout; empty at its end."""
        channel = self._channel
        limit = self._limit()
        while True:
            self._take_stderr()
            if channel.recv_ready():
                piece = self._taken(channel.recv)
                self._seen += len(piece)
                if self._until and self._seen > LONGEST_OUTPUT:
                    raise Unreachable(self._host, f"a command printed more than {LONGEST_OUTPUT} bytes")
                return piece
            if channel.eof_received or channel.closed:
                if channel.recv_ready():
                    continue
                if channel.exit_status < 0 and not self._line.is_active():
                    raise lost(self._host, self._line)
                return b""
            self._check(limit)
            self._poll.poll(1000 * max(0.0, min(_TICK, limit - time.monotonic())))

    def ended(self) -> Ran:
        """Wait for the end of the command."""
        limit = self._limit()
        while not self._channel.status_event.wait(max(0.0, min(_TICK, limit - time.monotonic()))):
            if self._channel.closed:
                break
            self._check(limit)
        self._take_stderr()
        status = self._channel.exit_status
        if status < 0 and not self._line.is_active():
            raise lost(self._host, self._line)
        return Ran(status=status if status >= 0 else 255, stdout=b"", stderr=self._stderr)

    def close(self) -> None:
        """Leave."""
        with contextlib.suppress(SSHException, OSError, EOFError):
            self._channel.close()

    def _limit(self) -> float:
        return self._until or time.monotonic() + self._seconds

    def _take_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            piece = self._taken(self._channel.recv_stderr)
            if len(self._stderr) < LONGEST_OUTPUT:
                self._stderr += piece

    def _taken(self, receive: Callable[[int], bytes]) -> bytes:
        """A piece that has come."""
        try:
            return receive(_PIECE)
        except (SSHException, OSError, EOFError) as error:
            # NOTE: paramiko tells the other side that there is room again, and that may be gone.
            raise lost(self._host, self._line) from error

    def _check(self, limit: float) -> None:
        if self._line.silent:
            self._line.lose()
        if not self._line.is_active() or self._line.trouble:
            raise lost(self._host, self._line)
        if time.monotonic() >= limit:
            raise overdue(self._host, self._seconds)

    def _feed(self, stdin: bytes) -> None:
        """Say all there is to say; who does not listen has ended, which the reader sees."""
        with contextlib.suppress(SSHException, OSError, EOFError):
            self._channel.settimeout(self._seconds)
            self._channel.sendall(stdin)
            self._channel.shutdown_write()
