"""Routes that other plugins add to the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torc_core.errors import PluginError

if TYPE_CHECKING:
    from pluggy import PluginManager

    from torc_http.routes import Route

_known: list[PluginManager] = []


def remember(manager: PluginManager) -> None:
    """Ask the plugins of this manager from now on; a program has one."""
    _known[:] = [manager]


def routes() -> Sequence[Route]:
    """What the plugins offer.

    Raises
    ------
    PluginError
        If one of them clashes with a route that is there, or declares no class.
    """
    from torc_http.routes import all_routes, checked

    found = [
        route for manager in _known for offered in manager.hook.torc_http_routes() for route in offered or ()
    ]
    whole = [*all_routes(), *found]
    try:
        return checked(whole)
    except ValueError as error:
        raise PluginError(f"a plugin offers a route that cannot be served: {error}") from error
