"""Who is at the other end of a connection, as the kernel knows it (`security.md` §3.3)."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import sys
from typing import Final, Literal

from torc_core.record import record
from torc_http.serving.kernel import ESTABLISHED, End, Lists, Netlink, plain

log = logging.getLogger(__name__)

Why = Literal["", "remote", "another user", "half-closed", "proxied", "unknown"]

UNIX_ONLY: Final = "unix socket only"

LINUX = sys.platform == "linux"


@record(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a connection.

    `uid` is set for the user of this very process and nobody else: it alone grants an identity, unless this process is
    real root (K5, `is_real_root`). `other_uid` is the user of this host that is somebody else, for `--local-users` (K9)
    and for the text of a refusal. `why` says why `uid` is None.
    """

    kind: Literal["unix", "tcp", "tls"]
    address: str
    port: int = 0
    uid: int | None = None
    other_uid: int | None = None
    why: Why = ""


class Identity:
    """Looks peers up, once per connection, in the thread that accepts; nothing is remembered between two."""

    def __init__(self) -> None:
        self._overflow = _overflow_uid()
        self._lookup: Netlink | Lists | None = _working_lookup()

    @property
    def method(self) -> str:
        """What is in force, for the start line: `sock_diag`, `procfs` or `unix socket only` (K8)."""
        return self._lookup.name if self._lookup else UNIX_ONLY

    def of(self, connection: socket.socket) -> Peer:
        """Who is at the other end. Whatever goes wrong means that nobody is known (K4)."""
        if connection.family == socket.AF_UNIX:
            return self._of_unix(connection)
        address, port = "", 0
        try:
            name = connection.getpeername()
            remote = (plain(name[0]), name[1])
            address, port = str(remote[0]), remote[1]
            mine = connection.getsockname()
            local = (plain(mine[0]), mine[1])
            if not remote[0].is_loopback and remote[0] != local[0]:
                return Peer(kind="tcp", address=address, port=port, why="remote")
            uid, why = self._owner(connection, local, remote)
            if uid is not None and connection.getpeername() == name and _is_established(connection):
                return self._named(Peer(kind="tcp", address=address, port=port), uid)
            return Peer(kind="tcp", address=address, port=port, why=why or "unknown")
        except Exception as error:
            # NOTE: this is a border: whatever the kernel answers, the request needs a credential then and nothing breaks.
            log.debug("no identity address=%s why=%s", address, error)
            return Peer(kind="tcp", address=address, port=port, why="unknown")

    def close(self) -> None:
        if self._lookup:
            self._lookup.close()

    def _owner(self, connection: socket.socket, local: End, remote: End) -> tuple[int | None, Why]:
        """The uid of the peer's own socket: the one whose near end is our far end (K2, K3)."""
        if self._lookup is None:
            return None, "unknown"
        found = self._lookup.find(remote, local)
        if len({one.inode for one in found}) != 1:
            return None, "unknown"
        one = found[0]
        if one.inode == 0 or one.state != ESTABLISHED:
            return None, "half-closed"
        return one.uid, ""

    def _named(self, peer: Peer, uid: int) -> Peer:
        about = {"kind": peer.kind, "address": peer.address, "port": peer.port}
        if uid == self._overflow:
            return Peer(**about, why="unknown")  # type: ignore[arg-type]  # fields of a peer
        if uid == os.geteuid():
            return Peer(**about, uid=uid)  # type: ignore[arg-type]  # the same
        return Peer(**about, other_uid=uid, why="another user")  # type: ignore[arg-type]  # the same

    def _of_unix(self, connection: socket.socket) -> Peer:
        peer = Peer(kind="unix", address="")
        try:
            return self._named(peer, unix_uid(connection))
        except (OSError, struct.error) as error:
            log.debug("no identity kind=unix why=%s", error)
            return Peer(kind="unix", address="", why="unknown")


def without_identity(peer: Peer, why: Why) -> Peer:
    """The same peer, but nobody: somebody else speaks through it (K6)."""
    return Peer(kind=peer.kind, address=peer.address, port=peer.port, why=why)


def is_real_root() -> bool:
    """Whether this process is root of the host, for whom kernel identity is off (K5); not of a user namespace only."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return file.read().split() == ["0", "0", "4294967295"]
    except OSError:
        return True


def unix_uid(connection: socket.socket) -> int:
    """The user of the process at the other end of a Unix socket."""
    if LINUX:
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3I", told)[1])
    local_peercred = 1  # of <sys/un.h>; struct xucred begins with its version and the uid
    return int(struct.unpack_from("2I", connection.getsockopt(0, local_peercred, 76))[1])


def _is_established(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED


def _overflow_uid() -> int:
    with (
        contextlib.suppress(OSError, ValueError),
        open("/proc/sys/kernel/overflowuid", encoding="ascii") as file,
    ):
        return int(file.read())
    return 65534


def _working_lookup() -> Netlink | Lists | None:
    if not LINUX:
        return None
    for kind in (Netlink, Lists):
        with contextlib.suppress(OSError, struct.error):
            lookup = kind()
            if _finds_itself(lookup):
                return lookup
            lookup.close()
    return None


def _finds_itself(lookup: Netlink | Lists) -> bool:
    """Whether a look-up works here: sandboxes hide sockets, or show them without owners."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()[:2], 1) as client,
    ):
        near, far = client.getsockname(), server.getsockname()
        found = lookup.find((plain(near[0]), near[1]), (plain(far[0]), far[1]))
        return [one.uid for one in found] == [os.geteuid()]
