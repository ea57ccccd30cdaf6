"""The options of a connection, typed, and how each is read from a line."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from torc_core.errors import InvalidConfig
from torc_core.record import record
from torc_ssh.config.lines import Line


class StrictHostKeys(StrEnum):
    """What is done about a host key that is not known; `off` is treated as `accept-new`."""

    YES = "yes"
    ACCEPT_NEW = "accept-new"
    OFF = "off"


@record(frozen=True, slots=True, kw_only=True)
class Options:
    """How one host is connected to: what the configuration says, defaults filled in.

    Parameters
    ----------
    original
        The host as the user named it.
    identity_files, certificate_files, user_known_hosts, global_known_hosts
        Full paths.
    default_identities
        No `IdentityFile` was given: `identity_files` are the usual ones.
    identity_agent
        Path of a socket; None: that of the environment; empty: none.
    proxy_command
        With tokens replaced.
    connect_timeout
        In seconds; None: not configured.
    unsupported
        Directives that are set and would change the connection, if we knew how.
    """

    original: str
    hostname: str
    user: str
    port: int
    identity_files: tuple[str, ...] = ()
    default_identities: bool = False
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    identity_agent: str | None = None
    proxy_jump: str | None = None
    proxy_command: str | None = None
    user_known_hosts: tuple[str, ...] = ()
    global_known_hosts: tuple[str, ...] = ()
    host_key_alias: str | None = None
    strict_host_keys: StrictHostKeys = StrictHostKeys.ACCEPT_NEW
    hash_known_hosts: bool = False
    connect_timeout: float | None = None
    alive_interval: float = 15
    alive_count: int = 3
    address_family: str = "any"
    bind_address: str | None = None
    compression: bool = False
    gssapi: bool = False
    preferred_authentications: tuple[str, ...] = ()
    pubkey: bool = True
    kex_algorithms: str | None = None
    ciphers: str | None = None
    macs: str | None = None
    host_key_algorithms: str | None = None
    pubkey_algorithms: str | None = None
    send_env: tuple[str, ...] = ()
    set_env: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()


_TRUE = {"yes", "true"}
_FALSE = {"no", "false"}
_SPAN = re.compile(r"(?:(\d+)([smhdw]?))+", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _word(line: Line) -> str:
    return line.words[0]


def _rest(line: Line) -> str:
    return line.rest


def _several(line: Line) -> tuple[str, ...]:
    return line.words


def _flag(line: Line) -> bool:
    word = line.words[0].lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise _wrong(line, "yes or no")


def _number(line: Line) -> int:
    if not re.fullmatch(r"\d{1,9}", line.words[0]):
        raise _wrong(line, "a number")
    return int(line.words[0])


def _port(line: Line) -> int:
    if not 1 <= (port := _number(line)) <= 65_535:
        raise _wrong(line, "a port, 1-65535")
    return port


def _seconds(line: Line) -> int | None:
    word = line.words[0].lower()
    if word == "none":
        return None
    if not _SPAN.fullmatch(word):
        raise _wrong(line, "a time, such as 30 or 1m")
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"(\d+)([smhdw]?)", word))


def _strict(line: Line) -> StrictHostKeys:
    known = {
        "yes": StrictHostKeys.YES, "true": StrictHostKeys.YES,
        "ask": StrictHostKeys.ACCEPT_NEW, "accept-new": StrictHostKeys.ACCEPT_NEW,
        "no": StrictHostKeys.OFF, "false": StrictHostKeys.OFF, "off": StrictHostKeys.OFF,
    }  # fmt: skip
    word = line.words[0].lower()
    if word not in known:
        raise _wrong(line, "yes, accept-new, ask, no or off")
    return known[word]


def _family(line: Line) -> str:
    word = line.words[0].lower()
    if word not in {"any", "inet", "inet6"}:
        raise _wrong(line, "any, inet or inet6")
    return word


def _methods(line: Line) -> tuple[str, ...]:
    return tuple(line.words[0].split(","))


def _wrong(line: Line, wanted: str) -> InvalidConfig:
    return InvalidConfig(f"{line.place}: {line.keyword} {line.words[0]!r} is not {wanted}")


READERS: dict[str, Callable[[Line], Any]] = {
    "addressfamily": _family,
    "bindaddress": _word,
    "canonicalizehostname": _word,
    "certificatefile": _word,
    "ciphers": _word,
    "compression": _flag,
    "connecttimeout": _seconds,
    "globalknownhostsfile": _several,
    "gssapiauthentication": _flag,
    "hashknownhosts": _flag,
    "hostkeyalgorithms": _word,
    "hostkeyalias": _word,
    "hostname": _word,
    "identitiesonly": _flag,
    "identityagent": _word,
    "identityfile": _word,
    "kexalgorithms": _word,
    "knownhostscommand": _rest,
    "macs": _word,
    "pkcs11provider": _word,
    "port": _port,
    "preferredauthentications": _methods,
    "proxycommand": _rest,
    "proxyjump": _rest,
    "proxyusefdpass": _flag,
    "pubkeyacceptedalgorithms": _word,
    "pubkeyauthentication": _word,
    "revokedhostkeys": _word,
    "securitykeyprovider": _word,
    "sendenv": _several,
    "serveralivecountmax": _number,
    "serveraliveinterval": _seconds,
    "setenv": _several,
    "stricthostkeychecking": _strict,
    "tag": _word,
    "user": _word,
    "userknownhostsfile": _several,
}
"""What we understand, by keyword; everything else is passed over, as it does not change how we connect."""

GATHERED = {"certificatefile", "identityfile", "sendenv"}
"""Every line counts, not only the first."""

OTHER_NAMES = {
    "globalknownhostsfile2": "globalknownhostsfile",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "identityfile2": "identityfile",
}

UNSUPPORTED = {
    "canonicalizehostname": "CanonicalizeHostname",
    "knownhostscommand": "KnownHostsCommand",
    "pkcs11provider": "PKCS11Provider",
    "proxyusefdpass": "ProxyUseFdpass",
    "revokedhostkeys": "RevokedHostKeys",
    "securitykeyprovider": "SecurityKeyProvider",
}
"""Would change the connection."""
