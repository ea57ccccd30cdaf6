"""Serving a store to other processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torc_core.model import Assignment


class Server(Protocol):
    """Serves a store to other processes."""

    def start(self) -> Mapping[str, str]:
        """Serve in the background; the addresses by kind, such as `{"socket": "/run/…"}`."""
        ...

    def close(self) -> None:
        """Stop serving."""
        ...


@runtime_checkable
class Admitting(Protocol):
    """A server, or a store behind one, that lets jobs speak to it."""

    def job_url(self, given: Assignment) -> str | None:
        """The address that a job may use, good for this attempt (`security.md` O2); None: it gets none."""
        ...
