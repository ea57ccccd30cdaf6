"""A store in memory: for tests, and as the readable specification of every other one."""

from __future__ import annotations

from torc_core.testing.memory.store import MemoryStore

__all__ = ["MemoryStore"]
