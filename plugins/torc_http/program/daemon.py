"""A server that goes on when its terminal is gone."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from torc_core.errors import Conflict, Unavailable
from torc_core.runner.place import process_start


class Daemon:
    """The process that stays; the one that was started waits for its word and passes it on."""

    def __init__(self) -> None:
        self._word = -1

    def leave(self) -> None:
        """Go on in a process without terminal; returns there only. Nothing may have been opened yet."""
        reader, writer = os.pipe()
        if os.fork():
            os.close(writer)
            self._pass_on(reader)
        os.close(reader)
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.close(nothing)
        self._word = writer

    def say(self, text: str, code: int = 0) -> None:
        """Tell the one who waits: it prints the text and leaves with the code."""
        if self._word >= 0:
            with suppress(OSError):
                os.write(self._word, bytes([code]) + text.encode())
            os.close(self._word)
            self._word = -1

    def _pass_on(self, reader: int) -> None:
        with os.fdopen(reader, "rb") as file:
            said = file.read()
        code, text = (said[0], said[1:].decode()) if said else (1, "")
        stream = sys.stderr if code else sys.stdout
        print(
            text or "error: the server ended before it could serve; its log says why", file=stream, flush=True
        )
        os._exit(code)


def write_pid(path: Path) -> None:
    """Write the number of this process into a file of this user alone.

    Raises
    ------
    Conflict
        If the file names a process that lives.
    Unavailable
        If it cannot be written.
    """
    old = read_pid(path)
    if old is not None and old != os.getpid() and process_start(old) is not None:
        raise Conflict(
            f"pid file '{path}' names process {old}, which lives; stop it, or give another --pid-file"
        )
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{os.getpid()}\n")
        part.replace(path)
    except OSError as error:
        raise Unavailable(f"pid file '{path}' cannot be written: {error.strerror}") from error


def refuse_no_folder(path: Path) -> None:
    """Object before anything is made if the folder of a file with a number is not there.

    Raises
    ------
    Unavailable
        If so.
    """
    if not os.path.isdir(path.parent):
        raise Unavailable(f"pid file '{path}' cannot be written: no folder '{path.parent}'")


def read_pid(path: Path) -> int | None:
    """The number in a pid file; None: there is none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
