"""A store in a fresh file, opened as `torc` opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from torc_core.system import SystemClock
from torc_sql.store import SqlStore
from torc_sqlite.database import SqliteDatabase
from torc_sqlite.settings import SqliteSettings

Open = Callable[..., SqlStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be, in a directory that is not there yet."""
    return tmp_path / "data" / "torc.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Open]:
    """Opens the store; what is still open at the end is closed."""
    with ExitStack() as stack:

        def open_store(mode: str = "local", **more: object) -> SqlStore:
            clock = SystemClock()
            settings = SqliteSettings(network_mode=mode)  # type: ignore[arg-type]  # a plain string of a test
            database = SqliteDatabase(str(path), settings, clock, **more)  # type: ignore[arg-type]  # as above
            return stack.enter_context(closing(SqlStore(database, clock)))

        yield open_store
