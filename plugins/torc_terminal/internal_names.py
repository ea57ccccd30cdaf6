"""The name under which other nodes of a cluster reach this host: candidates, what speaks for each, and the best one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from torc_core.record import record

FAST = ("hsn", "ib", "opa")
"""Beginnings of the names of fast networks, of their interfaces as of labels in host names."""

CONFIGURED, TEMPLATE, ROUTE, NETWORK, SHORT, FULL, OTHER, NUMBER = range(8)
"""What speaks for a name, the best first (`slurm.md` HN3)."""

REASONS: Mapping[int, str] = {
    CONFIGURED: "configured as client.hpc.hostname",
    TEMPLATE: "the form that this cluster's profile has for internal names",
    ROUTE: "on the way to the controller of Slurm",
    NETWORK: "on a fast network",
    SHORT: "the short name of this host",
    FULL: "the full name of this host",
    OTHER: "a further name of this host",
    NUMBER: "the address on the way to the controller of Slurm, as no name leads there",
}


@record(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a batch system knows of the matter.

    Parameters
    ----------
    templates
        Forms of internal names, with `{short}` and `{fqdn}`.
    controller
        The host of its controller, which is on the cluster's side of the network.
    """

    templates: Sequence[str] = ()
    controller: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of this host.

    Parameters
    ----------
    interfaces
        By address, of those that are up, without loopback: the name of the interface.
    aliases
        Names of this host in `/etc/hosts`.
    reverse
        By address: its name, as `hostname -A` finds it.
    resolve
        A name to its addresses; none if nobody knows it.
    binds
        Whether one can listen on an address.
    source
        Which of our addresses leads to a host; None: none does.
    """

    short: str
    fqdn: str
    interfaces: Mapping[str, str]
    aliases: Sequence[str]
    reverse: Mapping[str, str]
    resolve: Callable[[str], Sequence[str]]
    binds: Callable[[str], bool]
    source: Callable[[str], str | None]


@record(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A name that might do.

    Parameters
    ----------
    address, interface
        Where it leads, if that is a place on this host on which one can listen; else None.
    source
        Where it comes from, such as `hostname -A`.
    rank
        What speaks for it; `why_not` what speaks against it.
    """

    name: str
    source: str
    address: str | None = None
    interface: str | None = None
    rank: int = OTHER
    why_not: str | None = None

    @property
    def reason(self) -> str:
        """What speaks for it, or against it."""
        return self.why_not or REASONS[self.rank]


def ranked(facts: Facts, hints: Hints = Hints(), configured: str | None = None) -> list[Candidate]:  # noqa: B008 - a frozen value
    """All candidates: those that qualify first, the best of them at the head; then the others."""
    route = facts.source(hints.controller) if hints.controller else None
    found: dict[str, Candidate] = {}
    for name, source, rank in _named(facts, hints, configured):
        if name and not name.startswith("localhost") and name not in found:
            found[name] = _judged(Candidate(name=name, source=source, rank=rank), facts, route)
    if route is not None and route in facts.interfaces:
        number = Candidate(
            name=route, source="route", address=route, interface=facts.interfaces[route], rank=NUMBER
        )
        deaf = None if facts.binds(route) else f"one cannot listen on {route}"
        found.setdefault(route, replace(number, why_not=deaf))
    return sorted(
        found.values(), key=lambda one: (one.why_not is not None, one.rank, len(one.name), one.name)
    )


def _named(facts: Facts, hints: Hints, configured: str | None) -> Iterable[tuple[str, str, int]]:
    if configured:
        yield configured, "configuration", CONFIGURED
    for text in hints.templates:
        yield text.replace("{short}", facts.short).replace("{fqdn}", facts.fqdn), "profile", TEMPLATE
    for name in facts.aliases:
        yield name, "/etc/hosts", OTHER
    for name in facts.reverse.values():
        yield name, "hostname -A", OTHER
    yield facts.short, "hostname -s", SHORT
    yield facts.fqdn, "hostname -f", FULL


def _judged(one: Candidate, facts: Facts, route: str | None) -> Candidate:
    addresses = facts.resolve(one.name)
    if not addresses:
        return replace(one, why_not="nobody knows the name")
    ours = [address for address in addresses if address in facts.interfaces]
    if not ours:
        loops = all(address.startswith("127.") or address == "::1" for address in addresses)
        return replace(
            one,
            why_not="leads to loopback" if loops else f"leads to {addresses[0]}, which is not of this host",
        )
    address = next((address for address in ours if facts.binds(address)), None)
    if address is None:
        return replace(one, why_not=f"one cannot listen on {ours[0]}")
    interface = facts.interfaces[address]
    rank = one.rank
    if rank > ROUTE and address == route:
        rank = ROUTE
    elif rank > NETWORK and (interface.startswith(FAST) or fast_label(one.name)):
        rank = NETWORK
    elif rank == OTHER and one.name == facts.short:
        rank = SHORT
    elif rank == OTHER and one.name == facts.fqdn:
        rank = FULL
    return replace(one, address=address, interface=interface, rank=rank)


def fast_label(name: str) -> bool:
    """Whether a label of a name, but the first, is that of a fast network."""
    return any(label.startswith(FAST) for label in name.split(".")[1:])


def gathered() -> Facts:
    """What is known of this host now."""
    import psutil

    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    interfaces = {
        one.address.partition("%")[0]: name
        for name, addresses in psutil.net_if_addrs().items()
        if name in up
        for one in addresses
        if one.family in (socket.AF_INET, socket.AF_INET6) and not _local(one.address)
    }
    reverse: dict[str, str] = {}
    for address in interfaces:
        with suppress(OSError):
            reverse[address] = socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
    short = socket.gethostname().partition(".")[0]
    return Facts(
        short=short, fqdn=socket.getfqdn(), interfaces=interfaces, aliases=_aliases(short), reverse=reverse,
        resolve=_resolve, binds=_binds, source=_source,
    )  # fmt: skip


def _local(address: str) -> bool:
    """Whether an address means the very host that uses it, or needs a zone."""
    return address.startswith(("127.", "fe80:")) or address == "::1"


def _aliases(short: str) -> list[str]:
    names: list[str] = []
    with suppress(OSError), open("/etc/hosts", encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.partition("#")[0].split()[1:]
            if short in {word.partition(".")[0] for word in words}:
                names += words
    return names


def _resolve(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(where[0]).partition("%")[0] for _, _, _, _, where in found))


def _binds(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as one:
        one.bind((address, 0))
        return True
    return False


def _source(host: str) -> str | None:
    """The address from which we would speak to a host; nothing is sent."""
    for address in _resolve(host):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as one:
            one.connect((address, 9))
            return str(one.getsockname()[0])
    return None
