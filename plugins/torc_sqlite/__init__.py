"""Workflows in a SQLite file: for one machine, or behind one server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torc_core import hookimpl
from torc_core.providers import StoreProvider
from torc_sqlite.settings import MemorySettings, SqliteSettings

if TYPE_CHECKING:
    from torc_core.protocols import Clock, Store


@hookimpl
def torc_stores() -> Iterable[StoreProvider]:
    """Offer `sqlite:///path`."""
    yield StoreProvider(
        name="sqlite",
        summary="A file, for one machine or one server.",
        settings=SqliteSettings,
        open=open_sqlite,
    )
    yield StoreProvider(
        name="sqlite-memory",
        summary="The same in memory, copied into the file at the end.",
        settings=MemorySettings,
        open=open_memory,
    )


def open_sqlite(url: str, settings: SqliteSettings, clock: Clock) -> Store:
    """Open the file of a URL such as `sqlite:///home/a/torc.db`: what follows `sqlite://` is the path as it is.

    Raises
    ------
    Owned
        If another process of this host has the file.
    Unavailable
        If it cannot be opened.
    """
    from torc_sql.store import SqlStore
    from torc_sqlite.database import SqliteDatabase

    return SqlStore(SqliteDatabase(_path(url), settings, clock), clock, settings.rules)


def open_memory(url: str, settings: MemorySettings, clock: Clock) -> Store:
    """As `open_sqlite`, for `sqlite-memory:///home/a/torc.db`: all is done in memory, and the file written at the end."""
    from torc_sql.store import SqlStore
    from torc_sqlite.volatile import VolatileDatabase

    return SqlStore(VolatileDatabase(_path(url), SqliteSettings(), settings, clock), clock)


def _path(url: str) -> str:
    path = url.partition("://")[2]
    # Four slashes, as other programs write an absolute path, mean the same as three.
    return f"/{path.lstrip('/')}" if path.startswith("//") else path
