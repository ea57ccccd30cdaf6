"""Configurations drawn by lot are read as the real `ssh -G` reads them, in everything that changes a connection."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from torc_core.errors import InvalidConfig
from torc_ssh.config import Options, SshConfig, hops, tokens

CASES = int(os.environ.get("TORC_TEST_SSH_CONFIGS", "40"))
FIRST = int(os.environ.get("TORC_TEST_FIRST_SEED", "0"))

HOSTS = ("node1", "node2.example.com", "gate", "10.0.0.5", "bastion", "web-3")
PATTERNS = (
    "node*", "!node1", "*.example.com", "gate", "*", "10.0.0.?", "bastion", "web-?", "n?de1", "*,x", "final.example.com",
    "node1",
)  # fmt: skip
LINES: dict[str, tuple[str, ...]] = {
    "HostName": ("%h.example.com", "final.example.com", "10.1.1.1", "%%h", "node1", "UPPER"),
    "User": ("alice", "bob", "%u"),
    "Port": ("22", "2222", "99"),
    "IdentityFile": (
        "~/.ssh/a", "/k/%h", "/k/%n-%r-%p", '"/k/with space"', "/k/%d/x", "none", "/k/%C", "/k/%k", "/k/${HOME}/x",
    ),
    "IdentitiesOnly": ("yes", "no"),
    "CertificateFile": ("/c/%u", "~/c"),
    "ProxyJump": ("none", "bastion2", "a@b:22,c", "ssh://x@y:1"),
    "ProxyCommand": ("none", "nc %h %p", "nc -x '%n' %r"),
    "UserKnownHostsFile": ("/kh/%h /kh2", "~/.ssh/kh", "none"),
    "GlobalKnownHostsFile": ("/g1 /g2",),
    "HostKeyAlias": ("alias1", "a2"),
    "StrictHostKeyChecking": ("yes", "no", "off", "ask", "accept-new"),
    "ConnectTimeout": ("5", "1m", "none", "2h30m"),
    "ServerAliveInterval": ("3", "1m"),
    "ServerAliveCountMax": ("7",),
    "AddressFamily": ("inet", "inet6", "any"),
    "BindAddress": ("127.0.0.1",),
    "Compression": ("yes", "no"),
    "HashKnownHosts": ("yes", "no"),
    "GSSAPIAuthentication": ("yes", "no"),
    "PubkeyAuthentication": ("yes", "no"),
    "SendEnv": ("LANG LC_*", "FOO"),
    "SetEnv": ("A=b", "C=d E=f"),
    "ForwardAgent": ("yes",),
    "LogLevel": ("ERROR",),
}  # fmt: skip
CRITERIA: dict[str, tuple[str, ...]] = {
    "host": ("node*", "*.example.com", "10.*,!10.1.*", "GATE", "final.*"),
    "originalhost": ("node1", "*", "gate,web-*"),
    "user": ("alice", "root", "b*"),
    "localuser": ("root", "x"),
    "exec": ("true", "false", '"test %h = node1"', '"test %r = alice"', '"test %p = 2222"'),
}

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client here")


def line(lot: random.Random) -> str:
    keyword = lot.choice(list(LINES))
    value = lot.choice(LINES[keyword])
    if lot.random() < 0.1 and " " not in value and keyword != "ProxyJump":
        value = f'"{value}"'
    comment = "" if keyword.startswith("Proxy") else lot.choice(["", "", "", " ", "  # a comment"])
    shown = keyword.lower() if lot.random() < 0.1 else keyword
    indent, sign = lot.choice(["", "  ", "\t"]), lot.choice([" ", "=", "  ", " = ", "\t"])
    return f"{indent}{shown}{sign}{value}{comment}"


def head(lot: random.Random) -> str:
    if lot.random() < 0.5:
        return "Host " + " ".join(lot.sample(PATTERNS, lot.randint(1, 3)))
    parts = []
    for _ in range(lot.randint(1, 2)):
        kind = lot.choice([*CRITERIA, "all", "final", "canonical"])
        if kind == "all":
            return "Match " + lot.choice(["all", "final all", "canonical all"])
        negated = lot.choice(["", "", "!"])
        if kind in CRITERIA:
            value = lot.choice(CRITERIA[kind])
            parts.append(
                f"{negated}{kind}{' ' if value.startswith(chr(34)) else lot.choice([' ', '='])}{value}"
            )
        else:
            parts.append(f"{negated}{kind}")
    return "Match " + " ".join(parts)


def drawn(lot: random.Random, folder: Path, depth: int = 0) -> str:
    """Text of a configuration; what it includes lies in the folder."""
    lines = []
    for number in range(lot.randint(1, 4)):
        if number or lot.random() < 0.6:
            lines.append(head(lot))
        lines += [line(lot) for _ in range(lot.randint(0, 4))]
        if depth < 2 and lot.random() < 0.25:
            path = folder / f"included-{lot.getrandbits(40)}"
            path.write_text(drawn(lot, folder, depth + 1))
            lines.append(f"Include {path}{lot.choice(['', ' /nonexistent/*'])}")
        if lot.random() < 0.1:
            lines += ["", "# a comment"]
    return "\n".join(lines) + "\n"


def asked(path: Path, host: str) -> dict[str, list[str]]:
    """What the real program says of a host."""
    done = subprocess.run(
        ["ssh", "-G", "-F", str(path), host],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    found: dict[str, list[str]] = {}
    for one in done.stdout.splitlines():
        keyword, _, value = one.partition(" ")
        found.setdefault(keyword, []).append(value)
    return found


def told(found: dict[str, list[str]], options: Options) -> dict[str, Any]:
    """That, in our words: `-G` prints paths and commands before their tokens are replaced."""
    facts = tokens.Facts(
        original=options.original,
        host=options.hostname,
        port=options.port,
        user=options.user,
        alias=options.host_key_alias,
        jump=options.proxy_jump or "",
    )

    def one(keyword: str) -> str | None:
        value = found.get(keyword, ["none"])[0]
        return None if value == "none" else value

    def paths(values: list[str]) -> tuple[str, ...]:
        return tuple(tokens.path(value, facts, "") for value in values if value != "none")

    strict = {"true": "yes", "false": "off", "ask": "accept-new", "accept-new": "accept-new"}
    timeout, command, jump = one("connecttimeout"), one("proxycommand"), one("proxyjump")
    return {
        "hostname": one("hostname"),
        "user": one("user"),
        "port": int(one("port") or 0),
        "identity_files": options.identity_files
        if options.default_identities
        else paths(found.get("identityfile", [])),
        "identities_only": one("identitiesonly") == "yes",
        "certificate_files": paths(found.get("certificatefile", [])),
        "strict_host_keys": strict[one("stricthostkeychecking") or ""],
        "connect_timeout": float(timeout) if timeout else None,
        "alive_interval": int(one("serveraliveinterval") or 0) or 15,
        "alive_count": int(one("serveralivecountmax") or 0),
        "address_family": one("addressfamily"),
        "bind_address": one("bindaddress"),
        "compression": one("compression") == "yes",
        "hash_known_hosts": one("hashknownhosts") == "yes",
        "gssapi": one("gssapiauthentication") == "yes",
        "pubkey": one("pubkeyauthentication") not in {"false", "no"},
        "host_key_alias": one("hostkeyalias"),
        "user_known_hosts": paths((one("userknownhostsfile") or "").split()),
        "global_known_hosts": tuple((one("globalknownhostsfile") or "").split()),
        "proxy_jump": jump and hops(jump),
        "proxy_command": command and tokens.expanded(command, facts, tokens.PROXY, ""),
        "send_env": set(" ".join(found.get("sendenv", [])).split()),
        "set_env": tuple(found.get("setenv", [])),
    }


@pytest.mark.parametrize("seed", range(FIRST, FIRST + CASES))
def test_a_configuration_drawn_by_lot(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    # The real program takes the home of the user database, whatever the variable says.
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    lot = random.Random(seed)
    path = tmp_path / "config"
    path.write_text(drawn(lot, tmp_path))
    host = lot.choice(HOSTS)

    found = asked(path, host)
    options = SshConfig(str(path)).options(host)

    wanted = told(found, options)
    got = {name: getattr(options, name) for name in wanted}
    got["proxy_jump"] = options.proxy_jump and hops(options.proxy_jump)
    got["send_env"] = set(options.send_env)
    assert got == wanted


@pytest.mark.parametrize(
    "text",
    [
        "Port many\n", "Port 0\n", "Compression perhaps\n", "StrictHostKeyChecking maybe\n", "ConnectTimeout soon\n",
        "AddressFamily ipx\n", "User\n", "Host\n", "Match host\n", "Match weather fine\n", 'User "alice\n', "=x\n",
    ],
)  # fmt: skip
def test_what_one_refuses_the_other_refuses(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)

    with pytest.raises(subprocess.CalledProcessError):
        asked(path, "node1")
    with pytest.raises(InvalidConfig):
        SshConfig(str(path)).options("node1")
