"""Makes connections and remembers which are open: what connectors have in common, whichever SSH is behind them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from torc_core.engine.addresses import Address
from torc_ssh.connection.protocol import Connection, Destination
from torc_ssh.settings import RemoteSettings

C = TypeVar("C", bound=Connection)


class Making(ABC, Generic[C]):
    """A connector; what it is made of is left to each kind of SSH."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._open: set[C] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    @abstractmethod
    def resolved(self, address: Address) -> Destination:
        """Where an address leads; nothing is connected."""

    def connection(self, address: Address, *, timeout: float | None = None) -> C:
        """A connection to this host, not yet connected."""
        seconds = timeout or self._settings.connect_timeout_secs
        made = self._made(address, seconds, self._settings.command_timeout_secs, self._forget)
        with self._lock:
            self._open.add(made)
        return made

    def close(self) -> None:
        """Close all connections, and what they share."""
        with self._lock:
            connections, self._open = list(self._open), set()
        for one in connections:
            one.close()
        self._shared_closed()

    @abstractmethod
    def _made(self, address: Address, timeout: float, patience: float, closed: Callable[[C], None]) -> C:
        """A connection; `closed` is told when it is closed."""

    @abstractmethod
    def _shared_closed(self) -> None:
        """Close what the connections share."""

    def _forget(self, connection: C) -> None:
        with self._lock:
            self._open.discard(connection)
