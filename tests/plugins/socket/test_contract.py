"""A store behind a socket keeps the whole contract of a store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

import pytest

from torc_core.testing.memory import MemoryStore
from torc_core.testing.plugin import SetClock
from torc_core.testing.stores import StoreContract
from torc_socket.client import SocketStore
from torc_socket.server import SocketServer
from torc_socket.settings import SocketServerSettings, SocketStoreSettings


class TestSocketStore(StoreContract):
    """Served from memory: what differs is the socket's fault."""

    listens = False

    @pytest.fixture
    def store(self, clock: SetClock) -> Iterator[SocketStore]:
        folder = tempfile.mkdtemp(prefix="torc")
        server = SocketServer(MemoryStore(clock), SocketServerSettings(directory=folder))
        store = SocketStore(server.start()["socket"], SocketStoreSettings())
        yield store
        store.close()
        server.close()
        shutil.rmtree(folder)
