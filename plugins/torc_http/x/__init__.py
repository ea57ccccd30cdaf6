"""What we add to the published contract, all below `/x/` (`wire.md` §7)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_http.routes import Route


def routes() -> Sequence[Route]:
    """Every addition."""
    from torc_http.x import events, security, servers, sessions, verbs

    return (*verbs.ROUTES, *events.ROUTES, *security.ROUTES, *sessions.ROUTES, *servers.ROUTES)
