"""A store that is spoken to in the JSON forms of `wire.md` §7 keeps the contract of stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.http.x.forms import XStore
from torc_core.config.credentials import Credentials
from torc_core.protocols import Clock
from torc_core.testing.stores.claims import ClaimContract
from torc_core.testing.stores.failures import FailureContract
from torc_core.testing.stores.finishing import FinishingContract
from torc_core.testing.stores.holding import HoldingContract
from torc_core.testing.stores.liveness import LivenessContract
from torc_core.testing.stores.releasing import ReleaseContract
from torc_core.testing.stores.turns import TurnContract
from torc_http import open_store
from torc_http.client.settings import HttpStoreSettings
from torc_sqlite import open_sqlite
from torc_sqlite.settings import SqliteSettings


class TestJsonForms(
    ClaimContract, HoldingContract, TurnContract, FinishingContract, ReleaseContract, LivenessContract, FailureContract
):  # fmt: skip
    """SQLite behind a server; runners use X1 to X7, and plans come through `/x/plans`."""

    listens = False

    @pytest.fixture
    def store(self, tmp_path: Path, clock: Clock, serve: Any) -> Iterator[Any]:
        """A store whose database belongs to a server of this process."""
        with (
            closing(open_sqlite(f"sqlite://{tmp_path}/torc.db", SqliteSettings(), clock)) as owned,
            serve(owned, clock) as url,
        ):
            credentials = Credentials(username="ann", key_folder=tmp_path)
            with closing(open_store(url, HttpStoreSettings(), clock, credentials)) as store:
                yield XStore(store)  # type: ignore[arg-type]
