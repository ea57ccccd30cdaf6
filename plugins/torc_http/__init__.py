"""Speaks HTTP: serves a store to programs of this host and of others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torc_core import hookimpl

if TYPE_CHECKING:
    from cyclopts import App
    from pluggy import PluginManager

    from torc_core.config import Config
    from torc_core.config.credentials import Credentials
    from torc_core.protocols import Clock, Server, Store
    from torc_core.providers import ServerProvider, StoreProvider
    from torc_http.client.settings import HttpStoreSettings
    from torc_http.settings import OwnerSettings


@hookimpl
def torc_addhooks(manager: PluginManager) -> None:
    """Let plugins add routes of their own to the server: dashboards, metrics."""
    from torc_http import hookspecs, plugged

    manager.add_hookspecs(hookspecs)
    plugged.remember(manager)


@hookimpl
def torc_commands(app: App) -> None:
    """Add `torc server`, which is also the program `torc-server`."""
    app.command(
        "torc_http.program:app", name="server", help="Serve a database to runners, scripts and dashboards."
    )
    app.command("torc_http.program.run:run", name="serve", show=False)


@hookimpl
def torc_servers() -> Iterable[ServerProvider]:
    """Offer to serve a store on loopback and on a Unix socket; every owner of a database does."""
    from torc_core.providers import ServerProvider
    from torc_http.settings import OwnerSettings

    yield ServerProvider(
        name="http",
        summary="REST, on loopback and on a Unix socket.",
        settings=OwnerSettings,
        open=open_server,
        owner=True,
    )


def open_server(store: Store, settings: OwnerSettings, config: Config, clock: Clock) -> Server:
    """A server that is not started yet."""
    from torc_http.owning import OwnerServer

    return OwnerServer(store, settings, config, clock)


@hookimpl
def torc_stores() -> Iterable[StoreProvider]:
    """Offer `http://host:8080/torc-service/v1`, the same over TLS, and `unix:///run/user/1000/torc/4242.sock`."""
    from torc_core.providers import StoreProvider
    from torc_http.client.settings import HttpStoreSettings

    for name, summary in (
        ("http", "A server."),
        ("https", "A server, over TLS."),
        ("unix", "A store that another process of this host owns."),
    ):
        yield StoreProvider(
            name=name, summary=summary, settings=HttpStoreSettings, open=open_store, credentials=True
        )


def open_store(url: str, settings: HttpStoreSettings, clock: Clock, credentials: Credentials) -> Store:
    """The store behind a server.

    Raises
    ------
    Unavailable
        If nobody answers there.
    Unauthorized
        If the server does not know us, or we do not know the server.
    """
    from torc_http.client.opening import opened

    return opened(url, settings, clock, credentials)
