"""Every cause for which a host cannot be connected to, in the words of `remote.md` §12, by both backends."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from namespaces import until

from tests.waiting import SOON

from .conftest import Account

Cause = Callable[..., str]


@contextmanager
def answering(server: socket.socket, text: bytes) -> Iterator[None]:
    """Whoever connects is told this, and nothing more for as long as it stays."""

    def answer() -> None:
        one, _ = server.accept()
        with one, suppress(OSError):
            one.sendall(text)
            while one.recv(4096):
                pass

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join()


def test_nobody_listens(cause: Cause, backend: str) -> None:
    assert cause("refused", backend) == "Connection refused"


@pytest.mark.parametrize("name", ["dropped", "mute"])
def test_nobody_answers(cause: Cause, backend: str, name: str) -> None:
    begun = time.monotonic()

    assert cause(name, backend, timeout=1) == "Connection timed out after 1 s"

    assert time.monotonic() - begun < 15


def test_a_time_in_the_configuration_wins(account: Account, cause: Cause, backend: str) -> None:
    account.configure("Host *\n  ConnectTimeout 1\n")

    assert cause("mute", backend, timeout=20) == "Connection timed out after 1 s"


def test_a_host_that_hangs_in_the_login_is_given_up(account: Account, cause: Cause) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        account.configure(f"Host hangs\n  HostName 127.0.0.1\n  Port {server.getsockname()[1]}\n")
        with answering(server, b"SSH-2.0-slow\r\n"):
            assert cause("hangs", timeout=1) == "Connection timed out after 1 s"


def test_it_is_no_ssh_server(account: Account, cause: Cause) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        account.configure(f"Host web\n  HostName 127.0.0.1\n  Port {server.getsockname()[1]}\n")
        with answering(server, b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200):
            assert cause("web") == "it does not speak SSH"


def test_there_is_no_such_name(cause: Cause, backend: str) -> None:
    assert cause("no-such-host.invalid", backend) == "Could not resolve hostname"


def test_nobody_may_use_the_account(cause: Cause, backend: str) -> None:
    assert cause("closed", backend) == "Permission denied (publickey)"


def test_the_key_is_a_stranger(account: Account, cause: Cause, backend: str) -> None:
    account.configure(key=account.hosts.stranger)

    assert cause("alpha", backend) == "Permission denied (publickey)"


def test_only_passwords_are_taken(account: Account, cause: Cause, backend: str) -> None:
    host = account.hosts["beta"]
    before = (host.folder / "ssh/sshd_config").read_text()
    host.configure("PubkeyAuthentication no\nPasswordAuthentication yes\n")
    try:
        assert cause("beta", backend) == "Permission denied (password)"
    finally:
        (host.folder / "ssh/sshd_config").write_text(before)
        host.configure("")


def test_there_is_no_key(account: Account, cause: Cause) -> None:
    account.configure(key=Path("~/.ssh/missing"))

    assert cause("alpha") == "No usable key (tried: ~/.ssh/missing)"


def test_the_key_is_encrypted(account: Account, cause: Cause) -> None:
    key = account.ssh / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True)
    account.configure(key=key)

    assert cause("alpha") == "No usable key (tried: ~/.ssh/locked)"
    assert account.notes == ["key ~/.ssh/locked is encrypted and not in the agent"]


def test_others_can_read_the_key(account: Account, cause: Cause) -> None:
    key = account.ssh / "open"
    key.write_bytes(account.hosts.key.read_bytes())
    key.chmod(0o644)
    account.configure(key=key)

    assert cause("alpha") == "No usable key (tried: ~/.ssh/open)"
    assert account.notes == [
        "key ~/.ssh/open can be read by others (mode 0644) and is left out; chmod 600 it"
    ]


def test_too_many_are_about_to_log_in(account: Account, cause: Cause, backend: str) -> None:
    place = account.hosts.place("tight")
    with ExitStack() as stack:

        def greeted() -> bool:
            one = stack.enter_context(socket.create_connection(place))
            return one.recv(3) == b"SSH"

        # Those of other tests may not have gone yet.
        until(greeted, SOON, "one that is about to log in")
        until(greeted, SOON, "another one")

        assert cause("tight", backend) == "Server closed the connection (MaxStartups?)"


def test_the_jump_host_is_not_there(account: Account, cause: Cause, backend: str) -> None:
    account.configure("Host behind\n  HostName INNER\n  ProxyJump refused\n")

    assert cause("behind", backend) == "Jump host refused: Connection refused"


def test_the_jump_host_does_not_let_us_in(account: Account, cause: Cause, backend: str) -> None:
    account.configure("Host behind\n  HostName INNER\n  ProxyJump closed\n")

    assert cause("behind", backend) == "Jump host closed: Permission denied (publickey)"


def test_the_jump_host_reaches_nobody(account: Account, cause: Cause, backend: str) -> None:
    account.configure("Host behind\n  HostName NEAR\n  Port 9\n  ProxyJump alpha\n")

    assert cause("behind", backend) == "Connection refused (seen from jump host alpha)"


def test_a_jump_leads_back(account: Account, cause: Cause) -> None:
    account.configure("Host one\n  ProxyJump two\nHost two\n  ProxyJump one\n")

    assert cause("one") == "ProxyJump of two leads back to one"


def test_the_hosts_behind_a_dead_jump_host_fail_together(account: Account) -> None:
    from torc_core.engine.addresses import parse
    from torc_ssh.fleet import over

    account.configure("Host b?\n  HostName INNER\n  ProxyJump mute\n")
    connector = account.connector(timeout=5)
    begun = time.monotonic()

    outcomes = over(
        [f"b{number}" for number in range(8)],
        lambda host: connector.connection(parse(host)).connect(),
        parallel=2,
    )

    assert {str(outcome.error).partition(": ")[2] for outcome in outcomes} == {
        "Jump host mute: Connection timed out after 5 s"
    }
    assert time.monotonic() - begun < 4 * 5


def test_the_configuration_makes_no_sense(account: Account, cause: Cause) -> None:
    account.configure("Host *\n  Port many\n")

    assert cause("alpha") == f"{account.ssh}/config:2: port 'many' is not a number"
