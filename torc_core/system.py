"""The real clock and the real dice; the only module of the core that asks for either."""

from __future__ import annotations

import os
import time


def cpu_seconds() -> float:
    """Seconds of CPU that this thread has had, however long it waited for them."""
    return time.thread_time()


class SystemClock:
    """Time and chance as the operating system gives them."""

    def now(self) -> int:
        """Milliseconds since 1970, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since boot, suspended time included."""
        return time.clock_gettime(_BOOT)

    def uuid(self) -> str:
        """A random UUID, version 4 (RFC 9562)."""
        bits = (
            int.from_bytes(os.urandom(16)) & ~(0xF000 << 64) & ~(0xC000 << 48)
            | (0x4000 << 64)
            | (0x8000 << 48)
        )
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
