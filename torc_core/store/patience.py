"""How long a call may wait for its turn to write; who answers somebody sets it, everybody else waits as long as it takes."""

from __future__ import annotations

from contextvars import ContextVar

WRITER_PATIENCE: ContextVar[float | None] = ContextVar("WRITER_PATIENCE", default=None)
"""Seconds; None: for ever."""
