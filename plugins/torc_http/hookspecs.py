"""The hook by which other plugins add routes to the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pluggy import HookspecMarker

if TYPE_CHECKING:
    from torc_http.routes import Route

hookspec = HookspecMarker("torc")


@hookspec
def torc_http_routes() -> Iterable[Route]:
    """Offer further routes, each with the class of callers that may use it. Called once per server, before it serves.

    A route that declares `outside=True` does not lie below the base path: pages of a dashboard, say. What a handler is
    given is a `torc_http.call.Call`, whose `store` the caller's rights already limit.
    """
    return ()
