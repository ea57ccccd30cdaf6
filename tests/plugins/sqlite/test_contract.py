"""The SQLite store keeps the contract of stores, on a file and without shared memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from torc_core.protocols import Clock, Store
from torc_core.testing.stores import EmbeddedStoreContract
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings


class TestSqliteStore(EmbeddedStoreContract):
    """The usual file."""

    durable = True

    @pytest.fixture
    def store(self, tmp_path: Path, clock: Clock) -> Iterator[Store]:
        """An empty store in a file that is not there yet."""
        with closing(open_sqlite(f"sqlite://{tmp_path}/new/torc.db", SqliteSettings(), clock)) as store:
            yield store
