"""Connections by the system's `ssh` program: a master process per host, commands as its clients."""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from torc_core.engine.addresses import Address
from torc_core.errors import InvalidConfig
from torc_ssh.config.hops import hops
from torc_ssh.connection import causes
from torc_ssh.connection.protocol import Destination, Ran
from torc_ssh.connection.telling import cause_of, new_keys
from torc_ssh.fleet import Pace
from torc_ssh.settings import RemoteSettings
from torc_ssh.trouble import Lost, Overdue, Unreachable

STARTS_PER_SECOND = 10
"""New connections to one host (`remote.md` RW67)."""

LONGEST_OUTPUT = 16 << 20
"""Bytes that a command that is run to its end may print."""

_ASKING = 10.0
"""Seconds in which questions to the program itself are answered."""

_PIECE = 1 << 16
_LOSS = 255
_READY = b"torc-ready\n"

_CONFIG = """\
# Made by torc for as long as it runs. What is first wins: no questions; then your own; then what else would be the usual.
IgnoreUnknown SessionType,StdinNull,ForkAfterAuthentication
BatchMode yes
RemoteCommand none
SessionType default
StdinNull no
ForkAfterAuthentication no
ForwardAgent no
ForwardX11 no
PermitLocalCommand yes
LocalCommand echo torc-ready
ControlMaster no
ControlPersist no
RequestTTY no
LogLevel INFO
{includes}
Host *
StrictHostKeyChecking accept-new
ConnectTimeout {timeout:.0f}
ServerAliveInterval 15
ServerAliveCountMax 3
"""


class ProgramConnector:
    """Makes connections; holds a private folder for their sockets.

    Raises
    ------
    InvalidConfig
        If there is no `ssh`, or the configured file does not exist.
    """

    def __init__(self, settings: RemoteSettings, note: Callable[[str], None]) -> None:
        found = shutil.which("ssh")
        if not found:
            raise InvalidConfig(
                "client.remote.backend is 'openssh', but there is no program 'ssh' on the path"
            )
        self._program = os.path.abspath(found)
        self._settings = settings
        self._note = note
        self._noted: set[str] = set()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._open: set[ProgramConnection] = set()
        self._pace = Pace(STARTS_PER_SECOND, time.monotonic)
        self._folder = Path(tempfile.mkdtemp(prefix="torc-ssh-"))
        self._includes = self._files()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _files(self) -> str:
        given = self._settings.ssh_config
        files = [given] if given else ["~/.ssh/config", "/etc/ssh/ssh_config"]
        paths = [os.path.abspath(os.path.expanduser(one)) for one in files]
        if given and not os.path.exists(paths[0]):
            shutil.rmtree(self._folder, ignore_errors=True)
            raise InvalidConfig(f"cannot read {given!r}: no such file")
        return "\n".join(f'Include "{path}"' for path in paths)

    def words(self, address: Address, timeout: float, *options: str) -> list[str]:
        """The command line up to and with the host."""
        path = self._folder / f"config-{timeout:g}"
        if not path.exists():
            text = _CONFIG.format(includes=self._includes, timeout=max(1.0, timeout))
            new = path.with_name(f"{path.name}.{next(self._numbers)}")
            new.touch(mode=0o600)
            new.write_text(text)
            new.replace(path)
        user = ["-l", address.user] if address.user else []
        port = ["-p", str(address.port)] if address.port else []
        return [self._program, "-F", str(path), *user, *port, *options, "--", address.host]

    def control(self, socket: str, verb: str, specification: str) -> list[str]:
        """The command line that tells a master about a port of the host; without any configuration."""
        return [self._program, "-F", "none", "-S", socket, "-O", verb, "-R", specification, "--", "master"]

    def asked(self, address: Address) -> dict[str, list[str]]:
        """What `ssh -G` says: values by keyword.

        Raises
        ------
        InvalidConfig
            If it does not understand the configuration.
        """
        words = self.words(address, self._settings.connect_timeout_secs, "-G")
        ran = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASKING, check=False
        )
        if ran.returncode:
            raise InvalidConfig(f"ssh does not understand its configuration: {ran.stderr.strip()}")
        found: dict[str, list[str]] = {}
        for line in ran.stdout.splitlines():
            keyword, _, value = line.partition(" ")
            found.setdefault(keyword, []).append(value)
        return found

    def resolved(self, address: Address) -> Destination:
        """Where an address leads; nothing is connected."""
        found = self.asked(address)
        jump = found.get("proxyjump", ["none"])[0]
        return Destination(
            hostname=found["hostname"][0],
            user=found["user"][0],
            port=int(found["port"][0]),
            proxy_jump=None if jump == "none" else jump,
            identity_files=tuple(os.path.expanduser(one) for one in found.get("identityfile", [])),
        )

    def connection(self, address: Address, *, timeout: float | None = None) -> ProgramConnection:
        """A connection to this host, not yet connected."""
        made = ProgramConnection(self, address, timeout or self._settings.connect_timeout_secs)
        with self._lock:
            self._open.add(made)
        return made

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            connections, self._open = list(self._open), set()
        for one in connections:
            one.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def forget(self, connection: ProgramConnection) -> None:
        """It is closed."""
        with self._lock:
            self._open.discard(connection)

    @property
    def patience(self) -> float:
        """Seconds for a command."""
        return self._settings.command_timeout_secs

    def socket(self) -> str:
        """A path for a socket of its own."""
        return str(self._folder / f"s{next(self._numbers)}")

    def await_turn(self, host: str) -> None:
        """Return when one more connection to this host may start."""
        self._pace.wait(host)

    def note(self, text: str) -> None:
        """Tell the user once."""
        with self._lock:
            if text in self._noted:
                return
            self._noted.add(text)
        self._note(text)


class ProgramConnection:
    """A host by the program."""

    def __init__(self, connector: ProgramConnector, address: Address, timeout: float) -> None:
        self._connector = connector
        self._address = address
        self._timeout = timeout
        self._socket = connector.socket()
        self._master: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._strict: tuple[str, ...] = ()
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """As the user wrote it, in one form."""
        return self._address.text

    @property
    def alive(self) -> bool:
        """Whether it is connected."""
        return self._master is not None and self._master.poll() is None

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect and log in, unless it is done."""
        with self._lock:
            if not self._master:
                self._connect()

    def _connect(self) -> None:
        try:
            asked = self._connector.asked(self._address)
        except InvalidConfig as error:
            raise Unreachable(self.host, str(error)) from error
        self._accept_new(asked)
        jump = asked.get("proxyjump", ["none"])[0]
        way = [] if jump == "none" else hops(jump)
        seconds = float(asked["connecttimeout"][0]) if asked["connecttimeout"][0].isdigit() else self._timeout
        self._connector.await_turn(way[0].host if way else asked["hostname"][0])
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the connection
        self._master = self._start(["-M", "-N", "-S", self._socket], None, self._said)
        if not self._ready(time.monotonic() + seconds * (1 + len(way))):
            said = self._told()
            ended = self._master.poll() is not None
            self._end()
            jumps = tuple(hop.host for hop in way)
            raise Unreachable(
                self.host, cause_of(said, seconds, jumps) if ended else causes.timed_out(seconds)
            )

        for name, kind in new_keys(self._told()):
            self._connector.note(f"added the {kind} host key of {name} to the known hosts")

    def _accept_new(self, asked: dict[str, list[str]]) -> None:
        """Only `yes` is left as it is: the others would ask, or take any key."""
        strict = asked.get("stricthostkeychecking", ["ask"])[0]
        if strict in {"true", "yes"}:
            return
        self._strict = ("-o", "StrictHostKeyChecking=accept-new")
        if strict in {"false", "no", "off"}:
            self._connector.note(
                f"StrictHostKeyChecking no for {self._address.host} is treated as accept-new"
            )

    def _start(
        self, options: Sequence[str], command: str | None, stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        # Ports that the configuration forwards are not ours to take.
        options = [*self._strict, *options, "-o", "ClearAllForwardings=yes"]
        words = self._connector.words(self._address, self._timeout, *options)
        # NOTE: in a session of its own it has no terminal, and can ask nobody anything.
        return subprocess.Popen(
            [*words, *([command] if command is not None else [])],
            stdin=subprocess.DEVNULL if command is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
            start_new_session=True,
            umask=0o077,
        )

    def _ready(self, deadline: float) -> bool:
        """Whether the master says that it is connected, before it ends and in time."""
        assert self._master
        assert self._master.stdout
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._master.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                piece = os.read(self._master.stdout.fileno(), _PIECE)
                said += piece
                if said.endswith(_READY):
                    return True
                if not piece:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._master.wait(1)
                    return False
        return False

    def _told(self) -> str:
        """What the master wrote to stderr."""
        if not self._said or self._said.closed:
            return ""
        self._said.seek(0)
        return self._said.read(_PIECE).decode(errors="replace")

    def close(self) -> None:
        """End it."""
        self._connector.forget(self)
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._master:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._master.pid, signal.SIGTERM)
            try:
                self._master.wait(2)
            except subprocess.TimeoutExpired:
                os.killpg(self._master.pid, signal.SIGKILL)
                self._master.wait()
            assert self._master.stdout
            self._master.stdout.close()
        if self._said:
            self._said.close()

    def run(self, command: str, stdin: bytes = b"", deadline: float | None = None) -> Ran:
        """Run a command to its end."""
        seconds = deadline or self._connector.patience
        with ProgramStream(
            self, command, stdin, until=time.monotonic() + seconds, seconds=seconds
        ) as running:
            printed = b"".join(iter(running.read, b""))
            ran = running.ended()
        return Ran(status=ran.status, stdout=printed, stderr=ran.stderr)

    def stream(self, command: str, stdin: bytes = b"", silence: float | None = None) -> ProgramStream:
        """Run a command and read what it prints piece by piece."""
        return ProgramStream(self, command, stdin, until=None, seconds=silence or self._connector.patience)

    def client(self, command: str, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """A process that runs one command over the master."""
        if not self.alive:
            raise self.lost()
        return self._start(
            ["-T", "-S", self._socket, "-o", "PermitLocalCommand=no", "-o", "LogLevel=ERROR"], command, stderr
        )

    def lost(self) -> Lost:
        """The error for a connection that broke."""
        said = self._told().strip().splitlines()
        why = (
            "no sign of life" if any("not responding" in one for one in said) else "closed by the other side"
        )
        return Lost(self.host, f"connection lost ({why})")

    def is_lost(self) -> bool:
        """Whether the master has ended, or is about to."""
        assert self._master
        try:
            self._master.wait(0.5)
        except subprocess.TimeoutExpired:
            return False
        return True

    def forward(self, target: tuple[str, int], port: int = 0) -> ProgramForward:
        """Let a port on the loopback of the host lead to `target`."""
        if not self.alive:
            raise self.lost()
        host = f"[{target[0]}]" if ":" in target[0] else target[0]
        ran = self._control("forward", f"127.0.0.1:{port}:{host}:{target[1]}")
        if ran.returncode:
            raise Unreachable(self.host, "it does not allow forwarding (AllowTcpForwarding no?)")
        given = ran.stdout.split()
        found = int(given[-1]) if given and given[-1].isdigit() else port
        return ProgramForward(self, found, f"127.0.0.1:{port}:{host}:{target[1]}")

    def unforward(self, specification: str) -> None:
        """Give a port back."""
        if self.alive:
            self._control("cancel", specification)

    def _control(self, verb: str, specification: str) -> subprocess.CompletedProcess[str]:
        words = self._connector.control(self._socket, verb, specification)
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASKING, check=False
        )


class ProgramForward:
    """A port of a host that leads here."""

    def __init__(self, connection: ProgramConnection, port: int, specification: str) -> None:
        self._connection = connection
        self._specification = specification
        self.port = port

    def close(self) -> None:
        """No longer listen there."""
        self._connection.unforward(self._specification)


class ProgramStream:
    """A command on a host while it runs.

    Parameters
    ----------
    until
        When it has to have ended; None: it may go on while something comes every `seconds`.
    """

    def __init__(
        self,
        connection: ProgramConnection,
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
