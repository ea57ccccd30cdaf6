"""Keeps Python's collector of cycles still while very many records are made that all stay alive."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 1024**2
"""Bytes of a body from which on it is worth while."""

_lock = threading.Lock()
_users = 0


@contextmanager
def uncollected(size: int) -> Iterator[None]:
    """No collection in the block, for a body of this many bytes."""
    # PERF: 100,000 jobs are a million objects; looking through them again and again took half of the time.
    global _users  # noqa: PLW0603 - the collector belongs to the process, and so does the count of those who want it still
    if size < LARGE or (not _users and not gc.isenabled()):
        yield
        return
    with _lock:
        _users += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                gc.enable()
