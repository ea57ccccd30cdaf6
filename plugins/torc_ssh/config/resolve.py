"""What the configuration says about one host: first value wins, `Host`, `Match` and `Include` as OpenSSH has them."""

from __future__ import annotations

import glob
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from torc_core.errors import InvalidConfig
from torc_ssh.config import tokens
from torc_ssh.config.lines import Line, lines
from torc_ssh.config.options import GATHERED, OTHER_NAMES, READERS, UNSUPPORTED, Options, StrictHostKeys
from torc_ssh.config.patterns import fits_any

SYSTEM_FILE = "/etc/ssh/ssh_config"
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
IDENTITIES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
DEEPEST = 16
EXEC_PATIENCE = 30.0
"""Seconds that a command of `Match exec` may take."""


class SshConfig:
    """The configuration of a user. Any thread may ask; files are read once.

    Parameters
    ----------
    path
        This file alone, as `ssh -F`; None: `~/.ssh/config`, then `/etc/ssh/ssh_config`.
    """

    def __init__(self, path: str | None = None) -> None:
        self._files = [(path, True)] if path else [("~/.ssh/config", False), (SYSTEM_FILE, False)]
        self._read: dict[str, tuple[Line, ...]] = {}

    def options(self, host: str, user: str | None = None, port: int | None = None) -> Options:
        """How this host is connected to; a user and a port that are given win.

        Raises
        ------
        InvalidConfig
            If a file cannot be read or understood; it names file and line.
        """
        asked = _Asked(host, user, port)
        self._pass(asked)
        if asked.wants_final:
            asked.host = asked.hostname()
            asked.values["hostname"] = (asked.host.replace("%", "%%"), "")
            asked.final = True
            self._pass(asked)
        return asked.options()

    def _pass(self, asked: _Asked) -> None:
        for path, needed in self._files:
            self._file(os.path.expanduser(path), asked, needed=needed, system=path == SYSTEM_FILE)

    def _file(
        self, path: str, asked: _Asked, *, needed: bool, system: bool, inside: bool = True, depth: int = 0
    ) -> None:
        if depth > DEEPEST:
            raise InvalidConfig(f"{path}: files include each other more than {DEEPEST} deep")
        active = inside
        for line in self._lines(path, needed=needed):
            if line.keyword == "host":
                # NOTE: OpenSSH compares case here, but addresses of workers have lost theirs (`remote.md` RW6).
                names = [word.lower() for word in _needed(line)]
                active = inside and fits_any(names, asked.host.lower())
            elif line.keyword == "match":
                active = asked.matches(line, inside=inside)
            elif line.keyword == "include":
                for word in _needed(line):
                    for found in _included(word, system=system):
                        self._file(found, asked, needed=False, system=system, inside=active, depth=depth + 1)
            elif active:
                asked.take(line)

    def _lines(self, path: str, *, needed: bool) -> tuple[Line, ...]:
        if path not in self._read:
            try:
                with open(path, encoding="utf-8", errors="surrogateescape") as file:
                    self._read[path] = lines(file.read(), path)
            except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
                if needed or isinstance(error, PermissionError):
                    raise InvalidConfig(f"cannot read {path!r}: {error.strerror}") from error
                self._read[path] = ()
            except OSError as error:
                raise InvalidConfig(f"cannot read {path!r}: {error.strerror}") from error
        return self._read[path]


def _included(word: str, *, system: bool) -> list[str]:
    path = os.path.expanduser(word)
    if not os.path.isabs(path):
        path = os.path.join("/etc/ssh" if system else os.path.expanduser("~/.ssh"), path)
    return sorted(glob.glob(path))


def _needed(line: Line) -> tuple[str, ...]:
    if not line.words:
        raise InvalidConfig(f"{line.place}: {line.keyword} says nothing")
    return line.words


class _Asked:
    """One host while it is looked up: the values found so far, each with its place."""

    def __init__(self, host: str, user: str | None, port: int | None) -> None:
        self.original = self.host = host
        self.user, self.port = user, port
        self.values: dict[str, tuple[Any, str]] = {}
        self.gathered: dict[str, list[tuple[Any, str]]] = {name: [] for name in GATHERED}
        self.final = self.wants_final = False

    def take(self, line: Line) -> None:
        """Keep what a line says, unless an earlier one said it."""
        keyword = OTHER_NAMES.get(line.keyword, line.keyword)
        reader = READERS.get(keyword)
        if not reader:
            return
        _needed(line)
        value = reader(line)
        if keyword in GATHERED:
            if value not in [known for known, _ in self.gathered[keyword]]:
                self.gathered[keyword].append((value, line.place))
        elif keyword == "proxyjump" and "proxycommand" in self.values:
            # The first of the two decides; but `ProxyJump none` leaves room for a command.
            return
        elif keyword == "proxycommand" and _none(self._value("proxyjump")):
            return
        elif value is not None:
            # A time of `none` counts as not given.
            self.values.setdefault(keyword, (value, line.place))

    def matches(self, line: Line, *, inside: bool) -> bool:
        """Whether all criteria of a `Match` hold; `inside`: whether it can matter at all."""
        words = list(_needed(line))
        result = inside
        while words:
            word, sign, value = words.pop(0).partition("=")
            negated = word.startswith("!")
            name = word[negated:].lower()
            if name == "all":
                held = True
            elif name in {"final", "canonical"}:
                self.wants_final |= name == "final" and not self.final
                held = self.final
            else:
                if not sign:
                    if not words:
                        raise InvalidConfig(f"{line.place}: Match {name!r} has no value")
                    value = words.pop(0)
                held = result and self._holds(name, value, line)
            result = result and held != negated
        return result

    def _holds(self, name: str, value: str, line: Line) -> bool:
        checks: Mapping[str, Callable[[], str]] = {
            "host": self.hostname,
            "originalhost": lambda: self.original,
            "user": self._user,
            "localuser": tokens.local_user,
            "tagged": lambda: self._value("tag") or "",
        }
        if name in checks:
            text = checks[name]()
            if "host" in name:
                value, text = value.lower(), text.lower()
            return fits_any(value.split(","), text)
        if name == "exec":
            return _succeeds(tokens.expanded(value, self.facts(), tokens.PATH, line.place))
        raise InvalidConfig(
            f"{line.place}: Match {name!r} is not understood; set client.remote.backend = 'openssh' if ssh does"
        )

    def _value(self, name: str) -> Any:
        return self.values.get(name, (None, ""))[0]

    def _user(self) -> str:
        return self.user or self._value("user") or tokens.local_user()

    def hostname(self) -> str:
        """What is connected to, by what is known so far."""
        value, place = self.values.get("hostname", ("%h", ""))
        facts = tokens.Facts(original=self.original, host=self.host, port=0, user="")
        return tokens.expanded(value, facts, "h", place).lower()

    def facts(self) -> tokens.Facts:
        """What tokens stand for, by what is known so far."""
        return tokens.Facts(
            original=self.original,
            host=self.hostname(),
            port=self.port or self._value("port") or 22,
            user=self._user(),
            alias=self._value("hostkeyalias"),
            jump=_none(self._value("proxyjump")) or "",
        )

    def options(self) -> Options:
        """All of it, defaults filled in."""
        facts = self.facts()

        def paths(found: list[tuple[Any, str]]) -> tuple[str, ...]:
            return tuple(tokens.path(one, facts, place) for one, place in found if one.lower() != "none")

        def files(name: str, usual: tuple[str, ...]) -> tuple[str, ...]:
            found, place = self.values.get(name, (usual, ""))
            return paths([(one, place) for one in found])

        identities = self.gathered["identityfile"]
        command, command_place = self.values.get("proxycommand", (None, ""))
        jump, jump_place = self.values.get("proxyjump", (None, ""))
        proxy = (facts, tokens.PROXY)
        value = self._value
        return Options(
            original=self.original,
            hostname=facts.host,
            user=facts.user,
            port=facts.port,
            identity_files=paths(identities or [(one, "") for one in IDENTITIES]),
            default_identities=not identities,
            certificate_files=paths(self.gathered["certificatefile"]),
            identities_only=bool(value("identitiesonly")),
            identity_agent=_agent(value("identityagent"), facts),
            proxy_jump=tokens.expanded(jump, *proxy, jump_place) if _none(jump) else None,
            proxy_command=tokens.expanded(command, *proxy, command_place) if _none(command) else None,
            user_known_hosts=files("userknownhostsfile", USER_KNOWN_HOSTS),
            global_known_hosts=files("globalknownhostsfile", GLOBAL_KNOWN_HOSTS),
            host_key_alias=facts.alias,
            strict_host_keys=value("stricthostkeychecking") or StrictHostKeys.ACCEPT_NEW,
            hash_known_hosts=bool(value("hashknownhosts")),
            connect_timeout=value("connecttimeout") or None,
            alive_interval=value("serveraliveinterval") or 15,
            alive_count=value("serveralivecountmax") or 3,
            address_family=value("addressfamily") or "any",
            bind_address=value("bindaddress"),
            compression=bool(value("compression")),
            gssapi=bool(value("gssapiauthentication")),
            preferred_authentications=value("preferredauthentications") or (),
            pubkey=str(value("pubkeyauthentication")).lower() not in {"no", "false"},
            kex_algorithms=value("kexalgorithms"),
            ciphers=value("ciphers"),
            macs=value("macs"),
            host_key_algorithms=value("hostkeyalgorithms"),
            pubkey_algorithms=value("pubkeyacceptedalgorithms"),
            send_env=tuple(word for words, _ in self.gathered["sendenv"] for word in words),
            set_env=value("setenv") or (),
            unsupported=tuple(
                told
                for name, told in UNSUPPORTED.items()
                if (found := value(name)) and str(found).lower() not in {"none", "no", "internal"}
            ),
        )


def _none(value: str | None) -> str | None:
    return None if value is None or value.lower() == "none" else value


def _agent(value: str | None, facts: tokens.Facts) -> str | None:
    """The socket of the agent: None is that of the environment, empty is none."""
    if value is None or value == "SSH_AUTH_SOCK":
        return None
    if value.lower() == "none":
        return ""
    if value.startswith("$") and not value.startswith("${"):
        return os.environ.get(value[1:], "")
    return tokens.path(value, facts, "IdentityAgent")


def _succeeds(command: str) -> bool:
    """Whether a command of the user's own configuration ends with 0."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        ran = subprocess.run(
            [shell, "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=EXEC_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0
