"""What SQLite complains of, in sentences."""

from __future__ import annotations

import sqlite3

from torc_core.errors import Full, Invalid, TorcError, Unavailable

_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then run the command again",
    sqlite3.SQLITE_BUSY: "another program has it locked; close that program and run the command again",
    sqlite3.SQLITE_LOCKED: "another program has it locked; close that program and run the command again",
    sqlite3.SQLITE_READONLY: "it may not be written; check the permissions of the file, of its -wal and -shm, and of its directory",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the permissions of the file and its directory",
    sqlite3.SQLITE_PERM: "it cannot be opened; check the permissions of the file and its directory",
    sqlite3.SQLITE_IOERR: "the file system reports an error; check the disk and run the command again",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a backup, or move it away to start with an empty one",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; move it away, or choose another file",
}


_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
"""Codes that say that the disk is full; the second: the index of the log could not grow."""
BROKEN = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""Primary codes after which nothing is written until a page could be written again (`promises.md` Q11)."""


def broken(error: Exception) -> bool:
    """Whether the disk, and not the statement, was at fault."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in BROKEN


def translated(error: Exception, path: str) -> TorcError | None:
    """The error of torc for one of the driver; None for those that only a bug can cause."""
    if isinstance(error, OverflowError):
        return Invalid("a number is beyond 64 bits; write one between -2^63 and 2^63 - 1")
    if isinstance(error, UnicodeEncodeError):
        return Invalid(f"text {error.object[:40]!r} is not valid Unicode; remove the lone surrogates from it")
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int) and code in _NO_ROOM:
        return Full(f"database {path!r} cannot be written: {_SENTENCES[sqlite3.SQLITE_FULL]}")
    sentence = _SENTENCES.get(code & 0xFF) if isinstance(code, int) else None
    return Unavailable(f"database {path!r} cannot be used: {sentence}") if sentence else None
