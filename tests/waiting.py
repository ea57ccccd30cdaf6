"""Waiting for what another thread or process does, as long as a busy machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 60.0
"""Seconds after which nobody expects any more what has not come."""
SOON = 30.0
"""Seconds within which what is done at once is done, also on a machine with ten times as much to do."""


def until(seen: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is true.

    Raises
    ------
    AssertionError
        If it is not after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"it did not come true within {seconds:g} seconds"
        time.sleep(0.01)


@contextmanager
def soon(seconds: float = SOON) -> Iterator[None]:
    """See that a block waits for nothing that takes longer than this."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took < seconds, f"it took {took:.1f} seconds"


def is_quick(act: Callable[[], float], seconds: float, goes: int = 5) -> bool:
    """Whether something takes less than that where nobody else wants the machine: in one of several goes."""
    return any(act() < seconds for _ in range(goes))
