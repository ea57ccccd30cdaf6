"""Connections that break: noticed in time, told truly, by both backends (`remote.md` RW66)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from namespaces import until
from paramiko import Channel

from tests.waiting import SOON
from torc_core.engine.addresses import parse
from torc_ssh.connection.library.line import Line
from torc_ssh.fleet import over
from torc_ssh.trouble import Lost, Overdue

from .conftest import QUICK, Account


def started(account: Account, host: str, backend: str = "paramiko") -> tuple[object, Callable[[], bytes]]:
    """A command that runs on a host for a long time, and how to read on."""
    stream = account.connected(host, backend).stream("echo started; exec sleep 600")
    assert stream.read() == b"started\n"
    return stream, stream.read


@pytest.mark.parametrize("fault", ["cut", "freeze", "crash"])
def test_a_host_that_shows_no_sign_of_life_is_lost(account: Account, backend: str, fault: str) -> None:
    account.configure(QUICK)
    stream, read = started(account, "beta", backend)
    begun = time.monotonic()
    getattr(account.hosts["beta"], fault)()

    with pytest.raises(Lost, match=r"^SSH connection failed to beta: connection lost \(no sign of life"):
        read()

    assert time.monotonic() - begun < SOON
    stream.close()


def test_a_host_that_closes_the_connection_is_lost_at_once(account: Account, backend: str) -> None:
    stream, read = started(account, "beta", backend)
    account.hosts["beta"].hang_up()

    with pytest.raises(Lost, match=r"beta: connection lost \(closed by the other side\)$"):
        read()
    stream.close()


def test_a_host_that_rebooted_is_lost(account: Account, backend: str) -> None:
    account.configure(QUICK)
    stream, read = started(account, "beta", backend)
    account.hosts["beta"].crash()
    account.hosts.boot("beta")

    with pytest.raises(Lost):
        read()
    stream.close()


def test_a_cable_that_is_out_for_a_moment_loses_nothing(account: Account, backend: str) -> None:
    connection = account.connected("beta", backend)
    with connection.stream("read line; echo $line", b"kept\n", silence=20) as stream:
        account.hosts["beta"].cut()
        time.sleep(0.3)
        account.hosts["beta"].heal()

        assert stream.read() == b"kept\n"


def test_what_was_lost_stays_lost(account: Account, backend: str) -> None:
    connection = account.connected("beta", backend)
    connection.run("true")
    account.hosts["beta"].hang_up()
    until(lambda: not connection.alive, SOON, "the loss")

    with pytest.raises(Lost):
        connection.run("true")


@pytest.mark.parametrize("begun", ["execute", "listen"])
def test_what_is_begun_on_a_connection_that_breaks_at_this_moment_is_lost(
    account: Account, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    connection = account.connected("beta")

    def breaks(*_: object) -> None:
        raise EOFError  # what the library says when nothing can be sent

    monkeypatch.setattr(Line, begun, breaks)

    with pytest.raises(Lost, match="beta: connection lost"):
        connection.run("true") if begun == "execute" else connection.forward(("127.0.0.1", 1))


@pytest.mark.parametrize("taken", ["recv", "recv_stderr"])
def test_a_connection_that_breaks_while_a_piece_is_taken_is_lost(
    account: Account, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    connection = account.connected("beta")

    def breaks(*_: object) -> None:
        raise EOFError  # what the library says when it cannot tell the host that there is room again

    monkeypatch.setattr(Channel, taken, breaks)

    with pytest.raises(Lost, match="beta: connection lost"):
        connection.run("echo told; echo told >&2")


def test_a_frozen_host_is_overdue_before_it_is_lost(account: Account, backend: str) -> None:
    connection = account.connected("beta", backend)
    account.hosts["beta"].freeze()

    with pytest.raises(Overdue):
        connection.run("true", deadline=0.5)


def test_what_runs_over_a_lost_connection_is_closed_in_silence(account: Account) -> None:
    for _ in range(3):
        with account.connection("inner") as connection, connection.stream("exec sleep 60"):
            account.hosts["alpha"].run("pkill", "-9", "-f", "^sshd: dev")


def test_a_host_behind_a_jump_host_that_crashed_is_lost(account: Account) -> None:
    account.configure(QUICK)
    stream, read = started(account, "inner")
    account.hosts["alpha"].crash()

    with pytest.raises(Lost):
        read()
    stream.close()


def test_some_dead_hosts_cost_no_more_than_one(account: Account) -> None:
    workers = list(account.hosts.workers)
    hosts = [*workers[:3], "dropped", *workers[3:6], "mute", "refused", *workers[6:], "closed"]
    connector = account.connector(timeout=10)
    told: list[tuple[int, int]] = []
    begun = time.monotonic()

    def name(host: str) -> str:
        with connector.connection(parse(host)) as connection:
            return connection.run("hostname").stdout.decode().strip()

    outcomes = over(hosts, name, parallel=4, progress=lambda ended, of: told.append((ended, of)))

    assert [outcome.result for outcome in outcomes if outcome.ok] == workers
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == [
        "SSH connection failed to dropped: Connection timed out after 10 s",
        "SSH connection failed to mute: Connection timed out after 10 s",
        "SSH connection failed to refused: Connection refused",
        "SSH connection failed to closed: Permission denied (publickey)",
    ]
    assert told == [(number, len(hosts)) for number in range(1, len(hosts) + 1)]
    assert time.monotonic() - begun < 2 * 10
