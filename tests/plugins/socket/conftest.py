"""A store in memory behind a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from torc_core.system import SystemClock
from torc_core.testing.memory import MemoryStore
from torc_socket.client import SocketStore
from torc_socket.server import SocketServer
from torc_socket.settings import SocketServerSettings, SocketStoreSettings


@pytest.fixture
def behind() -> MemoryStore:
    """The store that is served."""
    return MemoryStore(SystemClock())


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A private folder with a short name, as sockets need it."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="torc"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(behind: MemoryStore, folder: Path) -> Iterator[SocketServer]:
    """A server of that store, not started yet."""
    settings = SocketServerSettings(directory=str(folder), max_connections=8, max_message_mb=4)
    server = SocketServer(behind, settings)
    yield server
    server.close()


@pytest.fixture
def address(server: SocketServer) -> str:
    """Where the started server listens."""
    return server.start()["socket"]


@pytest.fixture
def store(address: str) -> Iterator[SocketStore]:
    """The same store as another process sees it."""
    store = SocketStore(address, SocketStoreSettings())
    yield store
    store.close()
