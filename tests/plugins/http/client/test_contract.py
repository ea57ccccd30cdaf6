"""A store behind a server keeps the contract of stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from torc_core.config.credentials import Credentials
from torc_core.protocols import Clock, Store
from torc_core.store.calls import CALLS, ONCE
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores import StoreContract
from torc_core.testing.stores.agreement import CASES
from torc_http import open_store
from torc_http.client.settings import HttpStoreSettings
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings

SEQUENCES = CASES // 5


class TestHttpStore(StoreContract):
    """SQLite behind a server, over a socket."""

    listens = False

    @pytest.fixture
    def store(self, tmp_path: Path, clock: Clock, serve: Any) -> Iterator[Store]:
        """A store whose database belongs to a server of this process."""
        with (
            closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as owned,
            serve(owned, clock) as url,
        ):
            credentials = Credentials(username="ann", key_folder=tmp_path)
            with closing(open_store(url, HttpStoreSettings(), clock, credentials)) as store:
                yield store

    # What a sequence does to a store is SQLite's matter; here it is seen that nothing is lost on the way.
    @pytest.mark.parametrize("seed", range(SEQUENCES))
    def test_the_store_agrees_with_the_memory_store(self, store: Store, clock: SetClock, seed: int) -> None:
        super().test_the_store_agrees_with_the_memory_store(store, clock, seed)

    @pytest.mark.parametrize("seed", range(SEQUENCES))
    def test_what_follows_from_ends_agrees_with_the_memory_store(
        self, store: Store, clock: SetClock, seed: int
    ) -> None:
        super().test_what_follows_from_ends_agrees_with_the_memory_store(store, clock, seed)


def test_what_is_repeated_with_a_key_is_a_call() -> None:
    assert ONCE <= CALLS
