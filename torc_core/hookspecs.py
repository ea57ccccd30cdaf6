"""Every way into torc, in the order a workflow meets them.

Two kinds of hook, and only two. *Provider* hooks yield descriptions, are read once per process, and hand over
objects that are then called directly. *Moment* hooks are called when something happens, never once per job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pluggy import HookspecMarker, PluginManager

if TYPE_CHECKING:
    from cyclopts import App

    from torc_core.config import Config
    from torc_core.detection import Detected
    from torc_core.model import Event
    from torc_core.providers import (
        ExecutorProvider,
        LauncherProvider,
        MonitorProvider,
        ServerProvider,
        SpecFormat,
        StoreProvider,
    )

hookspec = HookspecMarker("torc")


@hookspec
def torc_addhooks(manager: PluginManager) -> None:
    """Add hooks of your own, for other plugins to implement. Called once, after loading."""


@hookspec
def torc_configure(config: Config) -> None:
    """Look at the configuration; the last chance to object to it, with an `InvalidConfig`."""


@hookspec
def torc_commands(app: App) -> None:
    """Add commands to `torc`, by import path (`app.command("my_plugin.verbs:app", name="verbs")`)."""


@hookspec
def torc_spec_formats() -> Iterable[SpecFormat]:
    """Offer ways to write a workflow down."""
    return ()


@hookspec
def torc_stores() -> Iterable[StoreProvider]:
    """Offer places where workflows can live."""
    return ()


@hookspec
def torc_servers() -> Iterable[ServerProvider]:
    """Offer ways to serve a store to other processes."""
    return ()


@hookspec
def torc_launchers() -> Iterable[LauncherProvider]:
    """Offer ways to start runners."""
    return ()


@hookspec(firstresult=True)
def torc_detect_resources(environ: Mapping[str, str]) -> Detected | None:
    """Say what this node has, or None if you cannot tell. The first answer wins."""


@hookspec
def torc_executors() -> Iterable[ExecutorProvider]:
    """Offer ways to turn a job into a process on this node."""
    return ()


@hookspec
def torc_monitors() -> Iterable[MonitorProvider]:
    """Offer ways to measure jobs while they run."""
    return ()


@hookspec
def torc_events(events: Sequence[Event]) -> None:
    """Something was committed. Called once per commit, after it, never inside it."""
