"""Host keys: which are known, which have changed, and where new ones are written down (`remote.md` RW61)."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import time
from collections.abc import Iterator, Sequence

from torc_core.record import record
from torc_ssh.config.patterns import fits_any

_HASHED = "|1|"
PATIENCE = 5.0
"""Seconds for which another process may have a file locked."""


@record(frozen=True, slots=True, kw_only=True)
class Known:
    """One line of a known_hosts file that speaks of a host.

    Parameters
    ----------
    marker
        `@revoked`, `@cert-authority`, or nothing.
    key
        The public key, as it is sent.
    """

    marker: str
    kind: str
    key: bytes
    path: str
    number: int

    @property
    def place(self) -> str:
        """For messages."""
        home = os.path.expanduser("~")
        path = f"~{self.path[len(home) :]}" if self.path.startswith(f"{home}/") else self.path
        return f"known_hosts line {self.number}: {path}"


def known_as(host: str, port: int) -> str:
    """The name under which a host's keys are kept."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def known(paths: Sequence[str], name: str) -> list[Known]:
    """All lines about a host, in the order of the files; lines that make no sense are passed over."""
    return [one for path in paths for hosts, one in _read(path) if _speaks_of(hosts, name)]


def remember(path: str, name: str, kind: str, key: bytes, *, hashed: bool) -> bool:
    """Write a new key down, unless another process just did; whether it was this one.

    The file is made for this user only, and locked while it is looked at and appended to.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "r+b") as file:
        _lock(file.fileno())
        if any(one.key == key and not one.marker for one in known([path], name)):
            return False
        written = hash_of(name, os.urandom(20)) if hashed else name
        line = f"{written} {kind} {base64.b64encode(key).decode()}\n".encode()
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        os.write(file.fileno(), line)
    return True


def _lock(descriptor: int) -> None:
    """Lock a file.

    Raises
    ------
    OSError
        If somebody else has it for long, or its file system has no locks.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise OSError(error.errno, "another process has locked it") from error
            time.sleep(0.01)
        else:
            return


def hash_of(name: str, salt: bytes) -> str:
    """How a host is written where names are hidden."""
    digest = hmac.digest(salt, name.encode(), hashlib.sha1)
    return f"{_HASHED}{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _speaks_of(hosts: str, name: str) -> bool:
    if hosts.startswith(_HASHED):
        try:
            salt = base64.b64decode(hosts.split("|")[2], validate=True)
        except (IndexError, ValueError):
            return False
        return hmac.compare_digest(hash_of(name, salt).encode(), hosts.encode())
    return fits_any(hosts.lower().split(","), name)


def _read(path: str) -> Iterator[tuple[str, Known]]:
    """Every line of a file that can be understood: its hosts, and what it says."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3 or marker not in {"", "@revoked", "@cert-authority"}:
            continue
        try:
            key = base64.b64decode(words[2], validate=True)
        except ValueError:
            continue
        yield words[0], Known(marker=marker, kind=words[1], key=key, path=path, number=number)
