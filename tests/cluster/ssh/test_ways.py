"""Ways to a host: over jump hosts, which all share, by a command, and back by a forwarded port."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from namespaces import until

from tests.waiting import SOON
from torc_core.engine.addresses import parse
from torc_ssh.connection import open_connector
from torc_ssh.fleet import over
from torc_ssh.trouble import Unreachable

from .conftest import Account

Cause = Callable[..., str]


def logins(account: Account, name: str) -> int:
    """How many connections a host has that are logged in."""
    said = account.hosts[name].run(
        "sh", "-c", "ps -eo args | grep -c '^sshd: [a-z]* \\[priv\\]'", check=False
    )
    return int(said)


def test_a_host_behind_two_others(account: Account, backend: str) -> None:
    account.configure("Host far\n  HostName INNER\n  ProxyJump beta,alpha\n")

    assert account.connected("far", backend).run("hostname").stdout == b"inner\n"


def test_a_jump_host_has_jump_hosts_of_its_own(account: Account, backend: str) -> None:
    account.configure("Host far\n  HostName INNER\n  ProxyJump alpha\nHost alpha\n  ProxyJump beta\n")

    assert account.connected("far", backend).run("hostname").stdout == b"inner\n"


def test_no_jump_host_where_none_is_wanted(account: Account, cause: Cause) -> None:
    account.configure("Host inner\n  ProxyJump none\n")

    assert cause("inner", timeout=1) in {
        "Connection timed out after 1 s",
        "No route to host",
        "Network is unreachable",
    }


def test_a_jump_host_is_connected_to_once(account: Account) -> None:
    before = logins(account, "alpha")
    account.configure("Host n?\n  HostName INNER\n  ProxyJump alpha\n")
    connector = account.connector()

    outcomes = over(
        [f"n{number}" for number in range(6)],
        lambda host: connector.connection(parse(host)).connect(),
        parallel=6,
    )

    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    assert logins(account, "alpha") == before + 1


def test_a_jump_host_that_allows_one_session_carries_many(account: Account) -> None:
    address, _ = account.hosts.place("alpha")
    account.configure(f"Host n?\n  HostName {address}\n  ProxyJump tight\n")
    connector = account.connector()
    names = [f"n{number}" for number in range(4)]
    together = threading.Barrier(len(names))

    def ask(host: str) -> bytes:
        with connector.connection(parse(host)) as connection:
            together.wait(SOON)
            return connection.run("hostname").stdout

    assert [outcome.result for outcome in over(names, ask)] == [b"alpha\n"] * len(names)


def test_a_jump_host_that_was_lost_is_connected_to_again(account: Account) -> None:
    connector = account.connector()
    with connector.connection(parse("inner")) as first:
        first.run("true")
        account.hosts["alpha"].run("pkill", "-9", "-f", "^sshd: dev")
        until(lambda: not first.alive, SOON, "the loss")

    with connector.connection(parse("inner")) as again:
        assert again.run("hostname").stdout == b"inner\n"


def test_keys_of_jump_hosts_are_checked(account: Account, cause: Cause, backend: str) -> None:
    known = [
        line.replace(account.hosts["alpha"].key, account.hosts["beta"].key)
        for line in account.known_hosts.read_text().splitlines()
    ]
    account.known_hosts.write_text("\n".join(known) + "\n")

    assert cause("inner", backend).startswith("Jump host alpha: Host key verification failed (key changed;")


def test_a_command_leads_to_the_host(account: Account, backend: str) -> None:
    account.configure(
        f"Host by\n  HostName INNER\n  ProxyCommand ssh -F {account.ssh}/config -W %h:%p alpha\n"
    )

    assert account.connected("by", backend).run("hostname").stdout == b"inner\n"


@pytest.mark.parametrize("command", ["false", "/no/such/command"])
def test_a_command_that_leads_nowhere_is_told(
    account: Account, cause: Cause, backend: str, command: str
) -> None:
    account.configure(f"Host by\n  HostName INNER\n  ProxyCommand {command}\n")

    assert cause("by", backend).startswith("Server closed the connection")


def test_a_port_of_the_host_leads_here(account: Account, backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                one, _ = server.accept()
                with one:
                    one.sendall(b"told " + one.recv(100))

        thread = threading.Thread(target=answer)
        thread.start()
        connection = account.connected("alpha", backend)
        forward = connection.forward(server.getsockname())
        ask = f"exec 3<>/dev/tcp/127.0.0.1/{forward.port}; echo $0 >&3; cat <&3"

        said = [connection.run(f"bash -c '{ask}'").stdout for _ in range(2)]

        thread.join()
        forward.close()
        closed = connection.run(f"bash -c '{ask}'")
    assert said == [b"told bash\n"] * 2
    assert closed.status != 0


def test_the_same_port_can_be_asked_for_again(account: Account, backend: str) -> None:
    first = account.connected("alpha", backend)
    port = first.forward(("127.0.0.1", 9)).port
    first.close()

    connection = account.connected("alpha", backend)

    def given() -> bool:
        # The host may not yet have noticed that the first one is gone.
        with suppress(Unreachable):
            return connection.forward(("127.0.0.1", 9), port).port == port
        return False

    until(given, SOON, f"port {port} again")


def test_a_host_that_forbids_forwarding_is_told(account: Account, backend: str) -> None:
    host = account.hosts["w2"]
    if "AllowTcpForwarding" not in (host.folder / "ssh/sshd_config").read_text():
        host.configure("AllowTcpForwarding no\n")

    with pytest.raises(Unreachable, match=r"w2: it does not allow forwarding \(AllowTcpForwarding no\?\)$"):
        account.connected("w2", backend).forward(("127.0.0.1", 9))


def test_a_jump_host_that_forbids_forwarding_is_told(account: Account, cause: Cause, backend: str) -> None:
    host = account.hosts["w2"]
    if "AllowTcpForwarding" not in (host.folder / "ssh/sshd_config").read_text():
        host.configure("AllowTcpForwarding no\n")
    account.configure("Host behind\n  HostName INNER\n  ProxyJump w2\n")

    assert cause("behind", backend) == "Jump host w2: it does not allow forwarding"


def test_nothing_is_left_of_a_connection(account: Account, backend: str) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    def used() -> None:
        with open_connector(account.settings(backend), print) as connector:
            with connector.connection(parse("inner")) as connection:
                connection.run("true", b"given")
                with connection.stream("exec sleep 60"):
                    connection.forward(("127.0.0.1", 9))
            with suppress(Unreachable):
                connector.connection(parse("closed")).connect()
            with suppress(Unreachable):
                connector.connection(parse("refused")).connect()

    used()
    before = held()

    for _ in range(2):
        used()

    until(lambda: held() <= before, SOON, f"no more than {before} descriptors and threads")
