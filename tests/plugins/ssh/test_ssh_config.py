"""The configuration of OpenSSH: what each directive says of a host, and what is wrong is told with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from torc_core.errors import InvalidConfig
from torc_ssh.config import Hop, Options, SshConfig, StrictHostKeys, hops


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own."""
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/sh")
    return tmp_path


def options(
    home: Path, text: str, host: str = "worker1", user: str | None = None, port: int | None = None
) -> Options:
    (home / "config").write_text(text)
    return SshConfig(str(home / "config")).options(host, user, port)


def test_the_example_of_the_reference(home: Path) -> None:
    found = options(
        home,
        "Host worker1\n    HostName worker1.example.com\n    User alice\n    Port 2222\n    IdentityFile ~/.ssh/worker_key\n",
    )

    assert (found.hostname, found.user, found.port) == ("worker1.example.com", "alice", 2222)
    assert found.identity_files == (f"{home}/.ssh/worker_key",)
    assert not found.default_identities


def test_without_a_word_about_it_a_host_is_what_it_is_called(home: Path) -> None:
    found = options(home, "")

    assert (found.hostname, found.port) == ("worker1", 22)
    assert found.default_identities
    assert found.identity_files == tuple(f"{home}/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
    assert found.user_known_hosts == (f"{home}/.ssh/known_hosts", f"{home}/.ssh/known_hosts2")
    assert found.strict_host_keys is StrictHostKeys.ACCEPT_NEW
    assert (found.alive_interval, found.alive_count, found.connect_timeout) == (15, 3, None)


def test_what_the_address_says_wins(home: Path) -> None:
    found = options(home, "User bob\nPort 99\nIdentityFile /k/%r-%p\n", user="alice", port=2222)

    assert (found.user, found.port) == ("alice", 2222)
    assert found.identity_files == ("/k/alice-2222",)


CASES = [
    ("User one\nUser two\n", "user", "one"),
    ("Host other\nUser one\nHost *\nUser two\n", "user", "two"),
    ("Host w* !worker1\nUser one\nHost worker?\nUser two\n", "user", "two"),
    ("Host !worker1\nUser one\nHost *\nUser two\n", "user", "two"),
    ("Host WORKER1\nUser one\n", "user", "one"),
    ("Match host worker1\nUser one\n", "user", "one"),
    ("HostName real\nMatch host real\nUser one\n", "user", "one"),
    ("HostName real\nMatch host worker1\nUser one\nMatch all\nUser two\n", "user", "two"),
    ("HostName real\nMatch originalhost=worker1\nUser one\n", "user", "one"),
    ("User one\nMatch user one,two\nPort 7\n", "port", 7),
    ("User x\nMatch user !x,*\nPort 7\nMatch all\nPort 8\n", "port", 8),
    ("Match exec true\nPort 7\n", "port", 7),
    ("Match exec false\nPort 7\nMatch !exec false\nPort 8\n", "port", 8),
    ('Match exec "test %h = worker1"\nPort 7\n', "port", 7),
    ("Match final all\nPort 7\n", "port", 7),
    ("HostName real\nMatch final host real\nPort 7\n", "port", 7),
    ("HostName real\nHost real\nPort 7\nMatch final all\nUser one\n", "port", 7),
    ("Match !final all\nPort 7\n", "port", 7),
    ("HostName %h.example.com\n", "hostname", "worker1.example.com"),
    ("HostName REAL\n", "hostname", "real"),
    ("ProxyJump a,b\n", "proxy_jump", "a,b"),
    ("ProxyJump none\nProxyJump a\n", "proxy_jump", None),
    ("ProxyCommand none\nProxyJump a\n", "proxy_jump", None),
    ("ProxyJump a\nProxyCommand nc %h %p\n", "proxy_command", None),
    ("ProxyJump none\nProxyCommand nc %h %p\n", "proxy_command", "nc worker1 22"),
    ("ProxyCommand=nc -X 'a b' %%h %n\n", "proxy_command", "nc -X 'a b' %h worker1"),
    ("ConnectTimeout none\nConnectTimeout 1m30s\n", "connect_timeout", 90),
    ("ServerAliveInterval 5\nServerAliveCountMax 2\n", "alive_interval", 5),
    ("IdentityFile /a\nIdentityFile /b\nIdentityFile /a\n", "identity_files", ("/a", "/b")),
    ("IdentityFile none\n", "identity_files", ()),
    ('IdentityFile "/with space"\n', "identity_files", ("/with space",)),
    ("IdentityFile /with\\ space\n", "identity_files", ("/with space",)),
    ("IdentityFile /%n/%h/%%\nHostName real\n", "identity_files", ("/worker1/real/%",)),
    ("IdentityFile ${HOME}/k\n", "identity_files", ("HOME/k",)),
    ("IdentityAgent none\n", "identity_agent", ""),
    ("IdentityAgent SSH_AUTH_SOCK\n", "identity_agent", None),
    ("IdentityAgent ~/agent\n", "identity_agent", "HOME/agent"),
    ("UserKnownHostsFile none\n", "user_known_hosts", ()),
    ("UserKnownHostsFile /a ~/b # mine\n", "user_known_hosts", ("/a", "HOME/b")),
    ("StrictHostKeyChecking no\n", "strict_host_keys", StrictHostKeys.OFF),
    ("StrictHostKeyChecking ask\n", "strict_host_keys", StrictHostKeys.ACCEPT_NEW),
    ("stricthostkeychecking=YES\n", "strict_host_keys", StrictHostKeys.YES),
    ("SendEnv A B\nSendEnv C\n", "send_env", ("A", "B", "C")),
    ('SetEnv A="b c" D=e\n', "set_env", ("A=b c", "D=e")),
    ("PKCS11Provider none\nProxyUseFdpass yes\n", "unsupported", ("ProxyUseFdpass",)),
    ("RevokedHostKeys /r\nCanonicalizeHostname no\n", "unsupported", ("RevokedHostKeys",)),
    ("Tag one\nMatch tagged one,two\nPort 7\n", "port", 7),
    ("ControlPath ~/.ssh/%C\nControlMaster auto\nNoSuchThing 1\n", "unsupported", ()),
    ("# Port 7\n\n   # Port 8\n\tPort\t9 # ten\n", "port", 9),
    ("Port 9\r\n", "port", 9),
]


@pytest.mark.parametrize(("text", "name", "value"), CASES, ids=range(len(CASES)))
def test_a_configuration_is_read_as_openssh_reads_it(home: Path, text: str, name: str, value: object) -> None:
    if isinstance(value, str):
        value = value.replace("HOME", str(home))
    if isinstance(value, tuple):
        value = tuple(one.replace("HOME", str(home)) for one in value)

    assert getattr(options(home, text), name) == value


def test_included_files_count_where_they_are_included(home: Path) -> None:
    (home / ".ssh/one").write_text("Host other\nPort 1\nHost *\nUser included\n")
    (home / ".ssh/two").write_text("Port 2\n")

    found = options(home, "Host other\nInclude one\nHost worker1\nInclude two missing-*\nPort 3\nUser own\n")

    assert (found.user, found.port) == ("own", 2)


def test_files_that_include_each_other_are_refused(home: Path) -> None:
    with pytest.raises(InvalidConfig, match="files include each other more than 16 deep"):
        options(home, f"Include {home}/config\n")


def test_the_users_file_and_that_of_the_system_are_read(home: Path) -> None:
    (home / ".ssh/config").write_text("Host worker1\nUser alice\n")

    assert SshConfig().options("worker1").user == "alice"


WRONG = [
    ("Port many\n", "config:1: port 'many' is not a number"),
    ("\nPort 0\n", "config:2: port '0' is not a port, 1-65535"),
    ("Compression perhaps\n", "config:1: compression 'perhaps' is not yes or no"),
    (
        "StrictHostKeyChecking maybe\n",
        "config:1: stricthostkeychecking 'maybe' is not yes, accept-new, ask, no or off",
    ),
    ("ConnectTimeout soon\n", "config:1: connecttimeout 'soon' is not a time, such as 30 or 1m"),
    ("AddressFamily ipx\n", "config:1: addressfamily 'ipx' is not any, inet or inet6"),
    ("User\n", "config:1: user says nothing"),
    ("Host\n", "config:1: host says nothing"),
    ("Match host\n", "config:1: Match 'host' has no value"),
    (
        "Match weather fine\n",
        "config:1: Match 'weather' is not understood; set client.remote.backend = 'openssh' if ssh does",
    ),
    ('User "alice\n', "config:1: a quote is not closed in '\"alice'"),
    ("=x\n", "config:1: no keyword in '=x'"),
    ("IdentityFile /%z\n", "config:1: unknown token '%z' in '/%z'"),
    ("IdentityFile /%\n", "config:1: unknown token '%' in '/%'"),
    (
        "IdentityFile ${NO_SUCH_VARIABLE}\n",
        "config:1: variable 'NO_SUCH_VARIABLE' is not set, in '${NO_SUCH_VARIABLE}'",
    ),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=range(len(WRONG)))
def test_what_makes_no_sense_is_told_with_its_place(home: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        options(home, text)

    assert str(raised.value) == f"{home}/{told}"


def test_a_file_that_is_asked_for_has_to_be_there(home: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"^cannot read '.*/missing': No such file or directory$"):
        SshConfig(str(home / "missing")).options("worker1")


HOPS = [
    ("a", (Hop(host="a"),)),
    ("alice@a:22, b", (Hop(host="a", user="alice", port=22), Hop(host="b"))),
    ("[::1]:2222,[::2]", (Hop(host="::1", port=2222), Hop(host="::2"))),
    ("ssh://alice@a:22/", (Hop(host="a", user="alice", port=22),)),
]


@pytest.mark.parametrize(("text", "value"), HOPS, ids=range(len(HOPS)))
def test_hosts_on_the_way_are_read(text: str, value: tuple[Hop, ...]) -> None:
    assert hops(text) == value


@pytest.mark.parametrize("text", ["", "a,", "a:0", "a:99999", "-a", "-o@a", "a b", "[::1"])
def test_what_is_no_host_on_the_way_is_told(text: str) -> None:
    with pytest.raises(InvalidConfig, match=r"^ProxyJump .* is no host$"):
        hops(text)
