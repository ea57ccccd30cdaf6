"""A paramiko transport that never waits without an end: its beat, its forwards, its refusals."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from paramiko import Channel, Message, SSHException, Transport

from torc_ssh.connection.causes import plain
from torc_ssh.connection.library.login import SERVICE_ACCEPT, Login

_GLOBAL_REQUEST, _CHANNEL_OPEN, _CHANNEL_OPEN_FAILURE, _CHANNEL_REQUEST = 80, 90, 92, 98
_PIECE = 1 << 15
_STEP = 1.0
"""Seconds between two looks that count at most: for longer this process was stopped, or had no processor."""


class Ear:
    """A socket, or what passes for one, that knows for how long nothing was heard on it while somebody listened."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._looked = time.monotonic()
        self._quiet = 0.0
        self._looking = threading.Lock()

    def recv(self, count: int) -> bytes:
        """Receive."""
        self.silence()
        data: bytes = self._inner.recv(count)
        with self._looking:
            self._looked, self._quiet = time.monotonic(), 0.0
        return data

    def silence(self) -> float:
        """Seconds without a word; time in which nobody could listen or look is not counted."""
        with self._looking:
            now = time.monotonic()
            self._quiet += min(now - self._looked, _STEP)
            self._looked = now
            return self._quiet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


PROHIBITED = 1
"""The code of a channel that is not allowed."""


class Refused(Exception):
    """The other side did not open a channel; `code` and text are its own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Line(Transport):
    """One SSH connection.

    Parameters
    ----------
    interval, count
        After so many seconds of silence the other side is asked for a sign of life; it is lost when it has not
        answered so many times.
    """

    # What the library has and its published types leave out.
    _channels: Any
    _handler_table: dict[int, Callable[[Message], None]]
    _next_channel: Callable[[], int]
    _send_message: Callable[[Message], None]
    _send_user_message: Callable[[Message], None]
    preferred_pubkeys: tuple[str, ...]

    def __init__(self, inner: Any, *, interval: float, count: int) -> None:
        self._ear = Ear(inner)
        super().__init__(cast("Any", self._ear))
        # What the library logs are the details of failures that are told anyway.
        self.set_log_channel("torc_ssh.line")
        self.logger.disabled = True
        self.interval, self.count = interval, count
        self.trouble: str | None = None
        """Why it was lost, if it was."""
        self.parting = ""
        """What the other side said when it hung up."""
        self.environment: dict[str, str] = {}
        """What commands are given."""
        self._refusals: dict[int, Refused] = {}
        self._asked: deque[bool] = deque()
        self._asking = threading.Lock()
        self._targets: dict[int, tuple[str, int]] = {}
        self._handler_table[SERVICE_ACCEPT] = self._service_accepted

    def preferred(self, what: str) -> tuple[str, ...]:
        """Names of algorithms, the best first; `what`: kex, keys, ciphers, macs or pubkeys."""
        names: tuple[str, ...] = getattr(self, f"_preferred_{what}")
        return names

    def prefer(self, what: str, names: tuple[str, ...]) -> None:
        """Take these instead, before anything is said."""
        setattr(self, f"_preferred_{what}", names)

    def send(self, message: Message) -> None:
        """Send a message of our own."""
        self._send_message(message)

    def _parse_disconnect(self, message: Message) -> None:
        message.get_int()
        self.parting = plain(message.get_text())

    def _service_accepted(self, message: Message) -> None:
        login: Any = self.auth_handler
        if isinstance(login, Login):
            login.service_accepted(message)

    def close(self) -> None:
        """End it, also when it was never begun, or what it runs over is gone already."""
        for end in (super().close, self._ear.close):
            with contextlib.suppress(OSError, EOFError, SSHException):
                end()

    # The sign of life

    def watch(self) -> None:
        """Ask for signs of life from now on."""
        packets: Any = self.packetizer
        packets.set_keepalive(self.interval, self._beat)

    @property
    def silent(self) -> bool:
        """Whether nothing was heard for longer than is allowed."""
        return self._ear.silence() >= self.interval * (self.count + 1)

    def lose(self) -> None:
        """Note that there was no sign of life."""
        self.trouble = f"no sign of life for {self.interval * (self.count + 1):g} s"

    def _beat(self) -> None:
        # NOTE: called by the thread that reads, when nothing came for a while; raising ends that thread.
        if self.silent:
            self.lose()
            raise EOFError
        self._ask("keepalive@openssh.com", (), ours=False)

    def _ask(self, kind: str, data: tuple[Any, ...], *, ours: bool) -> None:
        """Send a global request; answers come in the order of the requests, and only `ours` are waited for."""
        message = Message()
        message.add_byte(bytes([_GLOBAL_REQUEST]))
        message.add_string(kind)
        message.add_boolean(True)
        message.add(*data)
        with self._asking:
            self._asked.append(ours)
            self._send_user_message(message)

    def global_request(self, kind: str, data: Any = None, wait: bool = True) -> Message | None:  # noqa: FBT002
        """As the library's, but not confused by answers to questions for a sign of life."""
        self.completion_event = done = threading.Event()
        self._ask(kind, tuple(data or ()), ours=True)
        while not done.wait(0.1):
            if not self.is_active():
                return None
        return self.global_response

    def _parse_request_success(self, message: Message) -> None:
        if not self._asked or self._asked.popleft():
            self.global_response = message
            self._answered()

    def _parse_request_failure(self, message: Message) -> None:
        if not self._asked or self._asked.popleft():
            self.global_response = None
            self._answered()

    def _answered(self) -> None:
        if self.completion_event:
            self.completion_event.set()

    # Channels

    def session(self, seconds: float) -> Channel:
        """A channel for one command.

        Raises
        ------
        Refused
            If the host does not allow one more.
        TimeoutError
            If there is no answer in time.
        EOFError
            If the line is lost.
        """
        return self._channel("session", seconds)

    def through(self, host: str, port: int, seconds: float) -> Channel:
        """A channel to a port as seen from the other side. Raises as `session`."""
        return self._channel("direct-tcpip", seconds, (host, port), ("127.0.0.1", 0))

    def _channel(self, kind: str, seconds: float, *places: tuple[str, int]) -> Channel:
        # NOTE: the library keeps one exception per transport, so that two refusals at once would be mixed up.
        answered = threading.Event()
        with self.lock:
            if not self.is_active():
                raise EOFError
            number = self._next_channel()
            channel = Channel(number)
            self._channels.put(number, channel)
            self.channel_events[number] = answered
            self.channels_seen[number] = True
            settled: Any = channel
            settled._set_transport(self)  # noqa: SLF001 - as the library does it
            settled._set_window(  # noqa: SLF001 - as above
                self.default_window_size, self.default_max_packet_size
            )
        message = Message()
        message.add_byte(bytes([_CHANNEL_OPEN]))
        message.add_string(kind)
        for value in (number, self.default_window_size, self.default_max_packet_size):
            message.add_int(value)
        for host, port in places:
            message.add_string(host)
            message.add_int(port)
        self._send_user_message(message)
        in_time = answered.wait(max(0.0, seconds))
        if number in self._refusals:
            raise self._refusals.pop(number)
        if not self.is_active():
            raise EOFError
        if not in_time:
            channel.close()
            raise TimeoutError
        return channel

    def _parse_channel_open_failure(self, message: Message) -> None:
        number, code, text = message.get_int(), message.get_int(), message.get_text()
        self._refusals[number] = Refused(code, plain(text))
        with self.lock:
            self._channels.delete(number)
            answered = self.channel_events.pop(number, None)
        if answered:
            answered.set()

    def execute(self, channel: Channel, command: str) -> None:
        """Start a command, without waiting for the other side to say that it did."""
        for name, value in self.environment.items():
            channel.set_environment_variable(name, value)
        message = Message()
        message.add_byte(bytes([_CHANNEL_REQUEST]))
        message.add_int(channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(command)
        self._send_user_message(message)

    # Forwards

    def listen(self, target: tuple[str, int], port: int) -> int:
        """Let a port of the other side's loopback lead to `target`; the port.

        Raises
        ------
        SSHException
            If it does not allow it.
        """
        found: int = self.request_port_forward("127.0.0.1", port, self._came)
        self._targets[found] = target
        return found

    def listen_no_more(self, port: int) -> None:
        """Give a port back."""
        if self._targets.pop(port, None) and self.is_active():
            with contextlib.suppress(OSError, EOFError, SSHException):
                self._ask("cancel-tcpip-forward", ("127.0.0.1", port), ours=False)

    def _came(self, channel: Channel, origin: tuple[str, int], server: tuple[str, int]) -> None:
        # NOTE: called by the thread that reads: it may not wait.
        target = self._targets.get(server[1])
        if not target:
            channel.close()
            return
        threading.Thread(target=_join, args=(channel, target), name="torc-forward", daemon=True).start()


def _join(channel: Channel, target: tuple[str, int]) -> None:
    """Carry bytes both ways until both sides have said all."""
    try:
        local = socket.create_connection(target, timeout=10)
    except OSError:
        channel.close()
        return
    local.settimeout(None)
    back = threading.Thread(target=_carry, args=(local, channel), name="torc-forward", daemon=True)
    back.start()
    _carry(channel, local)
    back.join()
    channel.close()
    local.close()


def _carry(source: Any, sink: Any) -> None:
    with contextlib.suppress(OSError, EOFError, SSHException):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with contextlib.suppress(OSError, EOFError, SSHException):
        sink.shutdown(socket.SHUT_WR)
