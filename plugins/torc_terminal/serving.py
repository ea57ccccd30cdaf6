"""An address of the store for other hosts; an embedded store is given a server of its own for that (`cli.md` S9)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from torc_core.errors import Conflict, Unavailable
from torc_core.record import record
from torc_core.session import Session
from torc_terminal.distance import distant

BASE = "/torc-service/v1"
PATIENCE = 30.0
"""Seconds that a server may take to start."""

HERE = ("localhost", "0.0.0.0", "::")  # noqa: S104 - recognised, not bound
"""Hosts of addresses that mean, on each host, that host itself; besides 127/8 and ::1."""


@record(frozen=True, slots=True, kw_only=True)
class Served:
    """Where other hosts reach the store.

    Parameters
    ----------
    url
        The address for them; one of loopback where there is no other.
    started
        Whether a server was started for it just now.
    """

    url: str
    started: bool = False

    @property
    def local(self) -> bool:
        """Whether the address means this host only."""
        return means_itself(self.url)


def means_itself(url: str) -> bool:
    """Whether an address names, wherever it is used, the very host that uses it."""
    split = urlsplit(url)
    host = (split.hostname or "").lower()
    return split.scheme == "unix" or host in HERE or host.startswith("127.") or host in ("::1", "")


def served(session: Session, *, far: bool = True) -> Served:
    """The address of the session's store for other hosts; a database that nobody serves is given a server.

    Parameters
    ----------
    far
        Whether an address of loopback is of no use, so that it is refused.

    Raises
    ------
    Conflict
        If there is no such address, or a server is needed and `client.auto_server` is off.
    Unavailable
        If the server does not start.
    """
    url = session.config.store_url
    scheme = url.partition(":")[0]
    if scheme in ("http", "https"):
        return Served(url=completed(url))
    if scheme not in ("sqlite", "unix"):
        raise Conflict(
            f"a store of kind '{scheme}' has no address for other hosts; serve it, and name the server with --url"
        )
    found = Served(url=best(there)) if (there := _addresses(session)) else None
    if found is None:
        _start(session, url.partition("://")[2], far=far)
        found = Served(url=best(_addresses(session)), started=True)
    if far and found.local:
        raise Conflict(
            f"the process that serves this database is reached from this host only, at {found.url}; end it, and other "
            "hosts get a server of their own, or start one with: torc-server run --host auto --port auto"
        )
    return found


def completed(url: str) -> str:
    """An address with the base path; one that is complete stays as it is."""
    bare = url.rstrip("/")
    return bare if urlsplit(bare).path else bare + BASE


def best(urls: Sequence[str]) -> str:
    """Of the addresses of one server that for others: a name before a number, loopback if there is nothing else."""
    others = [url for url in urls if not means_itself(url)]
    return next(iter(others), urls[0])


def _addresses(session: Session) -> Sequence[str]:
    """Where the process that serves this database is reached; empty: nobody serves it."""
    far = distant(session.store())
    return () if far is None else far.addresses()


def _start(session: Session, path: str, *, far: bool) -> None:
    """Start a server that goes on without us, and say so."""
    minutes = session.config.client.auto_server_idle_minutes
    line = f"torc-server run --database {_quoted(path)} --host auto --port auto --daemon"
    if not session.config.client.auto_server:
        raise Conflict(
            "other hosts need a server to reach this database, and client.auto_server is off; start one with: "
            + line
        )
    session.close()  # whoever has the database open keeps the server from it
    hosts = ("auto",) if far else ("auto", "127.0.0.1")
    error = ""
    for host in hosts:
        done = _run(session, path, host, f"{minutes}m")
        if done.returncode == 0:
            break
        error = done.stderr.strip().removeprefix("error: ")
        if _addresses(session):
            return  # another command was faster
        session.close()
    else:
        raise Unavailable(f"no server could be started for '{path}': {error}")
    told = dict(one.partition("=")[::2] for one in done.stdout.splitlines())
    session.note(
        f"started a server for '{path}' at {told.get('TORC_API_URL')} (pid {_pid(path)}, log "
        f"{Path(path).parent / 'torc-server.log'}); it ends after {minutes} min without unfinished workflows, or with: "
        f"torc-server stop --database {_quoted(path)}"
    )


def _run(session: Session, path: str, host: str, idle: str) -> subprocess.CompletedProcess[str]:
    # NOTE: found by `pgrep -f torc-server` (V2).
    script = os.path.join(os.path.dirname(sys.executable), "torc-server")
    program = [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "torc_core", "server"]
    words = ["run", "--database", path, "--host", host, "--port", "auto", "--daemon", "--idle-exit", idle]
    try:
        return subprocess.run(
            [*program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=dict(session.config.environ),
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"the server for '{path}' did not start within {PATIENCE:.0f} s; see {Path(path).parent / 'torc-server.log'}"
        ) from error


def _pid(path: str) -> str:
    try:
        return Path(f"{path}.pid").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)
