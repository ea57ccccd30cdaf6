"""A port of this host that leads to the server, and makes nobody its owner (`remote.md` RW56).

What comes out of a tunnel is connected by a process of the server's own user, and a server takes connections on loopback
from its user's processes for this user's (`security.md` §3.3): everybody on the worker's host would be that user. So the
server is approached from an address that it does not take for its own host; then only a credential counts. Whether that
holds is tried out before anything is led there.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from torc_core.errors import Conflict
from torc_core.record import record

PIECE = 1 << 16
PATIENCE = 10.0


@record(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to the server: where to, and from which address of this host; None: the system's choice."""

    host: str
    port: int
    source: str | None = None

    def connect(self) -> socket.socket:
        """A connection along it."""
        source = None if self.source is None else (self.source, 0)
        return socket.create_connection((self.host, self.port), PATIENCE, source)


def safe_route(url: str) -> Route:
    """A way to the server on which it asks for a credential.

    Raises
    ------
    Conflict
        If there is none: it does not answer, or it takes everybody for its owner.
    """
    trusted = False
    for route in routes(url):
        status = _answer(route, url)
        if status in (401, 403):
            return route
        trusted |= status is not None
    if trusted:
        raise Conflict(
            f"no tunnel is made: the server at {url} asks nobody on this host for a credential, so that every user of "
            "the workers' hosts would be you; start it with --auth credentials, or name an address with --worker-url"
        )
    raise Conflict(f"no tunnel is made: the server at {url} does not answer on this host")


def routes(url: str) -> Iterator[Route]:
    """Ways to try, the likely ones first."""
    split = urlsplit(url)
    host, port = split.hostname or "", split.port or (443 if split.scheme == "https" else 80)
    own = own_addresses()
    named = _addresses_of(host)
    if not named or any(_loopback(one) or one in own for one in named):
        targets = dict.fromkeys(["127.0.0.1", "::1", *named])
        for target in targets:
            for source in own:
                if source != target and (":" in source) == (":" in target):
                    yield Route(host=target, port=port, source=source)
    else:
        yield Route(host=host, port=port)


def own_addresses() -> Sequence[str]:
    """Addresses of this host that are not loopback."""
    import psutil

    return [
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family in (socket.AF_INET, socket.AF_INET6)
        and not _loopback(one.address)
        and "%" not in one.address
    ]


class Relay:
    """Listens on loopback, and passes on what comes there."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._thread = threading.Thread(target=self._accept, name="torc-relay", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def close(self) -> None:
        """Listen no more; connections that are open end with the process."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller:
            try:
                server = self._route.connect()
            except OSError:
                return
            with server:
                server.settimeout(None)
                for one in (caller, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=_pump, args=(server, caller), daemon=True)
                back.start()
                _pump(caller, server)
                back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(PIECE):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _answer(route: Route, url: str) -> int | None:
    """The status of a question that only a user may ask, without a credential; None: no answer."""
    split = urlsplit(url)
    try:
        wire: socket.socket = route.connect()
        if split.scheme == "https":
            import ssl

            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            wire = context.wrap_socket(wire)
        connection = http.client.HTTPConnection(route.host, route.port)
        connection.sock = wire
        connection.request("GET", f"{split.path}/workflows?limit=1", headers={"Accept": "application/json"})
        status = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException):
        return None
    return status


def _addresses_of(host: str) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"
