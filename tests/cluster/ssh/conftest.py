"""What tests of connections share: an account of one's own, and connectors that read its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hosts import SshHosts

from torc_core.engine.addresses import parse
from torc_ssh.connection import Connection, Connector, open_connector
from torc_ssh.settings import RemoteSettings

QUICK = "Host *\n  ServerAliveInterval 3\n  ServerAliveCountMax 1\n"
"""What is dead is noticed within six seconds."""


class Account:
    """An account of this machine with its own `~/.ssh`, from which hosts are connected to."""

    def __init__(self, hosts: SshHosts, home: Path, stack: ExitStack) -> None:
        self.hosts = hosts
        self.ssh = home / ".ssh"
        self.ssh.mkdir(mode=0o700, parents=True)
        self.known_hosts = self.ssh / "known_hosts"
        self.notes: list[str] = []
        self._stack = stack
        self.configure()

    def configure(self, more: str = "", *, known: bool = True, key: Path | None = None) -> None:
        """Write `~/.ssh/config`; `known`: the keys of all hosts are known.

        In `more`, INNER is the address of the host inner, as alpha sees it, and NEAR that of alpha as inner sees it.
        """
        near, inner = self.hosts.inside
        more = more.replace("INNER", inner).replace("NEAR", near)
        text = self.hosts.configuration(self.known_hosts, more, key)
        (self.ssh / "config").write_text(text)
        self.known_hosts.unlink(missing_ok=True)
        if known:
            self.known_hosts.write_text(self.hosts.known_hosts.read_text())

    def connector(self, backend: str = "paramiko", *, timeout: float = 10, patience: float = 20) -> Connector:
        """A connector that is closed when the test ends."""
        settings = self.settings(backend, timeout=timeout, patience=patience)
        return self._stack.enter_context(open_connector(settings, self.notes.append))

    def settings(self, backend: str, *, timeout: float = 10, patience: float = 20) -> RemoteSettings:
        """Settings that name the configuration."""
        return RemoteSettings(
            backend=backend, connect_timeout_secs=timeout, command_timeout_secs=patience,
            ssh_config=str(self.ssh / "config"),
        )  # fmt: skip

    def connection(self, host: str, backend: str = "paramiko", *, timeout: float = 10) -> Connection:
        """A connection that is not connected yet."""
        return self.connector(backend, timeout=timeout).connection(parse(host))

    def connected(self, host: str, backend: str = "paramiko") -> Connection:
        """A connection that is."""
        made = self.connection(host, backend)
        made.connect()
        return made


@pytest.fixture
def account(ssh_hosts: SshHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account with nothing but a configuration."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with ExitStack() as stack:
        yield Account(ssh_hosts, tmp_path, stack)


@pytest.fixture(params=["paramiko", "openssh"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each of the two ways to speak SSH."""
    return str(request.param)


@pytest.fixture
def cause(account: Account) -> Callable[..., str]:
    """Why a host cannot be connected to."""
    from torc_ssh.trouble import Unreachable

    def why(host: str, backend: str = "paramiko", timeout: float = 10) -> str:
        with pytest.raises(Unreachable) as raised:
            account.connection(host, backend, timeout=timeout).connect()
        assert str(raised.value) == f"SSH connection failed to {host}: {raised.value.cause}"
        return raised.value.cause

    return why
