"""Which keys log in: files, a real agent, certificates; never more than the host would bear (`remote.md` RW65)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Account

Cause = Callable[..., str]


class Agent:
    """A real ssh-agent."""

    def __init__(self, socket: Path) -> None:
        self._process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert self._process.stdout
        self._process.stdout.readline()
        self.env = {**os.environ, "SSH_AUTH_SOCK": str(socket)}

    def add(self, key: Path) -> None:
        subprocess.run(["ssh-add", "-q", str(key)], env=self.env, check=True, capture_output=True)

    def close(self) -> None:
        with self._process:
            self._process.terminate()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: Account) -> Iterator[Agent]:
    """An agent that everybody finds, as after a login."""
    agent = Agent(tmp_path / "agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent.env["SSH_AUTH_SOCK"])
    yield agent
    agent.close()


def made(path: Path, kind: str = "ed25519", *, password: str = "") -> Path:
    """A new key."""
    subprocess.run(
        [
            "ssh-keygen",
            "-q",
            "-t",
            kind,
            *(("-b", "2048") if kind == "rsa" else ()),
            "-N",
            password,
            "-f",
            str(path),
        ],
        check=True,
    )
    return path


def anybody(account: Account, more: str = "") -> None:
    """A configuration that names no key, but for `more`."""
    account.configure()
    config = account.ssh / "config"
    kept = [line for line in config.read_text().splitlines() if "Identit" not in line]
    config.write_text("\n".join([more, *kept]))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_usual_keys_are_tried(account: Account, backend: str, kind: str) -> None:
    anybody(account)
    key = made(account.ssh / f"id_{kind}", kind)
    path = account.hosts["alpha"].folder / "ssh/authorized_keys"
    before = path.read_text()
    path.write_text(before + Path(f"{key}.pub").read_text())
    # OpenSSH looks for usual keys in the home of the user database, which is not this one.
    if backend == "openssh":
        anybody(account, f"Host *\n  IdentityFile {key}\n")

    try:
        account.connected("alpha", backend)
    finally:
        path.write_text(before)


def test_a_key_of_the_agent_is_enough(account: Account, backend: str, agent: Agent) -> None:
    anybody(account)
    agent.add(account.hosts.key)

    account.connected("alpha", backend)


def test_an_encrypted_key_is_used_when_the_agent_has_it(account: Account, backend: str, agent: Agent) -> None:
    agent.add(account.hosts.key)
    locked = account.ssh / "locked"
    locked.write_bytes(account.hosts.key.read_bytes())
    locked.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(locked)], check=True, capture_output=True
    )
    account.configure(key=locked)

    account.connected("alpha", backend)

    assert account.notes == []


def test_a_public_key_stands_for_one_of_the_agent(account: Account, backend: str, agent: Agent) -> None:
    agent.add(account.hosts.stranger)
    agent.add(account.hosts.key)
    public = account.ssh / "which.pub"
    public.write_text(Path(f"{account.hosts.key}.pub").read_text())
    account.configure(key=public)

    account.connected("alpha", backend)


def test_an_agent_is_named_in_the_configuration(account: Account, backend: str, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "other")
    try:
        agent.add(account.hosts.key)
        anybody(account, f"Host *\n  IdentityAgent {tmp_path}/other\n")

        account.connected("alpha", backend)
    finally:
        agent.close()


def test_no_agent_is_asked_where_none_is_wanted(account: Account, cause: Cause, agent: Agent) -> None:
    agent.add(account.hosts.key)
    anybody(account, "Host *\n  IdentityAgent none\n")

    assert cause("alpha") == "No usable key (tried: ~/.ssh/id_ed25519, ~/.ssh/id_ecdsa, ~/.ssh/id_rsa)"


def test_an_agent_that_is_gone_is_told_and_not_needed(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", f"{tmp_path}/gone")
    account.configure()

    account.connected("alpha")

    assert account.notes == ["the ssh agent at ~/gone cannot be used: [Errno 2] No such file or directory"]


def test_keys_of_the_configuration_come_before_others_of_the_agent(
    account: Account, agent: Agent, tmp_path: Path
) -> None:
    for number in range(7):
        agent.add(made(tmp_path / f"other{number}"))
    anybody(account, f"Host *\n  IdentityFile {account.hosts.key}\n")

    account.connected("alpha")


def test_at_most_six_keys_are_offered(account: Account, cause: Cause, agent: Agent, tmp_path: Path) -> None:
    for number in range(8):
        agent.add(made(tmp_path / f"other{number}"))
    anybody(account)

    assert cause("alpha") == "Permission denied (publickey)"


@pytest.mark.parametrize("place", ["beside", "named", "agent"])
def test_a_certificate_logs_in(
    account: Account, backend: str, agent: Agent, place: str, tmp_path: Path
) -> None:
    key = made(tmp_path / "certified")
    certificate = account.hosts.certificate(key, "dev")
    more = ""
    if place == "agent":
        agent.add(key)
        key.unlink()
    if place != "beside":
        certificate = certificate.rename(tmp_path / "elsewhere.pub")
    if place == "named":
        more = f"Host *\n  CertificateFile {certificate}\n"
    if place == "agent":
        anybody(account)
    else:
        account.configure(more, key=key)

    account.connected("alpha", backend)


def test_a_certificate_for_a_key_of_the_agent_logs_in(
    account: Account, backend: str, agent: Agent, tmp_path: Path
) -> None:
    key = made(tmp_path / "certified", "rsa")
    agent.add(key)
    certificate = account.hosts.certificate(key, "dev")
    key.unlink()
    account.configure(f"Host *\n  CertificateFile {certificate}\n", key=key)

    account.connected("alpha", backend)


@pytest.mark.parametrize(
    "line",
    [
        "Ciphers aes256-gcm@openssh.com", "KexAlgorithms diffie-hellman-group14-sha256", "MACs hmac-sha2-512",
        "HostKeyAlgorithms ssh-ed25519", "Ciphers aes*-ctr", "MACs ^hmac-sha2-256*", "PubkeyAcceptedAlgorithms ssh-ed25519", "Compression yes", "AddressFamily inet",
        "KexAlgorithms -curve25519-sha256", "Ciphers ^aes128-ctr", "PreferredAuthentications publickey,password",
    ],
)  # fmt: skip
def test_what_may_be_configured_of_a_connection_works(account: Account, line: str) -> None:
    account.configure(f"Host *\n  {line}\n")

    assert account.connected("alpha").run("echo well").stdout == b"well\n"


def test_algorithms_that_are_not_known_are_told(account: Account, cause: Cause) -> None:
    account.configure("Host *\n  Ciphers chacha20-poly1305@openssh.com\n")

    assert cause("alpha") == (
        "torc knows none of Ciphers 'chacha20-poly1305@openssh.com'; set client.remote.backend = 'openssh' for it"
    )


def test_a_family_that_the_host_does_not_have_is_told(account: Account, cause: Cause) -> None:
    account.configure("Host *\n  AddressFamily inet\n")

    assert cause("six") == "Could not resolve hostname"


def test_what_cannot_be_done_by_the_library_is_told_once(account: Account) -> None:
    account.configure("Host *\n  PKCS11Provider /usr/lib/token.so\n")
    connector = account.connector()
    from torc_core.engine.addresses import parse

    for _ in range(2):
        connector.connection(parse("alpha")).connect()

    assert account.notes == [
        "PKCS11Provider of the ssh configuration is not used for alpha; set client.remote.backend = 'openssh' for it"
    ]
