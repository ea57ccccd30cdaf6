"""From a socket to a line that is logged in: algorithms, the host's key, ours; one deadline for all of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from paramiko import SSHException

from torc_ssh.config import Options, StrictHostKeys
from torc_ssh.config.patterns import fits, fits_any
from torc_ssh.connection import causes
from torc_ssh.connection.library.certificates import SUFFIX, Certificate
from torc_ssh.connection.library.keys import Keys
from torc_ssh.connection.library.known_hosts import Known, known, known_as, remember
from torc_ssh.connection.library.line import Line
from torc_ssh.connection.library.login import Ended, Login

_REFUSED = "Host key verification failed"


class Failed(Exception):
    """It did not come about; the text is the cause as users are told it."""


def logged_in(
    inner: Any, options: Options, note: Callable[[str], None], deadline: float, seconds: float
) -> Line:
    """Make a line over a socket and log in.

    Parameters
    ----------
    note
        Is told of new host keys and of keys that are left out.
    deadline, seconds
        When it has to be done, by `time.monotonic`, and how long that was, for the message.

    Raises
    ------
    Failed
        With the cause; the socket is closed.
    """
    line = Line(inner, interval=options.alive_interval, count=options.alive_count)
    try:
        _agree(line, options, deadline, seconds)
        _check_host(line, options, note)
        _log_in(line, options, note, deadline, seconds)
    except BaseException:
        line.close()
        raise
    line.environment = _environment(options)
    line.watch()
    return line


def _environment(options: Options) -> dict[str, str]:
    """The variables that are sent along: those of ours that are named, then those that are set."""
    wanted = [one for one in options.send_env if not one.startswith("-")]
    unwanted = [one[1:] for one in options.send_env if one.startswith("-")]
    sent = {
        name: value
        for name, value in os.environ.items()
        if fits_any(wanted, name) and not fits_any(unwanted, name)
    }
    return sent | {name: value for name, _, value in (one.partition("=") for one in options.set_env)}


def _agree(line: Line, options: Options, deadline: float, seconds: float) -> None:
    line.use_compression(options.compression)
    lines = known([*options.user_known_hosts, *options.global_known_hosts], _name(options))
    for what, directive, configured in (
        ("kex", "KexAlgorithms", options.kex_algorithms),
        ("ciphers", "Ciphers", options.ciphers),
        ("macs", "MACs", options.macs),
        ("pubkeys", "PubkeyAcceptedAlgorithms", options.pubkey_algorithms),
        ("keys", "HostKeyAlgorithms", options.host_key_algorithms),
    ):
        chosen = _chosen(configured, line.preferred(what))
        if not chosen:
            raise Failed(
                f"torc knows none of {directive} {configured!r}; set client.remote.backend = 'openssh' for it"
            )
        line.prefer(what, chosen)
    # Kinds of keys that are known come first, as with OpenSSH: another one would look like a change.
    kinds = line.preferred("keys")
    line.prefer("keys", tuple(sorted(kinds, key=lambda one: one not in _kinds(lines))))
    if any(one.marker == "@cert-authority" for one in lines):
        line.prefer("keys", (*(f"{one}{SUFFIX}" for one in kinds), *line.preferred("keys")))
    left = max(0.1, deadline - time.monotonic())
    line.banner_timeout = line.handshake_timeout = left
    agreed = threading.Event()
    line.start_client(event=agreed)
    in_time = agreed.wait(left)
    if not line.is_active():
        raise Failed(causes.of_handshake(line.get_exception(), seconds))
    if not in_time:
        raise Failed(causes.timed_out(seconds))


def _chosen(configured: str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    """A list of the configuration, over what the library knows: `+` adds, `-` takes away, `^` puts first."""
    if not configured:
        return usual
    sign, names = (configured[0], configured[1:]) if configured[0] in "+-^" else ("", configured)
    named = list(dict.fromkeys(one for name in names.split(",") for one in usual if fits(name, one)))
    if sign == "+":
        return usual
    if sign == "-":
        return tuple(one for one in usual if one not in named)
    if sign == "^":
        return (*named, *(one for one in usual if one not in named))
    return tuple(named)


def _kinds(lines: list[Known]) -> set[str]:
    kinds = {one.kind for one in lines if not one.marker}
    return kinds | ({"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in kinds else set())


def _name(options: Options) -> str:
    if options.host_key_alias:
        return options.host_key_alias.lower()
    return known_as(options.hostname, options.port)


def _check_host(line: Line, options: Options, note: Callable[[str], None]) -> None:
    """Only a host that is known, or new, goes on.

    Raises
    ------
    Failed
        If its key has changed, was revoked, or is new where new ones are not taken.
    """
    key = line.get_remote_server_key()
    blob = key.asbytes()
    name = _name(options)
    files = [*options.user_known_hosts, *options.global_known_hosts]
    lines = known(files, name)
    certificate = Certificate(key.public_blob.key_blob) if key.public_blob else None
    shown = {blob, certificate.authority if certificate else blob}
    for one in lines:
        if one.marker == "@revoked" and one.key in shown:
            raise Failed(f"{_REFUSED} (key revoked; {one.place})")
    if certificate and any(
        one.marker == "@cert-authority" and one.key == certificate.authority for one in lines
    ):
        fault = certificate.fault((options.host_key_alias or options.hostname).lower(), time.time())
        if fault:
            raise Failed(f"{_REFUSED} (the certificate {fault})")
        return
    plain = [one for one in lines if not one.marker]
    if any(one.key == blob for one in plain):
        return
    if plain:
        raise Failed(f"{_REFUSED} (key changed; {plain[-1].place})")
    if name.startswith("[") and any(
        one.key == blob and not one.marker for one in known(files, options.hostname.lower())
    ):
        return
    if options.strict_host_keys is StrictHostKeys.YES:
        raise Failed(f"{_REFUSED} (key not known, and StrictHostKeyChecking is yes)")
    if options.strict_host_keys is StrictHostKeys.OFF:
        note(f"StrictHostKeyChecking no for {options.original} is treated as accept-new")
    if not options.user_known_hosts:
        return
    path = options.user_known_hosts[0]
    try:
        if remember(path, name, key.get_name(), blob, hashed=options.hash_known_hosts):
            note(f"added the {key.get_name()} host key of {name} to {path}")
    except OSError as error:
        note(f"the host key of {name} cannot be added to {path}: {error.strerror}")


def _log_in(
    line: Line, options: Options, note: Callable[[str], None], deadline: float, seconds: float
) -> None:
    inside: Any = line
    login = inside.auth_handler = Login(line, options.user, deadline)
    try:
        if login.begin():
            return
        wanted = options.preferred_authentications
        if not options.pubkey or (wanted and "publickey" not in wanted) or "publickey" not in login.methods:
            raise Failed(_denied(login, options))
        with Keys(options, note, max(0.1, deadline - time.monotonic())) as keys:
            offers = keys.offers()
            if not offers:
                raise Failed(f"No usable key (tried: {', '.join(keys.tried) or 'none'})")
            if not any(login.offer(offer.key) for offer in offers):
                raise Failed(_denied(login, options))
    except TimeoutError as error:
        raise Failed(causes.timed_out(seconds)) from error
    except (Ended, SSHException, EOFError, OSError) as error:
        if "Too many authentication failures" in line.parting:
            raise Failed(_denied(login, options)) from error
        if line.parting:
            raise Failed(f"Server closed the connection ({line.parting})") from error
        cause = line.get_exception() or error
        raise Failed(causes.of_handshake(None if isinstance(cause, Ended) else cause, seconds)) from error


def _denied(login: Login, options: Options) -> str:
    methods = causes.plain(",".join(one for one in login.methods if one))
    text = f"Permission denied ({methods})" if methods else "Permission denied"
    if options.gssapi and any("gssapi" in one for one in login.methods):
        text += "; for GSSAPI set client.remote.backend = 'openssh'"
    return text
