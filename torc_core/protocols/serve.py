"""Serving a store to other processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Server(Protocol):
    """Serves a store to other processes."""

    def start(self) -> Mapping[str, str]:
        """Serve in the background; the addresses by kind, such as `{"socket": "/run/…"}`."""
        ...

    def close(self) -> None:
        """Stop serving."""
        ...
