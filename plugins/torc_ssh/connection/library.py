"""Connections by the paramiko library."""

from __future__ import annotations

import contextlib
import itertools
import logging
import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from paramiko import Channel, SSHException

from torc_core.engine.addresses import Address
from torc_core.errors import InvalidConfig
from torc_ssh.config import Options, SshConfig, hops
from torc_ssh.connection import causes
from torc_ssh.connection.handshake import Failed, logged_in
from torc_ssh.connection.line import PROHIBITED, Line, Refused
from torc_ssh.connection.protocol import Destination, Ran
from torc_ssh.connection.sockets import Proxy, connected
from torc_ssh.fleet import Pace
from torc_ssh.settings import RemoteSettings
from torc_ssh.trouble import Lost, Overdue, Unreachable

logger = logging.getLogger(__name__)

STARTS_PER_SECOND = 10
"""New connections to one host (`remote.md` RW67)."""

LONGEST_OUTPUT = 16 << 20
"""Bytes that a command that is run to its end may print."""

MOST_LINES = 8
"""Lines to one host for commands at once, where it allows few per line."""

_PIECE = 1 << 16
_TICK = 1.0
"""Longest pause between two looks at whether the other side still lives, in seconds."""

Route = tuple[Options, ...]


class LibraryConnector:
    """Makes connections; holds the lines to jump hosts, which all share."""

    def __init__(self, settings: RemoteSettings, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._config = SshConfig(settings.ssh_config)
        self._note = note
        self._noted: set[str] = set()
        self._lock = threading.Lock()
        self._jumps: dict[tuple[Any, ...], Future[Line]] = {}
        self._failed: dict[tuple[Any, ...], float] = {}
        self._pace = Pace(STARTS_PER_SECOND, time.monotonic)
        self._open: set[LibraryConnection] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def resolved(self, address: Address) -> Destination:
        """Where an address leads; nothing is connected."""
        options = self._config.options(address.host, address.user, address.port)
        return Destination(
            hostname=options.hostname,
            user=options.user,
            port=options.port,
            proxy_jump=options.proxy_jump,
            identity_files=options.identity_files,
        )

    def connection(self, address: Address, *, timeout: float | None = None) -> LibraryConnection:
        """A connection to this host, not yet connected."""
        made = LibraryConnection(self, address, timeout or self._settings.connect_timeout_secs)
        with self._lock:
            self._open.add(made)
        return made

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            connections, self._open = list(self._open), set()
            jumps, self._jumps = list(self._jumps.values()), {}
        for one in connections:
            one.close()
        for jump in jumps:
            if jump.done() and not jump.exception():
                jump.result().close()

    def forget(self, connection: LibraryConnection) -> None:
        """It is closed."""
        with self._lock:
            self._open.discard(connection)

    @property
    def patience(self) -> float:
        """Seconds for a command."""
        return self._settings.command_timeout_secs

    def line(self, address: Address, timeout: float) -> Line:
        """A line of its own to this host.

        Raises
        ------
        Failed
            With the cause.
        """
        try:
            route = self._route(address)
        except InvalidConfig as error:
            raise Failed(str(error)) from error
        self._pace.wait(route[0].hostname)
        return self._along(route, timeout)

    def note(self, text: str) -> None:
        """Tell the user once."""
        with self._lock:
            if text in self._noted:
                return
            self._noted.add(text)
        self._note(text)

    def _route(self, address: Address) -> Route:
        """All hosts on the way, the first one first."""
        options = self._config.options(address.host, address.user, address.port)
        return self._with_jumps(options, (options.original,))

    def _with_jumps(self, options: Options, seen: tuple[str, ...]) -> Route:
        for directive in options.unsupported:
            self.note(
                f"{directive} of the ssh configuration is not used for {options.original}; "
                "set client.remote.backend = 'openssh' for it"
            )
        if not options.proxy_jump:
            return (options,)
        named = hops(options.proxy_jump)
        way = [self._config.options(hop.host, hop.user, hop.port) for hop in named]
        if way[0].original in seen:
            raise InvalidConfig(f"ProxyJump of {options.original} leads back to {way[0].original}")
        # The first of them may have hosts of its own on the way; those after it are reached through it.
        first = self._with_jumps(way[0], (*seen, way[0].original))
        return (*first, *way[1:], options)

    def _along(self, route: Route, timeout: float) -> Line:
        """A new line to the last host of a route; the lines to those before it are shared."""
        *before, options = route
        seconds = options.connect_timeout or timeout
        if before:
            # Its time is its own.
            self._jump(tuple(before), timeout)
        deadline = time.monotonic() + seconds
        inner: Any
        try:
            if before:
                inner = self._through(tuple(before), options, timeout, seconds)
            elif options.proxy_command:
                inner = Proxy(options.proxy_command)
            else:
                inner = connected(options, deadline)
        except Refused as error:
            jump_host = before[-1].original
            if error.code == PROHIBITED:
                raise Failed(f"Jump host {jump_host}: it does not allow forwarding") from error
            raise Failed(f"{error} (seen from jump host {jump_host})") from error
        except EOFError as error:
            raise Failed(f"Jump host {before[-1].original}: connection lost") from error
        except OSError as error:
            raise Failed(causes.of_socket(error, seconds)) from error
        return logged_in(inner, options, self.note, deadline, seconds)

    def _through(self, before: Route, options: Options, timeout: float, seconds: float) -> Any:
        """A channel over the shared line to a jump host, which is made anew when it turns out to be lost."""
        for again in (True, False):
            jump = self._jump(before, timeout)
            try:
                return jump.through(options.hostname, options.port, seconds)
            except EOFError:
                if not again:
                    raise
        raise AssertionError

    def _jump(self, route: Route, timeout: float) -> Line:
        """The shared line to a jump host: the first who needs it connects, the others wait for that.

        What failed is not tried again for as long as a connection may take: hosts behind a dead one fail with it.
        """
        key = tuple((one.hostname, one.user, one.port) for one in route)
        with self._lock:
            known = self._jumps.get(key)
            if known and known.done() and self._is_over(key, known, timeout):
                known = None
            mine: Future[Line] = known or Future()
            self._jumps[key] = mine
        if not known:
            try:
                mine.set_result(self._along(route, timeout))
            except BaseException as error:
                self._failed[key] = time.monotonic()
                mine.set_exception(error)
                if not isinstance(error, Failed):
                    raise
        try:
            return mine.result()
        except Failed as error:
            raise Failed(f"Jump host {route[-1].original}: {error}") from error

    def _is_over(self, key: tuple[Any, ...], known: Future[Line], timeout: float) -> bool:
        """Whether a line to a jump host was lost, or its failure is long ago."""
        if known.exception():
            return time.monotonic() - self._failed[key] > timeout
        return not known.result().is_active()


class LibraryConnection:
    """A host by paramiko."""

    def __init__(self, connector: LibraryConnector, address: Address, timeout: float) -> None:
        self._connector = connector
        self._address = address
        self._timeout = timeout
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
        self._connector.forget(self)
        with self._lock:
            self._closed = True
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    def run(self, command: str, stdin: bytes = b"", deadline: float | None = None) -> Ran:
        """Run a command to its end."""
        seconds = deadline or self._connector.patience
        with _Running(self, command, stdin, until=time.monotonic() + seconds, seconds=seconds) as running:
            printed = b"".join(iter(running.read, b""))
            ran = running.ended()
        return Ran(status=ran.status, stdout=printed, stderr=ran.stderr)

    def stream(self, command: str, stdin: bytes = b"", silence: float | None = None) -> _Running:
        """Run a command and read what it prints piece by piece."""
        return _Running(self, command, stdin, until=None, seconds=silence or self._connector.patience)

    def forward(self, target: tuple[str, int], port: int = 0) -> LibraryForward:
        """Let a port on the loopback of the host lead to `target`."""
        line = self._first()
        try:
            return LibraryForward(line, line.listen(target, port))
        except SSHException as error:
            if not line.is_active():
                raise self.lost(line) from error
            raise Unreachable(self.host, "it does not allow forwarding (AllowTcpForwarding no?)") from error

    def session(self, seconds: float) -> tuple[Line, Channel]:
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
                raise self.overdue(line, seconds) from error
            except (EOFError, SSHException, OSError) as error:
                raise self.lost(line) from error
        raise AssertionError

    def lost(self, line: Line) -> Lost:
        """The error for a line that broke."""
        return Lost(self.host, f"connection lost ({line.trouble or 'closed by the other side'})")

    def overdue(self, line: Line, seconds: float) -> Overdue:
        """The error for a command that took too long; Lost if the host is silent altogether."""
        return Overdue(self.host, f"no answer within {seconds:g} s")

    def _first(self) -> Line:
        with self._lock:
            if not self._lines:
                raise Lost(self.host, "not connected")
            return self._lines[0]

    def _another(self, number: int) -> Line:
        """The line of this number, a new one unless another thread has just made it."""
        try:
            line = self._connector.line(self._address, self._timeout)
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


class _Running:
    """A command on a host while it runs.

    Parameters
    ----------
    until
        When it has to have ended; None: it may go on while something comes every `seconds`.
    """

    def __init__(
        self,
        connection: LibraryConnection,
        command: str,
        stdin: bytes,
        *,
        until: float | None,
        seconds: float,
    ) -> None:
        self._connection = connection
        self._until = until
        self._seconds = seconds
        self._line, self._channel = connection.session(seconds)
        self._stderr = b""
        self._seen = 0
        self._poll = select.poll()
        try:
            self._poll.register(self._channel.fileno(), select.POLLIN)
            self._line.execute(self._channel, command)
            threading.Thread(target=self._feed, args=(stdin,), name="torc-stdin", daemon=True).start()
        except (SSHException, OSError) as error:
            self.close()
            raise connection.lost(self._line) from error

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
                piece = channel.recv(_PIECE)
                self._seen += len(piece)
                if self._until and self._seen > LONGEST_OUTPUT:
                    raise Unreachable(
                        self._connection.host, f"a command printed more than {LONGEST_OUTPUT} bytes"
                    )
                return piece
            if channel.eof_received or channel.closed:
                if channel.recv_ready():
                    continue
                if channel.exit_status < 0 and not self._line.is_active():
                    raise self._connection.lost(self._line)
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
            raise self._connection.lost(self._line)
        return Ran(status=status if status >= 0 else 255, stdout=b"", stderr=self._stderr)

    def close(self) -> None:
        """Leave."""
        with contextlib.suppress(SSHException, OSError, EOFError):
            self._channel.close()

    def _limit(self) -> float:
        return self._until or time.monotonic() + self._seconds

    def _take_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            piece = self._channel.recv_stderr(_PIECE)
            if len(self._stderr) < LONGEST_OUTPUT:
                self._stderr += piece

    def _check(self, limit: float) -> None:
        if self._line.silent:
            self._line.lose()
        if not self._line.is_active() or self._line.trouble:
            raise self._connection.lost(self._line)
        if time.monotonic() >= limit:
            raise self._connection.overdue(self._line, self._seconds)

    def _feed(self, stdin: bytes) -> None:
        """Say all there is to say; who does not listen has ended, which the reader sees."""
        with contextlib.suppress(SSHException, OSError, EOFError):
            self._channel.settimeout(self._seconds)
            self._channel.sendall(stdin)
            self._channel.shutdown_write()
