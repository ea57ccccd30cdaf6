"""What can be seen of a server and its database from this host: files, processes, sockets, an answer."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torc_core.record import record
from torc_core.runner.place import boot_id, process_start

PATIENCE = 5.0
"""Seconds that a server may take to answer."""


@record(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who serves a database, by the file beside it (`cli.md` S5)."""

    path: Path
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def there(self) -> bool:
        """Whether there is such a file."""
        return bool(self.told)

    @property
    def here(self) -> bool:
        """Whether it speaks of this host."""
        return str(self.told.get("host", "")).partition(".")[0] == os.uname().nodename.partition(".")[0]

    @property
    def pid(self) -> int | None:
        """The process."""
        pid = self.told.get("pid")
        return int(pid) if isinstance(pid, (int, str)) and str(pid).isdigit() else None

    @property
    def lives(self) -> bool | None:
        """Whether that process lives; None: it is on another host."""
        if not self.here:
            return None
        if self.pid is None or str(self.told.get("boot_id") or boot_id()) != boot_id():
            return False
        start = process_start(self.pid)
        told = self.told.get("process_start")
        return start is not None and (told is None or str(told) == str(start))

    @property
    def url(self) -> str | None:
        """The address for others."""
        url = self.told.get("url")
        return str(url) if url else None


def owner_of(database: Path) -> Owner:
    """Who serves a database."""
    database = Path(os.path.realpath(database))
    path = database.with_name(f"{database.name}.server.json")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = {}
    return Owner(path=path, told=told if isinstance(told, dict) else {})


@record(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a server answered `/ping` and `/version`.

    Parameters
    ----------
    why_not
        Why there is no answer: `refused`, `timed out`, `name not resolved`, or words.
    seconds
        How long it took.
    date
        The server's clock, seconds since 1970; None: not told.
    """

    why_not: str | None = None
    seconds: float = 0.0
    version: str | None = None
    date: float | None = None


def asked(url: str, *, ca_cert: str | None = None, insecure: bool = False) -> Answer:
    """Ask a server whether it is there, and which release it is."""
    split = urlsplit(url)
    base = split.path.rstrip("/")
    port = split.port or (443 if split.scheme == "https" else 80)
    connection: http.client.HTTPConnection
    if split.scheme == "https":
        context = ssl.create_default_context(cafile=ca_cert)
        if insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            split.hostname or "", port, timeout=PATIENCE, context=context
        )
    else:
        connection = http.client.HTTPConnection(split.hostname or "", port, timeout=PATIENCE)
    began = time.monotonic()
    try:
        connection.request("GET", f"{base}/ping")
        pong = connection.getresponse()
        pong.read()
        seconds = time.monotonic() - began
        connection.request("GET", f"{base}/version")
        said = json.loads(connection.getresponse().read() or b"null")
    except ConnectionRefusedError:
        return Answer(why_not="refused")
    except TimeoutError:
        return Answer(why_not="timed out")
    except socket.gaierror:
        return Answer(why_not="name not resolved")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(why_not=str(error) or type(error).__name__)
    finally:
        connection.close()
    version = said.get("version") if isinstance(said, dict) else said
    date = None
    with suppress(TypeError, ValueError):
        date = parsedate_to_datetime(pong.headers["Date"]).timestamp()
    return Answer(seconds=seconds, version=str(version) if version else None, date=date)


def listeners(
    port: int, tables: Sequence[Path] = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
) -> list[str]:
    """The addresses on which somebody listens on a port here."""
    found = []
    for table in tables:
        with suppress(OSError):
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                where, _, number = words[1].partition(":")
                if words[3] == "0A" and int(number, 16) == port:
                    found.append(_address(where))
    return list(dict.fromkeys(found))


def _address(text: str) -> str:
    """An address as the kernel writes it: words of 32 bits in the order of this host's bytes."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    data = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def is_here(host: str) -> bool:
    """Whether a name or an address is one of this host's: one can listen there."""
    with suppress(OSError, UnicodeError):
        for family, kind, _, _, where in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with suppress(OSError), socket.socket(family, kind) as one:
                one.bind(where)
                return True
    return False


def holder(port: int) -> str | None:
    """Who listens on a port, as far as we may see: `torc-server (pid 7)`; None: nobody."""
    inodes = _listening(port)
    if not inodes:
        return None
    pid = _process_with(inodes)
    return "a process of another user" if pid is None else f"{name_of(pid)} (pid {pid})"


def database_at(port: int) -> Path | None:
    """The database that is served on a port of this host; None: none, or it is another user's."""
    pid = _process_with(_listening(port))
    if pid is not None:
        with suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    path = Path(os.readlink(f"/proc/{pid}/fd/{number}"))
                    if path.is_absolute() and owner_of(path).pid == pid:
                        return path
    return None


def _listening(port: int) -> set[str]:
    """The sockets that listen on a port."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), open(table, encoding="ascii") as lines:
            for line in list(lines)[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].partition(":")[2], 16) == port:
                    inodes.add(words[9])
    return inodes


def _process_with(inodes: set[str]) -> int | None:
    """A process that has one of these sockets open, as far as we may see."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    if not wanted:
        return None
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                for number in os.listdir(f"/proc/{entry}/fd"):
                    with suppress(OSError):
                        if os.readlink(f"/proc/{entry}/fd/{number}") in wanted:
                            return int(entry)
    return None


def name_of(pid: int) -> str:
    """What a process is called."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        named = [os.path.basename(word.decode(errors="replace")) for word in words if word]
        python = bool(named) and named[0].startswith("python") and len(named) > 1
        if named:
            return named[1] if python else named[0]
    return "a process"


def environment_of(pid: int) -> Mapping[str, str]:
    """The variables that a process was started with; none if we may not see them."""
    with suppress(OSError):
        parts = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        pairs = (part.decode(errors="replace").partition("=") for part in parts if part)
        return {name: value for name, _, value in pairs}
    return {}


def has_terminal(pid: int) -> bool:
    """Whether a process belongs to a terminal, whose end ends it."""
    with suppress(OSError, IndexError, ValueError):
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        return int(fields[4]) != 0
    return False


def mount_of(path: Path, mounts: Path = Path("/proc/mounts")) -> tuple[str, str] | None:
    """The file system on which a path lies: its type and where it is mounted; None: not known."""
    found = mounted(path, mounts)
    return None if found is None else found[1:]


def mounted(path: Path, mounts: Path = Path("/proc/mounts")) -> tuple[str, str, str] | None:
    """The file system on which a path lies: its device, its type and where it is mounted; None: not known."""
    best: tuple[int, str, str, str] | None = None
    target = os.path.realpath(path)
    with suppress(OSError):
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            words = line.split()
            if len(words) < 3:
                continue
            point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[1])
            inside = target == point or target.startswith(point.rstrip("/") + "/")
            if inside and (best is None or len(point) >= best[0]):
                best = (len(point), words[0], words[2], point)
    return None if best is None else best[1:]


def lockers(path: Path) -> list[int]:
    """The processes of this host that hold a lock on a file."""
    found = []
    with suppress(OSError):
        seen = os.stat(path)
        mark = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.replace("->", "").split()
            if len(words) >= 6 and words[5] == mark and words[4].lstrip("-").isdigit():
                found.append(int(words[4]))
    return sorted(set(found))


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 400 * lines))
        return file.read().decode(errors="replace").splitlines()[-lines:]
    return []
