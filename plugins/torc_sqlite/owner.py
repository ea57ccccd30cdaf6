"""Who owns a database file on this host: a lock beside it, and a file that says where its owner can be reached."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torc_core import __version__
from torc_core.errors import Owned, Unavailable

SCHEMA = "torc.owner/1"
PATIENCE = 5.0
"""Seconds to wait for another short command (`cli.md` S6)."""

_NAP = 0.02
_LONGEST = 65_536


def host_name() -> str:
    """What this host calls itself, as `socket.gethostname` says without importing it."""
    return os.uname().nodename


def boot_id() -> str:
    """Which life of this host it is; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def process_start(pid: int) -> int:
    """When a process started, in clock ticks since boot (proc(5), field 22 of `stat`); 0: there is none, or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in ("Z", "X") else int(fields[19])


def file_itself(path: Path) -> Path:
    """The file behind a link, so that a database has one lock, whatever it is called.

    A link to nothing stays what it is: no file is made behind it.
    """
    return Path(os.path.realpath(path)) if os.path.islink(path) and os.path.exists(path) else path


class Owner:
    """The lock of one database, and the word about who has it.

    Parameters
    ----------
    path
        The database; the lock is `<path>.lock`, the owner file `<path>.server.json`.
    patience
        Seconds to wait while the lock is held by a process that serves nobody.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._lock = path.with_name(path.name + ".lock")
        self._file = path.with_name(path.name + ".server.json")
        self._patience = patience
        self._descriptor: int | None = None
        self._published = False

    @property
    def held(self) -> bool:
        """Whether this process has the database."""
        return self._descriptor is not None

    def take(self) -> None:
        """Take the lock.

        Raises
        ------
        Owned
            At once when an owner says where it is served; after the patience is over, when nobody says.
        Unavailable
            If the lock file cannot be made.
        """
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Unavailable(
                f"lock file '{self._lock}' cannot be opened: {error.strerror}; check the permissions of its directory"
            ) from error
        try:
            self._wait(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._file.unlink(missing_ok=True)

    def publish(self, address: Mapping[str, str]) -> None:
        """Write the owner file; the addresses by kind go in as they are."""
        pid = os.getpid()
        host = host_name()
        content: dict[str, Any] = dict.fromkeys(("url", "socket", "internal_host", "port", "key_file"))
        content |= address
        content |= {
            "schema": SCHEMA, "host": host, "pid": pid, "boot_id": boot_id(), "process_start": process_start(pid),
            "version": __version__, "api_version": None,
            "started_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }  # fmt: skip
        part = self._file.with_name(f"{self._file.name}.{pid}")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        part.replace(self._file)
        self._published = True

    def release(self) -> None:
        """Remove the owner file and let go of the lock; the lock file stays, or two could hold two of them."""
        if self._descriptor is None:
            return
        if self._published:
            if not self._is_of_another_host():
                self._file.unlink(missing_ok=True)
            self._published = False
        os.close(self._descriptor)
        self._descriptor = None

    def _is_of_another_host(self) -> bool:
        """Whether the owner file is no longer ours: on a shared file system another host may have the database by now."""
        try:
            owner = self._owner()
        except Unavailable:
            return False
        return owner is not None and owner.get("host") != host_name()

    def _wait(self, descriptor: int) -> None:
        end = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if not isinstance(error, BlockingIOError):
                    raise Unavailable(
                        f"lock file '{self._lock}' cannot be locked: {error.strerror}; choose a file system with locks"
                    ) from error
            else:
                return
            owner = self._owner()
            if owner is not None:
                raise Owned(
                    _sentence(self._path, owner), {k: v for k, v in owner.items() if isinstance(v, str)}
                )
            if time.monotonic() >= end:
                raise Owned(
                    f"database '{self._path}' is in use by another command for more than {self._patience:.0f} s;"
                    " wait for it to end and run this one again",
                    {},
                )
            time.sleep(_NAP)

    def _owner(self) -> dict[str, Any] | None:
        """What the owner file says, when it speaks of a process that lives and is one of ours."""
        try:
            descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                return None
            if state.st_uid != os.getuid() or state.st_mode & 0o077:
                raise Unavailable(
                    f"owner file '{self._file}' is not only yours (uid {state.st_uid}, mode"
                    f" {stat.S_IMODE(state.st_mode):04o}), so what it says is not trusted; stop the process that"
                    f" wrote it and remove the file"
                )
            text = file.read(_LONGEST)
        try:
            owner = json.loads(text)
        except ValueError:
            return None
        return owner if isinstance(owner, dict) and owner.get("schema") == SCHEMA and _lives(owner) else None


def _lives(owner: Mapping[str, Any]) -> bool:
    """Whether the process that wrote an owner file is still there; of another host's only its lock can tell."""
    if owner.get("host") != host_name():
        return True
    pid = owner.get("pid")
    return (
        isinstance(pid, int)
        and owner.get("boot_id") == boot_id()
        and owner.get("process_start") == process_start(pid)
    )


def _sentence(path: Path, owner: Mapping[str, Any]) -> str:
    since = str(owner.get("started_at") or "").partition("T")[2][:5]
    where = owner.get("url") or owner.get("socket") or "an unknown address"
    return (
        f"database '{path}' is in use by process {owner.get('pid')} on {owner.get('host')}"
        f"{f' (since {since} UTC)' if since else ''}, which serves it at {where}"
    )
