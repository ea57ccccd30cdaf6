"""The process that holds the tunnels of a workflow: it connects again, and ends when nobody needs it any more (RW55, RW57).

Started by `torc remote run`, never by people; on its command line are the workflow and the address of the server.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torc_core.config import Config
from torc_core.engine.addresses import parse
from torc_core.errors import NotFound, TorcError
from torc_core.host import Host
from torc_core.model import WorkflowId
from torc_core.system import SystemClock
from torc_ssh.connection import Connection, Connector, Forward, open_connector
from torc_ssh.settings import remote_settings
from torc_ssh.trouble import Lost, Unreachable
from torc_ssh.tunnel.control import serves
from torc_ssh.tunnel.former import ended, session_of
from torc_ssh.tunnel.places import TunnelFiles
from torc_ssh.tunnel.relay import Relay, safe_route

log = logging.getLogger("torc_ssh.tunnel")

LOOK = 5.0
"""Seconds between two looks at the workflow."""

LEAVE = 60.0
"""Seconds that workers have to leave after the workflow is complete."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
ALIVE = 0.5
"""Seconds between two looks at a connection, or at the lock of another process."""
TURN = 20.0
"""Seconds for which a former process may take to end."""


class _Again(Exception):
    """What was in the way is gone."""


class Tunnel:
    """The tunnel of one worker, in a thread of its own."""

    def __init__(self, connector: Connector, worker: str, target: tuple[str, int]) -> None:
        self._connector = connector
        self._worker = worker
        self._target = target
        self._over = threading.Event()
        self.tried = threading.Event()
        self.port = 0
        self.since: float | None = None
        self.error: TorcError | None = None
        self._session: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"torc-tunnel-{worker}", daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Begin to end."""
        self._over.set()

    def end(self) -> None:
        """End."""
        self.hang_up()
        self._thread.join(5)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._over.is_set():
            try:
                with self._connector.connection(parse(self._worker)) as connection:
                    forward = self._forward(connection)
                    self.port, self.since, self.error = forward.port, time.time(), None
                    log.info("up worker=%s port=%d", self._worker, self.port)
                    self.tried.set()
                    pause = FIRST_PAUSE
                    while connection.alive and not self._over.wait(ALIVE):
                        pass
                    forward.close()
            except _Again:
                pause = FIRST_PAUSE
            except TorcError as error:
                self.error = error
                log.warning("down worker=%s why=%s", self._worker, error)
            except Exception:
                # A bug here must not end a tunnel that others rely on.
                log.exception("down worker=%s", self._worker)
            self.since = None
            if not self.port:
                # NOTE: nobody knows of this tunnel yet; who asked for it is told why there is none.
                break
            self._over.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self.tried.set()

    def _forward(self, connection: Connection) -> Forward:
        """The port on the host, the same as before; a former session of ours that still has it is ended first."""
        try:
            forward = connection.forward(self._target, self.port)
        except Lost:
            raise
        except Unreachable:
            if self._session is None or not ended(connection, self._session):
                raise
            log.info("ended worker=%s session=%s", self._worker, self._session)
            self._session = None
            raise _Again from None
        try:
            self._session = session_of(connection)
        except Lost:
            raise
        except TorcError as error:
            # The tunnel is there all the same.
            log.info("unnamed worker=%s why=%s", self._worker, error)
            self._session = None
        return forward


class Holder:
    """All tunnels of a workflow, and who may ask about them."""

    def __init__(self, connector: Connector, here: str) -> None:
        self._connector = connector
        self._here = here
        self._lock = threading.Lock()
        self._tunnels: dict[str, Tunnel] = {}
        self._relay: Relay | None = None
        self.over = threading.Event()

    @property
    def idle(self) -> bool:
        """Whether there is no tunnel."""
        return not self._tunnels

    def answer(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what is asked."""
        if "add" in asked:
            return self._add(str(asked["add"]))
        if "drop" in asked:
            self._drop(str(asked["drop"]))
        elif asked.get("end"):
            self.over.set()
        with self._lock:
            return {
                "pid": os.getpid(),
                "over": self.over.is_set(),
                "workers": {
                    name: {"port": one.port, "since": one.since} for name, one in self._tunnels.items()
                },
            }

    def _add(self, worker: str) -> Mapping[str, Any]:
        with self._lock:
            if self.over.is_set():
                return {"over": True}
            if self._relay is None:
                self._relay = Relay(safe_route(self._here))
            tunnel = self._tunnels.get(worker)
            if tunnel is None:
                tunnel = self._tunnels[worker] = Tunnel(self._connector, worker, self._relay.address)
        tunnel.tried.wait()
        if tunnel.port:
            return {"port": tunnel.port}
        # The others that come are not to find that we have ended with this one.
        with self._lock:
            if self._tunnels.get(worker) is tunnel:
                del self._tunnels[worker]
        return {"error": str(tunnel.error or "no tunnel; see the log of the tunnel process")}

    def _drop(self, worker: str) -> None:
        with self._lock:
            tunnel = self._tunnels.pop(worker, None)
            if tunnel is not None and not self._tunnels:
                self.over.set()
        if tunnel is not None:
            tunnel.end()

    def close(self) -> None:
        """End all."""
        tunnels = list(self._tunnels.values())
        for tunnel in tunnels:
            tunnel.hang_up()
        for tunnel in tunnels:
            tunnel.end()


def serve(holder: Holder, listener: socket.socket) -> None:
    """Answer everybody who comes to the socket, which only this user can."""
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_converse, args=(holder, caller), daemon=True).start()


def _converse(holder: Holder, caller: socket.socket) -> None:
    with caller, caller.makefile("rwb") as file, suppress(OSError, ValueError):
        for line in file:
            try:
                told = holder.answer(json.loads(line))
            except TorcError as error:
                told = {"error": str(error)}
            file.write(json.dumps(told).encode() + b"\n")
            file.flush()


def watch(holder: Holder, host: Host, workflow: int, url: str) -> None:
    """Return when the workflow is over and its workers have left, when nobody has a tunnel, or when somebody says so."""
    clock = SystemClock()
    over_since: float | None = None
    used = time.monotonic()
    while not holder.over.wait(LOOK):
        if not holder.idle:
            used = time.monotonic()
        elif time.monotonic() - used > LEAVE:
            log.info("idle workflow=%d", workflow)
            return
        try:
            store = host.open_store(url, clock)
            try:
                (totals,) = store.totals([WorkflowId(workflow)])
            finally:
                store.close()
        except NotFound as error:
            log.info("over workflow=%d why=%s", workflow, error)
            return
        except TorcError as error:
            log.warning("store_away why=%s", error)
            continue
        if not (totals.complete or totals.workflow.is_canceled):
            over_since = None
            continue
        over_since = over_since or time.monotonic()
        if not totals.active_nodes or time.monotonic() - over_since > LEAVE:
            log.info("over workflow=%d", workflow)
            return


def _alone(place: TunnelFiles) -> bool:
    """Take the lock for as long as this process lives; False: another one has it, and is not about to end."""
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + TURN
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if serves(place) or time.monotonic() > deadline:
                return False
            time.sleep(ALIVE)
        else:
            return True


def main() -> int:
    """Read what to do from standard input, and do it."""
    told = json.loads(sys.stdin.buffer.readline())
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    path = Path(told["socket"])
    if not _alone(TunnelFiles(socket=path, lock=Path(told["lock"]), log=Path(os.devnull))):
        return 0  # another one was faster
    path.unlink(missing_ok=True)
    config = Config.load().over({key: (value, "remote run") for key, value in told["flags"].items()})
    host = Host.load(config)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        part = path.with_name(f"{path.name}.{os.getpid()}")
        listener.bind(str(part))
        listener.listen(64)
        part.replace(path)
        with open_connector(remote_settings(config), lambda text: log.info("%s", text)) as connector:
            holder = Holder(connector, told["here"])
            signal.signal(signal.SIGTERM, lambda number, frame: holder.over.set())
            threading.Thread(target=serve, args=(holder, listener), daemon=True).start()
            watch(holder, host, told["workflow"], config.store_url)
            holder.over.set()
            path.unlink(missing_ok=True)
            holder.close()
    log.info("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
