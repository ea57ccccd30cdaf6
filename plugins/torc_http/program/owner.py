"""Who serves a database, as its owner file says (`cli.md` S5-S7)."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from torc_core.errors import Unavailable
from torc_core.record import record
from torc_core.runner.place import process_start

LONGEST = 65_536


@record(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process behind an owner file."""

    pid: int
    host: str
    process_start: int
    url: str | None
    socket: str | None
    version: str
    started_at: str

    @property
    def lives(self) -> bool:
        """Whether the very process is there; of another host's nothing is known."""
        return self.host != os.uname().nodename or process_start(self.pid) == self.process_start


def owner_of(database: Path) -> Owner | None:
    """Who serves a database; None: nobody.

    Raises
    ------
    Unavailable
        If the file that says so belongs to somebody else.
    """
    database = Path(os.path.realpath(database))
    path = database.with_name(database.name + ".server.json")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if about.st_uid != os.geteuid() or about.st_mode & 0o077 or not stat.S_ISREG(about.st_mode):
            raise Unavailable(f"owner file '{path}' is not only yours, so what it says is not trusted")
        text = file.read(LONGEST)
    try:
        told = json.loads(text)
        owner = Owner(
            pid=int(told["pid"]), host=str(told["host"]), process_start=int(told["process_start"]),
            url=told.get("url"), socket=told.get("socket"), version=str(told.get("version")),
            started_at=str(told.get("started_at")),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None
    return owner if owner.lives else None
