"""Opens the sockets a service listens on: loopback always, an address of this host, a Unix socket (D6)."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import stat
import time
from pathlib import Path

from torc_core.errors import BadValue, Unavailable
from torc_core.record import record

BACKLOG = 1_024

TRIES = 50
"""Free ports are tried until one is free on all addresses."""

LONGEST = 100
"""Bytes of a socket's path; the kernel allows 108 on Linux, 104 elsewhere."""

GRACE = 60.0
"""Seconds that a new socket may take until somebody listens on it."""

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - asked for by the user only
MOST_NAMED = 6
"""Addresses in a message."""
LOOPBACK = ("127.0.0.1", "::1")
NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}

Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


@record(frozen=True, slots=True, kw_only=True)
class Listening:
    """Sockets that listen already; clients may connect although nobody accepts yet."""

    sockets: tuple[socket.socket, ...]
    addresses: tuple[str, ...]
    port: int
    path: Path | None = None

    def close(self) -> None:
        """Stop listening; the path of the Unix socket is removed."""
        for one in self.sockets:
            shut(one)


def listen(
    host: str | None = None, port: int | None = None, *, unix: bool = True, directory: str | None = None
) -> Listening:
    """Listen on a Unix socket and, with a port, on loopback and on `host`.

    Parameters
    ----------
    host
        A name or address of this host; `0.0.0.0` and `::` mean all; loopback is there anyway.
    port
        0 takes a free one, the same on all addresses; None opens no TCP socket.
    directory
        Where the Unix socket lies; else `$XDG_RUNTIME_DIR/torc`, else a private folder.

    Raises
    ------
    BadValue
        If `host` is no address of this host.
    Unavailable
        If the port is taken, or no socket can be made.
    """
    opened: list[socket.socket] = []
    addresses: list[str] = []
    path = None
    try:
        if port is not None:
            opened += _on_one_port(_places(host), port)
            addresses = [str(one.getsockname()[0]) for one in opened]
            port = int(opened[0].getsockname()[1])
        if unix:
            opened.append(_unix_socket(directory))
            path = Path(opened[-1].getsockname())
    except BaseException:
        for one in opened:
            one.close()
        raise
    return Listening(sockets=tuple(opened), addresses=tuple(addresses), port=port or 0, path=path)


def give_up_when_lost(connection: socket.socket, seconds: float) -> None:
    """Have the kernel end a TCP connection whose other end takes nothing for so long, as when its host is gone.

    NOTE: else it tries again for a quarter of an hour; so long nobody knows.
    """
    if connection.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def shut(one: socket.socket) -> None:
    """Close a listening socket; that of a path takes its path along."""
    with contextlib.suppress(OSError):
        if one.family == socket.AF_UNIX:
            Path(one.getsockname()).unlink(missing_ok=True)
    one.close()


def local_addresses() -> list[str]:
    """All addresses of this host, as `--host` takes them."""
    import psutil

    families = {socket.AF_INET, socket.AF_INET6}
    return [one.address for each in psutil.net_if_addrs().values() for one in each if one.family in families]


def _places(host: str | None) -> list[Place]:
    if host in EVERYWHERE:
        return [_place(one) for one in EVERYWHERE]
    places = [_place(one) for one in LOOPBACK]
    for place in resolved(host) if host else ():
        if place not in places:
            places.append(place)
    return places


def _place(address: str) -> Place:
    if ":" in address:
        return socket.AF_INET6, (address, 0, 0, 0)
    return socket.AF_INET, (address, 0)


def resolved(host: str) -> list[Place]:
    """The places that a name stands for, all of this host.

    Raises
    ------
    BadValue
        If it is not known or of another host.
    """
    try:
        told = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadValue(f"host '{host}' is not known here; {_candidates()}") from error
    places: list[Place] = []
    for family, _, _, _, where in told:
        with contextlib.suppress(OSError), _bound((family, where), 0):  # type: ignore[arg-type]  # of these families
            places.append((family, where))  # type: ignore[arg-type]  # the same
    if not places:
        others = ", ".join(sorted({str(where[0]) for *_, where in told}))
        raise BadValue(f"host '{host}' is {others}, which is no address of this host; {_candidates()}")
    return places


def _candidates() -> str:
    """What to give instead: the addresses that other hosts may know, IPv4 first."""
    found = [one for one in dict.fromkeys(local_addresses()) if not _only_here(one)]
    found.sort(key=lambda one: (":" in one, one))
    more = f" (and {len(found) - MOST_NAMED} more)" if len(found) > MOST_NAMED else ""
    named = f"one of {', '.join(found[:MOST_NAMED])}{more}, " if found else ""
    return f"use {named}'0.0.0.0' for all, or '{socket.gethostname()}'"


def _only_here(address: str) -> bool:
    """Whether an address means this host, or one link of it, only."""
    known = ipaddress.ip_address(address)
    return known.is_loopback or known.is_link_local


def _on_one_port(places: list[Place], port: int) -> list[socket.socket]:
    """Listen on all places; those of a family that this host does not have are left out."""
    for _ in range(1 if port else TRIES):
        opened: list[socket.socket] = []
        wanted = port
        try:
            for place in places:
                try:
                    opened.append(_bound(place, wanted))
                except OSError as error:
                    if error.errno in NO_SUCH_FAMILY and place[0] == socket.AF_INET6:
                        continue
                    raise
                opened[-1].listen(BACKLOG)
                wanted = int(opened[0].getsockname()[1])
        except OSError as error:
            for one in opened:
                one.close()
            if error.errno != errno.EADDRINUSE or port:
                raise _refused(error, wanted) from error
        else:
            return opened
    raise Unavailable(f"no port is free on all of {', '.join(where[0] for _, where in places)}")


def _bound(place: Place, port: int) -> socket.socket:
    family, where = place
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((where[0], port, *where[2:]))
    except BaseException:
        one.close()
        raise
    return one


def _refused(error: OSError, port: int) -> Unavailable:
    if error.errno == errno.EADDRINUSE:
        return Unavailable(f"port {port} is taken{_by_whom(port)}; stop it, or use '--port auto'")
    if error.errno == errno.EACCES:
        return Unavailable(f"port {port} may not be used by this user; take one above 1023, or '--port auto'")
    return Unavailable(f"port {port} cannot be opened: {error.strerror}")


def _by_whom(port: int) -> str:
    """Who listens there, if this user may see it."""
    import psutil

    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                return f" by process {one.pid} ({psutil.Process(one.pid).name()})"
    except (psutil.Error, OSError):
        pass
    return " by another process"


def _unix_socket(directory: str | None) -> socket.socket:
    path = _new_path(directory)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # NOTE: the folder is ours alone, so nobody comes between these two lines; the umask belongs to all threads.
        one.bind(str(path))
        path.chmod(0o600)
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        raise Unavailable(f"no socket can be made at '{path}': {error.strerror}") from error
    return one


def _new_path(directory: str | None) -> Path:
    folder = Path(directory).expanduser().absolute() if directory else _runtime_folder()
    path = folder / f"{os.getpid()}-{os.urandom(4).hex()}.sock"
    if len(os.fsencode(path)) > LONGEST:
        if directory:
            raise Unavailable(f"the folder '{folder}' has too long a name for a socket; use another one")
        path = _shared_folder() / path.name
    make_private(path.parent)
    _sweep(path.parent)
    return path


def _runtime_folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime) and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime) / "torc"
    return _shared_folder()


def _shared_folder() -> Path:
    return Path("/tmp") / f"torc-{os.geteuid()}"  # noqa: S108 - owner and mode are checked below (`security.md` D3)


def make_private(folder: Path) -> None:
    """Make a folder that nobody else can enter, or check that it is one.

    Raises
    ------
    Unavailable
        If it is a link, belongs to somebody else, is open to others, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise Unavailable(f"the folder '{folder}' cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(about.st_mode):
        raise Unavailable(f"'{folder}' is no folder; remove it, or use another one")
    if about.st_uid != os.geteuid():
        raise Unavailable(f"'{folder}' belongs to uid {about.st_uid}; use a folder of yours")
    if stat.S_IMODE(about.st_mode) & 0o077:
        raise Unavailable(f"'{folder}' is open to others; run 'chmod 700 {folder}'")


def _sweep(folder: Path) -> None:
    """Remove sockets on which nobody listens any more: their owners were killed."""
    for path in folder.glob("*.sock"):
        try:
            if time.time() - path.lstat().st_mtime > GRACE and _is_dead(path):
                path.unlink()
        except OSError:
            continue  # somebody else was faster


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
