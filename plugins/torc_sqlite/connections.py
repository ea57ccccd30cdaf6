"""Connections to a SQLite file, set up as `promises.md` Q1-Q4 say."""

from __future__ import annotations

import sqlite3
from enum import Enum
from pathlib import Path

from torc_core.errors import Unavailable

OLDEST = (3, 35)
"""The first SQLite that has `RETURNING`."""

COMMON = {
    "foreign_keys": "ON",
    "synchronous": "FULL",
    "busy_timeout": "5000",
    "temp_store": "MEMORY",
    "trusted_schema": "OFF",
    "cell_size_check": "ON",
    "cache_size": "-65536",
}
LOG_PAGES = 1_024
"""Pages of write-ahead log (4 MiB) after which the writer copies it into the database."""


class Mode(Enum):
    """How a file is written (`promises.md` Q8)."""

    LOCAL = "local"
    ROLLBACK = "rollback"
    EXCLUSIVE = "exclusive"

    @property
    def journal(self) -> str:
        """The value of `PRAGMA journal_mode`."""
        return "truncate" if self is Mode.ROLLBACK else "wal"


def check_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse a SQLite that is too old for our statements."""
    if version < OLDEST:
        found, needed = (".".join(map(str, number)) for number in (version, OLDEST))
        raise Unavailable(f"SQLite {found} is too old; use a Python with SQLite {needed} or newer")


def writer(path: Path, mode: Mode) -> sqlite3.Connection:
    """The one connection that writes, and does the checkpoints."""
    connection = _connect(path, "rw")
    _set(connection, COMMON | {"wal_autocheckpoint": "0"})
    if mode is Mode.EXCLUSIVE:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    (journal,) = connection.execute(f"PRAGMA journal_mode={mode.journal}").fetchone()
    if journal != mode.journal:
        connection.close()
        raise Unavailable(
            f"database '{path}' cannot have a journal of kind {mode.journal!r} where it lies;"
            " set stores.sqlite.network_mode to 'rollback'"
        )
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """A connection that never writes."""
    connection = _connect(path, "rw")
    _set(connection, COMMON | {"wal_autocheckpoint": "0", "query_only": "ON"})
    return connection


def blank() -> sqlite3.Connection:
    """A connection to an empty database in memory, which stands for a file that is not there yet."""
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{_quoted(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _quoted(path: str) -> str:
    """A path inside of a URI file name, where three characters mean something else (SQLite, "URI Filenames")."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _set(connection: sqlite3.Connection, pragmas: dict[str, str]) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name}={value}")
