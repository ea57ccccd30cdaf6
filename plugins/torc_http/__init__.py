"""Speaks HTTP: serves a store to programs of this host and of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torc_core import hookimpl

if TYPE_CHECKING:
    from pluggy import PluginManager


@hookimpl
def torc_addhooks(manager: PluginManager) -> None:
    """Let plugins add routes of their own to the server: dashboards, metrics."""
    from torc_http import hookspecs

    manager.add_hookspecs(hookspecs)
