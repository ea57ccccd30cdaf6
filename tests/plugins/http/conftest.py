"""A server in this process, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from torc_core.protocols import Clock, Store
from torc_http.running import Running
from torc_http.serving.listening import listen

Serve = Callable[[Store, Clock], AbstractContextManager[str]]


@contextmanager
def served(store: Store, clock: Clock) -> Iterator[str]:
    running = Running(store, clock, listen(port=0, unix=False))
    running.start()
    try:
        yield f"http://127.0.0.1:{running.doors.port}/torc-service/v1"
    finally:
        running.close()


@pytest.fixture
def serve() -> Serve:
    """Serves a store as long as a block lasts, and gives the address; everybody is its owner."""
    return served
