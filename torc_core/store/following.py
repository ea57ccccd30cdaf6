"""A store of another process, and of this one once the other has gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torc_core.errors import Unreached
from torc_core.protocols import Shared, Store


class Following:
    """The `Store` protocol, passed on to whoever has the database at the time.

    Two runs share a database: the second speaks to the first. When the first ends, the database is free, the next
    call of the second opens it, and the work goes on.

    Parameters
    ----------
    store
        The store of the other process.
    reopen
        Opens the same store anew: directly, or through its next owner.
    """

    def __init__(self, store: Store, reopen: Callable[[], Store]) -> None:
        self._store = store
        self._reopen = reopen
        self._lock = threading.Lock()
        self.taken: Callable[[Store], None] | None = None
        """Called with the store when it has become one of this process."""

    @property
    def present(self) -> Store:
        """The store that is spoken to at the time."""
        return self._store

    def close(self) -> None:
        """Close what is open at the time."""
        self._store.close()

    def __getattr__(self, name: str) -> Any:
        member = self._with(lambda store: getattr(store, name))
        if not callable(member):
            return member
        return lambda *args, **named: self._with(lambda store: getattr(store, name)(*args, **named))

    def _with(self, call: Callable[[Store], Any]) -> Any:
        while True:
            store = self._store
            try:
                return call(store)
            except Unreached:
                self._move_on_from(store)

    def _move_on_from(self, gone: Store) -> None:
        with self._lock:
            if self._store is not gone:
                return  # another thread was faster
            gone.close()
            self._store = self._reopen()
            if self.taken is not None and isinstance(self._store, Shared):
                self.taken(self._store)
