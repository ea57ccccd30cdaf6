"""Addresses of remote workers: `[user@]host[:port]`, checked and brought into one form (`remote.md` RW2-RW6)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from torc_core.errors import Invalid
from torc_core.record import record

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*\$?")
_PORT = re.compile(r"[0-9]{1,5}")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,64}")

LONGEST_HOST = 253


@record(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a worker is; what is None is left to the configuration of ssh.

    Parameters
    ----------
    host
        In lower case; IPv6 compressed, without brackets.
    """

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def text(self) -> str:
        """The form that is stored and shown: IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{user}{host}" + (f":{self.port}" if self.port else "")


def parse(text: str) -> Address:
    """Read an address.

    Raises
    ------
    Invalid
        Naming the part that is wrong.
    """
    user, at, place = text.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise Invalid(f"invalid user {user!r} in {text!r}")
    host, port = _split(place, text)
    if port is not None and not (_PORT.fullmatch(port) and 1 <= int(port) <= 65_535):
        raise Invalid(f"invalid port {port!r} in {text!r} (1-65535)")
    return Address(
        host=_host(host, text), user=user if at else None, port=None if port is None else int(port)
    )


def check_once(new: Address, known: Iterable[str]) -> bool:
    """Whether an address is new to a workflow; the very same one is there already.

    Raises
    ------
    Invalid
        If its host is there with another user or port; the sentence names that address.
    """
    for other in known:
        if other == new.text:
            return False
        if parse(other).host == new.host:
            raise Invalid(f"worker {new.text!r} is on the same host as {other!r}; a host can be added once")
    return True


def _split(place: str, text: str) -> tuple[str, str | None]:
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            raise Invalid(f"invalid address {text!r}; write IPv6 as [address] or [address]:port")
        return host, rest[1:] if rest else None
    if place.count(":") > 1:
        # More than one colon: an IPv6 address without a port.
        return place, None
    host, colon, port = place.partition(":")
    return host, port if colon else None


def _host(host: str, text: str) -> str:
    if ":" in host:
        address, percent, zone = host.partition("%")
        try:
            short = ipaddress.IPv6Address(address).compressed
        except ValueError as error:
            raise Invalid(f"invalid host {host!r} in {text!r}") from error
        if percent and not _ZONE.fullmatch(zone):
            raise Invalid(f"invalid host {host!r} in {text!r}")
        return f"{short}{percent}{zone}"
    if len(host) > LONGEST_HOST or not _HOST.fullmatch(host):
        raise Invalid(f"invalid host {host!r} in {text!r}")
    return host.lower()
