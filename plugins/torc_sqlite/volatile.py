"""A SQLite database in memory, which is copied into its file at the end, and now and then before (`cli.md` S4)."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torc_core.errors import BadValue, Unavailable
from torc_sqlite.database import SqliteDatabase
from torc_sqlite.owner import Owner, file_itself

if TYPE_CHECKING:
    from torc_core.protocols import Clock
    from torc_sqlite.settings import MemorySettings, SqliteSettings

log = logging.getLogger(__name__)

MEMORY = Path("/dev") / "shm"
"""A file system in memory; where there is none, the folder for temporary files has to do."""


class VolatileDatabase(SqliteDatabase):
    """A database whose work file lies in memory. Its own file is locked meanwhile: other programs come to this process.

    Parameters
    ----------
    path
        The file. What is in it at the beginning is taken into memory.
    """

    def __init__(self, path: str, settings: SqliteSettings, memory: MemorySettings, clock: Clock) -> None:
        every = memory.snapshot_interval_seconds
        if every is not None and not 0.1 <= every <= 31_536_000:
            raise BadValue(f"snapshot_interval_seconds '{every:g}' is not a number of seconds from 0.1 on")
        self._file = file_itself(Path(path))
        self._keeper = Owner(self._file)
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"folder '{self._file.parent}' cannot be made: {error.strerror}") from error
        self._keeper.take()
        self._folder = Path(
            tempfile.mkdtemp(prefix="torc-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        )
        self._over = threading.Event()
        self._copying = threading.Lock()
        try:
            if self._file.exists():
                copied(self._file, self._folder / "torc.db")
            super().__init__(str(self._folder / "torc.db"), replace(settings, network_mode="local"), clock)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._keeper.release()
            raise
        if every is not None:
            threading.Thread(
                target=self._snapshots, args=(every,), name="torc-snapshots", daemon=True
            ).start()

    def publish(self, address: Mapping[str, str]) -> None:
        """Tell other programs at the file where they reach us."""
        super().publish(address)
        self._keeper.publish(address)

    def close(self) -> None:
        """Copy what is in memory into the file; closing again has no effect.

        Raises
        ------
        Unavailable
            If it cannot be written; the sentence says where the database is kept then.
        """
        if self._over.is_set():
            return
        self._over.set()
        super().close()
        try:
            self._copy()
        except Unavailable as error:
            raise Unavailable(f"{error}; the database is kept as '{self.path}'") from error
        else:
            shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            self._keeper.release()

    def _copy(self) -> None:
        with self._copying:
            if self.path.exists():
                copied(self.path, self._file)

    def _snapshots(self, every: float) -> None:
        while not self._over.wait(every):
            try:
                self._copy()
            except Unavailable as error:
                log.warning("snapshot not made why=%s", error)


def copied(source: Path, target: Path) -> None:
    """Copy a database by the interface of SQLite: to `<target>.part`, flushed, then renamed.

    Raises
    ------
    Unavailable
        If it cannot be read or written.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with (
                closing(sqlite3.connect(source, isolation_level=None)) as whence,
                closing(sqlite3.connect(part, isolation_level=None)) as where,
            ):
                whence.backup(where)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise Unavailable(f"database '{source}' cannot be copied to '{target}': {error}") from error
