"""Copies of a database that is in use (`promises.md` Q9)."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from torc_core.errors import BadValue, Unavailable, UsageError
from torc_core.model.resources import duration_seconds
from torc_core.protocols import Store

log = logging.getLogger(__name__)

PAGES = 256
PAUSE = 0.005
"""A copy goes in steps of so many pages with pauses of so many seconds, so that nobody waits for it."""

COMPANIONS = ("-wal", "-shm", "-journal", ".lock", ".server.json", ".pid")
"""How the names of files end that lie beside a database and belong to it."""


def copy(source: Path, target: Path, *, verify: bool = False) -> None:
    """Copy a database by the interface of SQLite: to `<target>.part`, flushed, then renamed.

    Raises
    ------
    Unavailable
        If the source is no database, or the target cannot be written, or the copy is damaged.
    """
    if not os.path.isfile(source):
        raise Unavailable(f"there is no database '{source}'")
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with (
                closing(
                    sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
                ) as whence,
                closing(sqlite3.connect(part, isolation_level=None)) as where,
            ):
                whence.backup(where, pages=PAGES, sleep=PAUSE)
                if verify and (found := where.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                    raise Unavailable(f"the copy of '{source}' is damaged: {found}; nothing was replaced")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            part.unlink()
        raise Unavailable(f"'{source}' cannot be copied to '{target}': {error}") from error


def target_of(destination: Path, now: datetime) -> Path:
    """Where a copy goes: into a folder under the present time, else to the very path."""
    return destination / f"torc-{now:%Y%m%dT%H%M%SZ}.db" if os.path.isdir(destination) else destination


def keep_apart(source: Path, target: Path, keep: int) -> None:
    """Make sure that nothing of the database makes way for its copy: a server would go on with a file that is gone.

    Raises
    ------
    UsageError
        If the copy, or an older one that it gives a number, would take the place of the database.
    """
    own = source.resolve()
    files = {own, *(own.with_name(f"{own.name}{suffix}") for suffix in COMPANIONS)}
    for path in (target, *_numbered(target, keep)):
        if path.resolve() in files:
            raise UsageError(f"'{path}' belongs to the database itself; name another file")


def _numbered(target: Path, keep: int) -> list[Path]:
    return [target.with_name(f"{target.name}.{number}") for number in range(1, keep + 1)]


def make_room(target: Path, keep: int) -> None:
    """Give older copies higher numbers: `DEST.1`, `DEST.2`, …; those beyond `keep` go."""
    if not target.exists() or keep < 1:
        return
    numbered = _numbered(target, keep)
    numbered[-1].unlink(missing_ok=True)
    for older, newer in zip(reversed(numbered), [*reversed(numbered[:-1]), target], strict=False):
        if newer.exists() and newer != target:
            newer.replace(older)
    target.replace(numbered[0])


class Backups:
    """Copies made by a server: every so often, and when it is asked.

    Raises
    ------
    UsageError
        If `every` is no duration.
    """

    def __init__(self, folder: str | None, every: str | None, keep: int) -> None:
        self._folder = None if folder is None else Path(folder).expanduser().absolute()
        self._every = None if every is None else seconds_of(every, "--backup-every")
        self._keep = keep
        self._closed = threading.Event()
        self._path: Path | None = None
        self._thread: threading.Thread | None = None
        self._one = threading.Lock()

    def start(self, store: Store, path: Path) -> None:
        """Begin, for the database at a path."""
        self._path = path
        if self._folder is not None and self._every is not None:
            self._thread = threading.Thread(target=self._run, name="torc-backup", daemon=True)
            self._thread.start()

    def now(self) -> None:
        """Make one copy at once, in the background."""
        threading.Thread(target=self._make, name="torc-backup-now", daemon=True).start()

    def close(self) -> None:
        """End, after the copy that is under way."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        with self._one:
            pass

    def _run(self) -> None:
        assert self._every is not None
        while not self._closed.wait(self._every):
            self._make()

    def make(self) -> Path:
        """Make one copy and wait for it; where it lies.

        Raises
        ------
        Unavailable
            If it cannot be made.
        """
        if self._path is None:
            raise Unavailable("the server has not opened its database yet; try again")
        folder = self._folder or self._path.parent
        try:
            with self._one:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                target = target_of(folder, datetime.now(UTC))
                copy(self._path, target)
                for old in sorted(folder.glob("torc-*Z.db"))[: -self._keep or None]:
                    old.unlink()
        except OSError as error:
            raise Unavailable(f"no copy can be made in '{folder}': {error}") from error
        return target

    def _make(self) -> None:
        try:
            target = self.make()
        except Unavailable as error:
            log.warning("backup failed why=%s", error)
        else:
            log.info("backup made path=%s", target)


def seconds_of(text: str, option: str, *, least: float = 1) -> float:
    """A duration of the command line: ISO 8601, `1h30m`, or seconds.

    Raises
    ------
    BadValue
        If it is none, or less than `least` seconds.
    """
    try:
        seconds = _seconds(text.strip().lower())
    except (ValueError, BadValue) as error:
        raise BadValue(f"{option} '{text}' is no duration; write 30m, 1h30m or PT1H") from error
    if not least <= seconds < math.inf:
        raise BadValue(
            f"{option} '{text}' is out of range; give {least:g} s or more, such as 30m, 1h30m or PT1H"
        )
    return seconds


def _seconds(plain: str) -> float:
    units: dict[str, float] = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
    if plain.startswith("p"):
        return float(duration_seconds(plain.upper()))
    if plain and plain[-1] in units:
        total, number = 0.0, ""
        for sign in plain:
            if sign in units:
                total, number = total + float(number) * units[sign], ""
            else:
                number += sign
        return total
    return float(plain)
