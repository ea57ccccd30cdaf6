"""When a host that says nothing is lost, and when it is not its silence (`remote.md` RW66)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest

from torc_ssh.connection.library import line as module
from torc_ssh.connection.library.line import Line

INTERVAL, COUNT = 15.0, 3


class Wire:
    """A connection on which time passes as the test says, a tenth of a second with each attempt to receive."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.data = b""

    def monotonic(self) -> float:
        return self.now

    def settimeout(self, seconds: float) -> None: ...

    def close(self) -> None: ...

    def recv(self, count: int) -> bytes:
        self.now += 0.1
        if not self.data:
            raise TimeoutError
        said, self.data = self.data, b""
        return said


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


@pytest.fixture
def line(wire: Wire) -> Iterator[Line]:
    made = Line(wire, interval=INTERVAL, count=COUNT)
    yield made
    made.close()


def listened(line: Line, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        with suppress(socket.timeout):
            line.sock.recv(1)


def test_a_host_is_lost_that_says_nothing_while_it_is_listened_to(line: Line) -> None:
    listened(line, INTERVAL * (COUNT + 1) - 1)
    before = line.silent
    listened(line, 2)

    assert (before, line.silent) == (False, True)


def test_time_in_which_nobody_could_listen_is_no_silence_of_the_host(line: Line, wire: Wire) -> None:
    """Who was stopped, with Ctrl-Z as well, or had no processor for a while, has asked for no sign of life."""
    wire.now += 3_600
    stopped = line.silent
    listened(line, INTERVAL)
    wire.data = b"x"
    listened(line, 0.1)
    wire.now += 3_600

    assert (stopped, line.silent) == (False, False)


def test_a_host_is_lost_too_while_something_cannot_be_sent_to_it(line: Line, wire: Wire) -> None:
    """The thread that receives may wait for that: those who wait for an answer look then."""
    for _ in range(round(INTERVAL * (COUNT + 1) * 10) + 1):
        wire.now += 0.1
        seen = line.silent

    assert seen
