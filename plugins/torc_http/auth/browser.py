"""Keeps web pages out that are not ours (`security.md` §6): Host, Origin, Sec-Fetch-Site, headers of answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address
from typing import Any

PAGES = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer (B7)."""


def host_of(header: str) -> str:
    """The name in a Host header, in lower case and without port, dot at its end and brackets."""
    name = header.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    return name.removesuffix(".")


class OwnNames:
    """The names under which this server is reached: asked for by whoever relies on kernel identity or a cookie (B1)."""

    def __init__(
        self, allowed: Collection[str] = (), addresses: Callable[[], Collection[str]] | None = None
    ) -> None:
        names = {"localhost", socket.gethostname(), os.uname().nodename, *map(host_of, allowed)}
        names |= {name.partition(".")[0] for name in names if not _address(name)}
        self._names = {name.lower() for name in names if name}
        self._addresses = addresses or _interface_addresses
        self._known: frozenset[str] = frozenset()
        self._full = False

    def add(self, name: str) -> None:
        """One more name: that which is advertised."""
        self._names.add(host_of(name))

    def has(self, header: str) -> bool:
        """Whether a Host header names us."""
        name = host_of(header)
        if name in self._names:
            return True
        address = _address(name)
        if address is None:
            return self._long_name(name)
        if address.is_loopback:
            return True
        if str(address) not in self._known:
            # NOTE: interfaces come and go (VPNs); the list is short.
            self._known = frozenset(
                filter(None, (str(_address(one.partition("%")[0]) or "") for one in self._addresses()))
            )
        return str(address) in self._known

    def _long_name(self, name: str) -> bool:
        if not self._full:
            # PERF: the long name may need a name server, which may be slow: asked only by who comes with another name.
            self._full = True
            self._names.add(socket.getfqdn().lower())
        return name in self._names


def foreign_page(environ: Mapping[str, Any]) -> str | None:
    """Why a request comes from a page that is not ours; None if it does not (B2, B3)."""
    origin = environ.get("HTTP_ORIGIN")
    host = environ.get("HTTP_HOST", "")
    scheme = environ.get("wsgi.url_scheme", "http")
    if origin is not None and origin.lower() != f"{scheme}://{host}".lower():
        return f"a page of '{origin[:200]}' may not use this server; only its own pages may"
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is None or site == "same-origin":
        return None
    if site == "none" and environ.get("HTTP_SEC_FETCH_MODE") == "navigate":
        return None
    return "a browser sent this for a page that is not of this server"


def _address(name: str) -> Any:
    try:
        one = ip_address(name)
    except ValueError:
        return None
    return getattr(one, "ipv4_mapped", None) or one


def _interface_addresses() -> Collection[str]:
    import psutil

    return [one.address for each in psutil.net_if_addrs().values() for one in each]
