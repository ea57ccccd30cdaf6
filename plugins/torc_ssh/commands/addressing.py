"""Under which address workers reach the server, directly or through their SSH connection (`remote.md` RW50-RW52)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from torc_core.errors import UsageError
from torc_core.model import Json
from torc_core.record import record
from torc_core.runner.place import boot_id
from torc_ssh.commands.calling import HostTrouble
from torc_terminal.serving import completed, means_itself

Tunnel = Literal["auto", "always", "never"]


class Way(StrEnum):
    """How a worker reaches the server."""

    DIRECT = "direct"
    TUNNEL = "tunnel"


@record(frozen=True, slots=True, kw_only=True)
class Address:
    """What workers are told.

    Parameters
    ----------
    url
        For workers that reach it by themselves.
    here
        The address under which this host reaches the server: where tunnels lead to.
    tunnel
        When a tunnel is used.
    """

    url: str
    here: str
    tunnel: Tunnel

    def way(self, host: str, boot: Json, reach: Json) -> Way:
        """How the worker on a host reaches the server, by what its agent says.

        Raises
        ------
        UsageError
            If the address means each host itself, and tunnels are not wanted.
        HostTrouble
            If the server is not reached from there, and tunnels are not wanted.
        """
        if self.tunnel == "always":
            return Way.TUNNEL
        itself = means_itself(self.url) and boot != boot_id()
        if itself and self.tunnel == "never":
            raise UsageError(self.remedy())
        if itself:
            # NOTE: somebody may listen on the same port of that host; it is not our server.
            return Way.TUNNEL
        told = reach if isinstance(reach, dict) else {}
        if told.get("ok") is True:
            return Way.DIRECT
        if self.tunnel == "auto":
            return Way.TUNNEL
        raise HostTrouble(f"{host} cannot reach {self.url}: {told.get('text')}", "unreached", self.remedies())

    def remedy(self) -> str:
        """What to do about an address that means each worker itself."""
        split = urlsplit(self.url)
        port = f":{split.port}" if split.port else ""
        return (
            f"server address '{self.url}' means each worker itself; use --worker-url {split.scheme}://<this host>{port}"
            f"{split.path} (candidates: {', '.join(candidates()) or 'none found'}), or --reverse-tunnel always"
        )

    def remedies(self) -> str:
        """What to do about an address that is not reached."""
        return (
            f"name an address that workers reach with --worker-url (candidates: {', '.join(candidates()) or 'none found'}), "
            "open the port in the firewall, or use --reverse-tunnel always"
        )


def address(here: str, worker_url: str | None, tunnel: Tunnel) -> Address:
    """What workers are told: the address that was given for them, else that of this host.

    Raises
    ------
    UsageError
        If the given one is none.
    """
    url = here if worker_url is None else completed(worker_url)
    split = urlsplit(url)
    try:
        bad = split.scheme not in ("http", "https") or not split.hostname or split.port == 0
    except ValueError:
        bad = True
    if bad and worker_url is not None:
        raise UsageError(f"--worker-url '{worker_url}' is no address; write http://HOST:PORT/torc-service/v1")
    return Address(url=url, here=here, tunnel=tunnel)


def candidates() -> Sequence[str]:
    """Addresses and names of this host that others may reach."""
    import psutil

    found = [
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    ]
    name = socket.getfqdn()
    named = [name] if name and not name.startswith("localhost") else []
    return list(dict.fromkeys([*found, *named]))


def through(url: str, port: int) -> str:
    """The address of a worker whose port on loopback leads to the server."""
    split = urlsplit(url)
    return f"{split.scheme}://127.0.0.1:{port}{split.path}"
