"""Workflows in a SQLite file: for one machine, or behind one server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torc_core import hookimpl
from torc_core.providers import StoreProvider
from torc_sqlite.settings import SqliteSettings

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

    path = url.removeprefix("sqlite://")
    # Four slashes, as other programs write an absolute path, mean the same as three.
    path = f"/{path.lstrip('/')}" if path.startswith("//") else path
    return SqlStore(SqliteDatabase(path, settings, clock), clock)
