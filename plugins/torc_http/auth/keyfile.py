"""The key of a server in the home of its user, by which both know each other (`security.md` S5, S9, S10)."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torc_core.errors import Forbidden, Invalid, NotFound
from torc_core.record import record
from torc_http.auth.encoding import as_bytes, as_number, as_text, mac

KEY_BYTES = 32

GRACE_MS = 24 * 3_600_000
"""How long a key is good after another one has taken its place."""

LONGEST = 65_536

PORTS = {"http": 80, "https": 443}


@record(frozen=True, slots=True, kw_only=True)
class Retired:
    """A key that was replaced; `until` in milliseconds since 1970."""

    key_id: str
    key: bytes
    until: int


@record(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """What a key file says.

    Parameters
    ----------
    urls
        Every name under which the server is reached, normalised.
    fingerprint
        SHA-256 of its certificate, if it has one (S11).
    """

    server_id: str
    key_id: str
    key: bytes
    urls: tuple[str, ...] = ()
    socket: str | None = None
    created_at: int = 0
    retired: tuple[Retired, ...] = ()
    fingerprint: str | None = None


def servers(environ: Mapping[str, str]) -> Path:
    """The folder of key files."""
    home = environ.get("HOME")
    config = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None)
    return (Path(config) if config else Path.home() / ".config") / "torc/servers"


def normalised(url: str) -> str:
    """Scheme, host in lower case and port; the empty text for what is no address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in PORTS or not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or PORTS[parts.scheme]}"


def read(path: Path) -> KeyFile:
    """A key file that is nobody else's business.

    Raises
    ------
    NotFound
        If there is none.
    Forbidden
        If it belongs to somebody else or is open to others.
    Invalid
        If it says something else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"there is no key file '{path}'") from error
    except OSError as error:
        raise Forbidden(f"key file '{path}' cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise Forbidden(f"key file '{path}' is no plain file")
        if about.st_uid != os.geteuid():
            raise Forbidden(f"key file '{path}' belongs to uid {about.st_uid}, not to you; it is not used")
        if about.st_mode & 0o077:
            mode = stat.S_IMODE(about.st_mode)
            raise Forbidden(
                f"key file '{path}' is open to others (mode {mode:04o}); run 'chmod 600 {path}', and 'torc-server key"
                " rotate --now' if others may have read it"
            )
        text = file.read(LONGEST)
    try:
        return _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(f"key file '{path}' is damaged; remove it, and start the server again") from error


def write(path: Path, key: KeyFile) -> None:
    """Write a key file in one piece, for this user alone; what lies at the path is replaced, never followed.

    Raises
    ------
    Forbidden
        If the folder is not this user's alone.
    """
    private_folder(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content(key))
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def content(key: KeyFile) -> str:
    """The text of a key file."""
    told: dict[str, Any] = {
        "server_id": key.server_id, "key_id": key.key_id, "key": as_text(key.key), "urls": list(key.urls),
        "socket": key.socket, "created_at": key.created_at, "fingerprint": key.fingerprint,
        "retired": [{"key_id": one.key_id, "key": as_text(one.key), "until": one.until} for one in key.retired],
    }  # fmt: skip
    return json.dumps(told, indent=1)


def private_folder(folder: Path) -> None:
    """Make a folder that nobody else can enter, or check that it is one.

    Raises
    ------
    Forbidden
        If it is a link, belongs to somebody else, or others may write in it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise Forbidden(f"the folder '{folder}' cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise Forbidden(f"'{folder}' is not a folder of yours; move it away")
    if about.st_mode & 0o077:
        folder.chmod(0o700)


def ensured(
    folder: Path,
    server_id: str,
    urls: Iterable[str],
    socket: str | None,
    now: int,
    fingerprint: str | None = None,
) -> KeyFile:
    """The key of a server: made at its first start, its addresses and certificate brought up to date at each."""
    path = folder / f"{server_id}.json"
    wanted = tuple(dict.fromkeys(one for one in map(normalised, urls) if one))
    try:
        found = read(path)
    except NotFound:
        found = KeyFile(server_id=server_id, key_id="", key=b"")
    if found.server_id != server_id:
        raise Invalid(f"key file '{path}' belongs to another server; move it away")
    kept = tuple(one for one in found.retired if one.until > now)
    told = replace(found, urls=wanted, socket=socket, retired=kept, fingerprint=fingerprint)
    if not found.key:
        told = replace(told, key_id=_new_id(), key=os.urandom(KEY_BYTES), created_at=now)
    if told != found:
        write(path, told)
    return told


def rotated(folder: Path, server_id: str, now: int, *, at_once: bool = False) -> KeyFile:
    """Give a server a new key; the old one is good for another day unless it shall end at once (S10)."""
    path = folder / f"{server_id}.json"
    old = read(path)
    last = Retired(key_id=old.key_id, key=old.key, until=now + GRACE_MS)
    kept = () if at_once else (last, *(one for one in old.retired if one.until > now))
    new = replace(old, key_id=_new_id(), key=os.urandom(KEY_BYTES), created_at=now, retired=kept)
    write(path, new)
    return new


def found(folder: Path, url: str) -> Sequence[KeyFile]:
    """The keys of servers that are said to be at an address, the newest first; damaged and foreign files are left out."""
    wanted = normalised(url)
    return [key for key in _all(folder) if wanted and wanted in key.urls]


def of_socket(folder: Path, path: str) -> Sequence[KeyFile]:
    """The keys of servers that are said to listen on a Unix socket, the newest first."""
    return [key for key in _all(folder) if key.socket == path]


def _all(folder: Path) -> Sequence[KeyFile]:
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError:
        return ()
    keys = []
    for path in paths:
        try:
            keys.append(read(path))
        except (Forbidden, Invalid, NotFound):
            continue
    return sorted(keys, key=lambda one: one.created_at, reverse=True)


def for_workflow(key: KeyFile, workflow: int, generation: int) -> KeyFile:
    """The key of runners of one workflow, for hosts that do not see the home (S9)."""
    return replace(
        key,
        key_id=f"r.{workflow}.{generation}.{key.key_id}",
        key=runner_key(key.key, workflow, generation),
        retired=(),
        socket=None,
    )


def runner_key(key: bytes, workflow: int, generation: int) -> bytes:
    """Derived, so that no table of them is needed; raising the generation revokes it."""
    return mac(key, "runner", workflow, generation)


class Keys:
    """The keys of this server by their ids, while it runs; follows the file when it is rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] = (0, 0)
        self._file = read(path)

    @property
    def current(self) -> KeyFile:
        """What the file says now."""
        try:
            about = self._path.stat()
            seen = (about.st_mtime_ns, about.st_ino)
        except OSError:
            return self._file
        if seen != self._seen:
            with self._lock:
                self._file, self._seen = read(self._path), seen
        return self._file

    def secrets(self, now: int) -> Sequence[bytes]:
        """Keys that are good: the current one first."""
        file = self.current
        return (file.key, *(one.key for one in file.retired if one.until > now))

    def secret(self, key_id: str, now: int) -> bytes | None:
        """The key of an id, if it is good; also that of a workflow's runners."""
        if key_id.startswith("r."):
            workflow, generation, base = split_runner_id(key_id) or (0, 0, "")
            secret = self.secret(base, now) if workflow else None
            return runner_key(secret, workflow, generation) if secret else None
        file = self.current
        if key_id == file.key_id:
            return file.key
        return next((one.key for one in file.retired if one.key_id == key_id and one.until > now), None)


def split_runner_id(key_id: str) -> tuple[int, int, str] | None:
    """Workflow, generation and the id of the server's key, of the id of a runner key."""
    mark, _, rest = key_id.partition(".")
    workflow, _, rest = rest.partition(".")
    generation, _, base = rest.partition(".")
    numbers = as_number(workflow), as_number(generation)
    if mark != "r" or numbers[0] is None or numbers[1] is None or not base or "." in base:
        return None
    return numbers[0], numbers[1], base


def _new_id() -> str:
    return os.urandom(8).hex()


def _parsed(told: dict[str, Any]) -> KeyFile:
    return KeyFile(
        server_id=_text(told["server_id"]),
        key_id=_text(told["key_id"]),
        key=_key(told["key"]),
        urls=tuple(_text(one) for one in told["urls"]),
        socket=None if told["socket"] is None else _text(told["socket"]),
        created_at=int(told["created_at"]),
        fingerprint=told.get("fingerprint"),
        retired=tuple(
            Retired(key_id=_text(one["key_id"]), key=_key(one["key"]), until=int(one["until"]))
            for one in told.get("retired", ())
        ),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _key(value: Any) -> bytes:
    key = as_bytes(_text(value))
    if key is None or len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    return key
