"""The small core of torc: a domain model, pure rules, a few protocols, and the hooks that plugins fill in."""

from __future__ import annotations

from pluggy import HookimplMarker

__version__ = "0.1.0"

API_VERSION = "0.21.0"
"""The published HTTP API that servers of this release speak (`wire.md` §3.1)."""

hookimpl = HookimplMarker("torc")
"""Marks a function of a plugin as the implementation of the hook of the same name."""

__all__ = ["API_VERSION", "__version__", "hookimpl"]
