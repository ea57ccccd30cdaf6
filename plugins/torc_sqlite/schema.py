"""Bring a file to the schema of this code (`promises.md` Q10)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

from torc_core.errors import Unavailable
from torc_sql.migrations import NEWEST, migration

Steps = Callable[[int], Sequence[str]]


def version(connection: sqlite3.Connection) -> int:
    """The number of the schema; 0: there is none yet.

    Raises
    ------
    Unavailable
        If the file is a database of something else.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return 0
    if not {"meta", "workflow", "server_lease"} <= tables:
        raise Unavailable("the database was not made by torc; move it away, or choose another file")
    found = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    return int(found[0])


def migrate(
    connection: sqlite3.Connection, path: Path | None, newest: int = NEWEST, steps: Steps = migration
) -> None:
    """Apply what is missing, each number in one transaction, after a copy `<path>.before-<number>`.

    Raises
    ------
    Unavailable
        If the file has a newer schema than this code.
    """
    present = version(connection)
    if present > newest:
        raise Unavailable(
            f"the database has schema {present}, and this torc knows schemas up to {newest}; use a newer torc"
        )
    if not present and steps is migration and (image := _image(newest)) is not None:
        with closing(_memory()) as made:
            made.deserialize(image)
            made.backup(connection)
        return
    for number in range(present + 1, newest + 1):
        if present and path is not None:
            _copy(connection, path, number)
        # NOTE: with foreign keys on, rebuilding a table would delete the rows that refer to it.
        connection.execute("PRAGMA foreign_keys=OFF")
        try:
            _apply(connection, number, steps(number))
        finally:
            connection.execute("PRAGMA foreign_keys=ON")


@cache
def _image(newest: int) -> bytes | None:
    """An empty database of this schema, byte for byte; None: this SQLite cannot give one away."""
    # PERF: what a process makes anew after the first time is copied, 3 ms instead of 40.
    if not hasattr(sqlite3.Connection, "serialize"):
        return None
    with closing(_memory()) as made:
        for number in range(1, newest + 1):
            _apply(made, number, migration(number))
        return made.serialize()


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def _apply(connection: sqlite3.Connection, number: int, statements: Sequence[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('schema', ?)", (str(number),))
        if broken := connection.execute("PRAGMA foreign_key_check").fetchall():
            raise Unavailable(
                f"schema {number} cannot be applied: {len(broken)} rows refer to rows that are not there, the first"
                f" in table '{broken[0][0]}'; the database is unchanged, please report this"
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _copy(connection: sqlite3.Connection, path: Path, number: int) -> None:
    """Keep the file as it was before a migration; the copy before that goes."""
    kept = path.with_name(f"{path.name}.before-{number}")
    part = path.with_name(f"{kept.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        target = sqlite3.connect(part, isolation_level=None)
        try:
            connection.backup(target, pages=256)
        finally:
            target.close()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(kept)
    for old in path.parent.glob(f"{path.name}.before-*"):
        if old != kept:
            old.unlink()
