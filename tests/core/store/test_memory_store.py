"""The memory store, judged by the contract that it specifies."""

from __future__ import annotations

import pytest

from torc_core.testing.memory import MemoryStore
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores import EmbeddedStoreContract


class TestMemoryStore(EmbeddedStoreContract):
    @pytest.fixture
    def store(self, clock: SetClock) -> MemoryStore:
        return MemoryStore(clock)
