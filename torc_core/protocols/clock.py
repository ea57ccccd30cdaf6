"""Time and chance."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time and chance, so that tests and the simulator own both."""

    def now(self) -> int:
        """Milliseconds since 1970, UTC: for display and records, never for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward, also while the host sleeps."""
        ...

    def uuid(self) -> str:
        """A fresh random UUID."""
        ...
