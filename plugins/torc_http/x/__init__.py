"""What we add to the published contract, all below `/x/` (`wire.md` §7)."""

from __future__ import annotations

from collections.abc import Sequence

from torc_http.routes import Route


def routes() -> Sequence[Route]:
    """Every addition."""
    from torc_http.x import (
        actions,
        allocations,
        events,
        explain,
        graph,
        jobs,
        metrics,
        nodes,
        patches,
        plans,
        runs,
        security,
        servers,
        sessions,
        transfer,
        verbs,
    )

    return (
        *verbs.ROUTES, *events.ROUTES, *security.ROUTES, *sessions.ROUTES, *servers.ROUTES, *nodes.ROUTES, *actions.ROUTES,
        *allocations.ROUTES, *runs.ROUTES, *jobs.ROUTES, *patches.ROUTES, *transfer.ROUTES, *plans.ROUTES, *explain.ROUTES, *metrics.ROUTES, *graph.ROUTES,
    )  # fmt: skip
