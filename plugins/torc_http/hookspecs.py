"""The hook by which other plugins add routes to the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pluggy import HookspecMarker

if TYPE_CHECKING:
    from torc_core.protocols import Store

hookspec = HookspecMarker("torc")


@hookspec
def torc_http_routes(store: Store) -> Iterable[tuple[str, object]]:
    """Offer further Falcon resources, each with its path. Called once per server, before it listens."""
    return ()
