"""A host by the system's `ssh`: a master process that is logged in, commands as its clients."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Self

from torc_core.engine.addresses import Address
from torc_core.errors import InvalidConfig
from torc_ssh.config import hops
from torc_ssh.connection import causes
from torc_ssh.connection.program.running import Running
from torc_ssh.connection.program.ssh import ASKING, Ssh
from torc_ssh.connection.program.telling import cause_of, new_keys
from torc_ssh.connection.protocol import Ran
from torc_ssh.trouble import Lost, Overdue, Unreachable

_PIECE = 1 << 16
_READY = b"torc-ready\n"


class ProgramConnection:
    """A host by the program.

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
        ssh: Ssh,
        address: Address,
        *,
        timeout: float,
        patience: float,
        closed: Callable[[ProgramConnection], None],
    ) -> None:
        self._ssh = ssh
        self._address = address
        self._timeout = timeout
        self._patience = patience
        self._on_close = closed
        self._socket = ssh.socket()
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
        master = self._master
        return master is not None and master.poll() is None

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
            asked = self._ssh.asked(self._address)
        except InvalidConfig as error:
            raise Unreachable(self.host, str(error)) from error
        self._accept_new(asked)
        jump = asked.get("proxyjump", ["none"])[0]
        way = [] if jump == "none" else hops(jump)
        seconds = float(asked["connecttimeout"][0]) if asked["connecttimeout"][0].isdigit() else self._timeout
        self._ssh.await_turn(way[0].host if way else asked["hostname"][0])
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
            self._ssh.note(f"added the {kind} host key of {name} to the known hosts")

    def _accept_new(self, asked: dict[str, list[str]]) -> None:
        """Only `yes` is left as it is: the others would ask, or take any key."""
        strict = asked.get("stricthostkeychecking", ["ask"])[0]
        if strict in {"true", "yes"}:
            return
        self._strict = ("-o", "StrictHostKeyChecking=accept-new")
        if strict in {"false", "no", "off"}:
            self._ssh.note(f"StrictHostKeyChecking no for {self._address.host} is treated as accept-new")

    def _start(
        self, options: Sequence[str], command: str | None, stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        # Ports that the configuration forwards are not ours to take.
        options = [*self._strict, *options, "-o", "ClearAllForwardings=yes"]
        words = self._ssh.words(self._address, self._timeout, *options)
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
        self._on_close(self)
        if (master := self._master) is not None:
            # Who is still connecting has the lock until that ends.
            master.terminate()
        with self._lock:
            self._end()

    def _end(self) -> None:
        # NOTE: once it was waited for its number may be somebody else's.
        master, self._master = self._master, None
        if master:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(master.pid, signal.SIGTERM)
            try:
                master.wait(2)
            except subprocess.TimeoutExpired:
                os.killpg(master.pid, signal.SIGKILL)
                master.wait()
            assert master.stdout
            master.stdout.close()
        if self._said:
            self._said.close()

    def run(self, command: str, stdin: bytes = b"", deadline: float | None = None) -> Ran:
        """Run a command to its end."""
        seconds = deadline or self._patience
        with Running(self, command, stdin, until=time.monotonic() + seconds, seconds=seconds) as running:
            printed = b"".join(iter(running.read, b""))
            ran = running.ended()
        return Ran(status=ran.status, stdout=printed, stderr=ran.stderr)

    def stream(self, command: str, stdin: bytes = b"", silence: float | None = None) -> Running:
        """Run a command and read what it prints piece by piece."""
        return Running(self, command, stdin, until=None, seconds=silence or self._patience)

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
        master = self._master
        if master is None:
            return True
        try:
            master.wait(0.5)
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
        """Give a port back, if there is an answer in time."""
        if self.alive:
            with contextlib.suppress(Overdue):
                self._control("cancel", specification)

    def _control(self, verb: str, specification: str) -> subprocess.CompletedProcess[str]:
        words = self._ssh.control(self._socket, verb, specification)
        try:
            return subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASKING, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Overdue(self.host, f"no answer within {ASKING:g} s") from error


class ProgramForward:
    """A port of a host that leads here."""

    def __init__(self, connection: ProgramConnection, port: int, specification: str) -> None:
        self._connection = connection
        self._specification = specification
        self.port = port

    def close(self) -> None:
        """No longer listen there."""
        self._connection.unforward(self._specification)
