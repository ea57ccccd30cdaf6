"""What the server says of itself: for `doctor`, and for clients that have to find their way (`wire.md` §7.6)."""

from __future__ import annotations

from typing import Any

from torc_core import API_VERSION, __version__
from torc_http.call import Call
from torc_http.routes import Route
from torc_http.wire.fields import Anything


def server(call: Call) -> dict[str, Any]:
    """What this server is, and where it is reached."""
    parts = call.service.parts or {}
    running = parts.get("running")
    return {
        "server_id": call.service.store.server_id,
        "version": __version__,
        "api_version": API_VERSION,
        "urls": [] if running is None else list(running.urls),
        "uptime_s": 0.0 if running is None else running.uptime,
        "held_claims": len(parts["turns"]) if "turns" in parts else 0,
        "streams": len(parts["streams"]) if "streams" in parts else 0,
        "user": call.principal.name,
        "admin": call.principal.is_admin,
    }


ROUTES = (
    Route(
        method="GET", path="/x/server", operation_id="get_server", access="read", group="system", handler=server,
        answer=Anything(), x=True, summary="What this server is, and where it is reached.",
    ),
)  # fmt: skip
