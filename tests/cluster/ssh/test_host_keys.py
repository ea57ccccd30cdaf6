"""Host keys: new ones are taken once and kept, changed ones never, by both backends (`remote.md` RW61)."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hosts import SshHosts

from torc_core.engine.addresses import parse
from torc_ssh.connection.library.known_hosts import hash_of
from torc_ssh.fleet import over

from .conftest import Account

Cause = Callable[..., str]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def another_key(hosts: SshHosts) -> str:
    return " ".join(Path(f"{hosts.stranger}.pub").read_text().split()[:2])


def signed(hosts: SshHosts, name: str, *options: str) -> None:
    """Give a host a certificate for its address."""
    host = hosts[name]
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(hosts.authority), "-I", name, "-h", "-n", host.address, *options,
         str(host.folder / "ssh/key.pub")],
        check=True,
    )  # fmt: skip
    host.configure("HostCertificate /etc/ssh/key-cert.pub\n")


def test_a_new_key_is_kept(account: Account, backend: str) -> None:
    account.configure(known=False)
    names = [account.hosts.known_as(name) for name in ("alpha", "beta", "six")]

    for name in ("alpha", "beta", "six", "alpha"):
        account.connected(name, backend)

    kept = lines(account.known_hosts)
    assert [line.split()[0] for line in kept] == names
    assert kept[1] == f"{names[1]} {account.hosts['beta'].key}"
    assert stat.S_IMODE(account.known_hosts.stat().st_mode) == 0o600
    assert len(account.notes) == 3


def test_a_new_key_is_told(account: Account) -> None:
    account.configure(known=False)

    account.connected("beta")

    name = account.hosts.known_as("beta")
    assert account.notes == [f"added the ssh-ed25519 host key of {name} to {account.known_hosts}"]


def test_nothing_that_was_there_is_lost(account: Account) -> None:
    account.configure(known=False)
    account.known_hosts.write_text("other.example ssh-ed25519 AAAA")

    account.connected("alpha")

    assert lines(account.known_hosts)[0] == "other.example ssh-ed25519 AAAA"
    assert len(lines(account.known_hosts)) == 2


def test_names_are_hidden_where_that_is_wanted(account: Account) -> None:
    account.configure("Host *\n  HashKnownHosts yes\n", known=False)

    account.connected("alpha")
    account.connected("alpha")

    (line,) = lines(account.known_hosts)
    assert line.startswith("|1|")
    assert line.split()[1:] == account.hosts["alpha"].key.split()


def test_many_new_keys_at_once_are_all_kept(account: Account) -> None:
    account.configure(known=False)
    workers = account.hosts.workers
    connectors = [account.connector() for _ in range(3)]
    wanted = [(connector, name) for name in workers for connector in connectors]

    outcomes = over(wanted, lambda one: one[0].connection(parse(one[1])).connect(), parallel=12)

    assert all(outcome.ok for outcome in outcomes)
    kept = [line.split()[0] for line in lines(account.known_hosts)]
    assert sorted(kept) == sorted(account.hosts.known_as(name) for name in workers)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_changed_key_is_refused(account: Account, cause: Cause, backend: str, hidden: bool) -> None:
    name = account.hosts.known_as("beta")
    written = hash_of(name, b"salt" * 5) if hidden else name
    account.configure(known=False)
    account.known_hosts.write_text(f"# mine\n\n{written} {another_key(account.hosts)}\n")

    told = cause("beta", backend)

    assert told == "Host key verification failed (key changed; known_hosts line 3: ~/.ssh/known_hosts)"
    assert len(lines(account.known_hosts)) == 3


def test_a_changed_key_is_refused_whatever_is_configured(
    account: Account, cause: Cause, backend: str
) -> None:
    account.configure("Host *\n  StrictHostKeyChecking no\n", known=False)
    account.known_hosts.write_text(f"{account.hosts.known_as('beta')} {another_key(account.hosts)}\n")

    assert cause("beta", backend).startswith("Host key verification failed (key changed;")


def test_an_unknown_key_is_refused_where_that_is_wanted(account: Account, cause: Cause, backend: str) -> None:
    account.configure("Host *\n  StrictHostKeyChecking yes\n", known=False)

    told = cause("alpha", backend)

    assert told == "Host key verification failed (key not known, and StrictHostKeyChecking is yes)"
    assert not account.known_hosts.exists()


def test_taking_any_key_means_taking_new_ones(account: Account, backend: str) -> None:
    account.configure("Host *\n  StrictHostKeyChecking no\n", known=False)

    account.connected("alpha", backend)

    assert len(lines(account.known_hosts)) == 1
    assert "StrictHostKeyChecking no for alpha is treated as accept-new" in account.notes


def test_a_revoked_key_is_refused(account: Account, cause: Cause, backend: str) -> None:
    account.configure(known=False)
    name, key = account.hosts.known_as("alpha"), account.hosts["alpha"].key
    account.known_hosts.write_text(f"{name} {key}\n@revoked * {key}\n")

    assert cause("alpha", backend).startswith("Host key verification failed (key revoked")


def test_an_alias_stands_for_the_name(account: Account, backend: str) -> None:
    account.configure("Host beta\n  HostKeyAlias other.name\n", known=False)
    account.known_hosts.write_text(f"other.name {account.hosts['beta'].key}\n")

    account.connected("beta", backend)

    assert len(lines(account.known_hosts)) == 1


def test_a_key_that_is_known_without_the_port_will_do(account: Account, backend: str) -> None:
    account.configure("Host *\n  StrictHostKeyChecking yes\n", known=False)
    account.known_hosts.write_text(f"{account.hosts['beta'].address} {account.hosts['beta'].key}\n")

    account.connected("beta", backend)


def test_keys_of_the_whole_machine_are_looked_at(account: Account, backend: str, tmp_path: Path) -> None:
    everybody = tmp_path / "everybody"
    everybody.write_text(account.hosts.known_hosts.read_text())
    account.configure(
        f"Host *\n  GlobalKnownHostsFile {everybody}\n  StrictHostKeyChecking yes\n", known=False
    )

    account.connected("alpha", backend)


@pytest.mark.parametrize("options", [(), ("-V", "20200101:20210101")], ids=["good", "expired"])
def test_an_authority_vouches_for_hosts(
    account: Account, cause: Cause, backend: str, options: tuple[str, ...]
) -> None:
    signed(account.hosts, "w1", *options)
    authority = " ".join(Path(f"{account.hosts.authority}.pub").read_text().split()[:2])
    account.configure("Host *\n  StrictHostKeyChecking yes\n", known=False)
    account.known_hosts.write_text(f"@cert-authority {account.hosts.network.net}.* {authority}\n")

    if options:
        assert cause("w1", backend).startswith("Host key verification failed")
    else:
        account.connected("w1", backend)
