"""How many threads may do what takes long, so that beats and pings always find one (`promises.md` W2)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torc_http.errors import Refused

if TYPE_CHECKING:
    from torc_http.routes import Route
    from torc_http.serving.server import HttpService

LARGE = 64 * 1024
"""Bytes from which on a body is large, where it may be."""

PARTS = {"large": 2, "slow": 4}
"""Of how many threads one may take large bodies, and one may do slow things."""


class Shares:
    """Counts who is in there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()

    @contextmanager
    def one(self, route: Route, size: int, service: HttpService | None) -> Iterator[None]:
        """Take part in a share as long as the block lasts; what is short has none.

        Parameters
        ----------
        size
            Of the body, in bytes.

        Raises
        ------
        Refused
            With 503, if the share is used up.
        """
        kind = "slow" if route.slow else "large" if route.size == "bulk" and size >= LARGE else None
        if kind is None or service is None:
            yield
            return
        most = max(1, service.workers.count // PARTS[kind])
        with self._lock:
            if self._inside[kind] >= most:
                raise Refused(
                    503, f"{most} requests of this kind, which take long, are under way; try again",
                    headers={"Retry-After": "1"}, details={"busy": True},
                )  # fmt: skip
            self._inside[kind] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[kind] -= 1
