"""Lets other processes of the same user on the same host use a store that this process owns, over a Unix socket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torc_core import hookimpl

if TYPE_CHECKING:
    from torc_core.protocols import Clock, Server, Store
    from torc_core.providers import ServerProvider, StoreProvider
    from torc_socket.settings import SocketServerSettings, SocketStoreSettings


@hookimpl
def torc_servers() -> Iterable[ServerProvider]:
    """Offer to serve a store on a Unix socket; every owner of a database does."""
    from torc_core.providers import ServerProvider
    from torc_socket.settings import SocketServerSettings

    yield ServerProvider(
        name="socket",
        summary="A Unix socket, for the same user on the same host.",
        settings=SocketServerSettings,
        open=open_server,
        owner=True,
    )


@hookimpl
def torc_stores() -> Iterable[StoreProvider]:
    """Offer `unix:///run/user/1000/torc/4242.sock`."""
    from torc_core.providers import StoreProvider
    from torc_socket.settings import SocketStoreSettings

    yield StoreProvider(
        name="unix",
        summary="A store that another process of this host owns.",
        settings=SocketStoreSettings,
        open=open_store,
    )


def open_server(store: Store, settings: SocketServerSettings) -> Server:
    """A server that is not started yet."""
    from torc_socket.server import SocketServer

    return SocketServer(store, settings)


def open_store(url: str, settings: SocketStoreSettings, clock: Clock) -> Store:
    """The store behind the socket of a URL: what follows `unix://` is the path as it is.

    Raises
    ------
    Unavailable
        If nobody answers there, or somebody else's process does.
    """
    from torc_socket.client import SocketStore

    return SocketStore(url.removeprefix("unix://"), settings)
