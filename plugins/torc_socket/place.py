"""Where sockets lie: in a folder that belongs to the user alone."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

from torc_core.errors import Unavailable

LONGEST = 100
"""Bytes; the kernel allows 108 on Linux, 104 elsewhere."""

GRACE = 60.0
"""Seconds that a new socket may take until somebody listens on it."""


def new_socket_path(directory: str | None) -> Path:
    """A path for a new socket, in a folder that is made if need be.

    Raises
    ------
    Unavailable
        If there is no folder that belongs to this user alone.
    """
    folder = Path(directory).expanduser().absolute() if directory else _runtime_folder()
    path = folder / f"{os.getpid()}-{os.urandom(4).hex()}.sock"
    if len(os.fsencode(path)) > LONGEST:
        if directory:
            raise Unavailable(f"the folder '{folder}' of [servers.socket] has too long a name for a socket")
        path = _shared_folder() / path.name
    _make_private(path.parent)
    _sweep(path.parent)
    return path


def _runtime_folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime) and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime) / "torc"
    return _shared_folder()


def _shared_folder() -> Path:
    return Path("/tmp") / f"torc-{os.geteuid()}"  # noqa: S108 - owner and mode are checked below (`security.md` D3)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(folder)
    except OSError as error:
        raise Unavailable(f"no socket can be made in '{folder}': {error.strerror}") from error


def check_private(folder: Path) -> None:
    """Refuse a folder that another user could have planted.

    Raises
    ------
    Unavailable
        If it is a link, belongs to somebody else, or is open to others.
    """
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise Unavailable(f"'{folder}' is no folder; remove it, or set [servers.socket] directory")
    if about.st_uid != os.geteuid():
        raise Unavailable(
            f"'{folder}' belongs to uid {about.st_uid}; set [servers.socket] directory to one of yours"
        )
    if stat.S_IMODE(about.st_mode) & 0o077:
        raise Unavailable(f"'{folder}' is open to others; run 'chmod 700 {folder}'")


def _sweep(folder: Path) -> None:
    """Remove sockets on which nobody listens any more: their owners were killed."""
    for path in folder.glob("*.sock"):
        try:
            if time.time() - path.lstat().st_mtime > GRACE and _is_dead(path):
                path.unlink()
        except OSError:
            continue  # somebody else was faster


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
