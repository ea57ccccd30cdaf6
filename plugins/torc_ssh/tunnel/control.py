"""Speaks to the tunnel process of a workflow, and starts it when it is needed first."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torc_core.errors import TorcError, Unavailable
from torc_core.model import WorkflowId
from torc_core.session import Session
from torc_ssh.tunnel.places import TunnelFiles, files

MODULE = "torc_ssh.tunnel.process"
START = 30.0
"""Seconds until it answers."""

ANSWER = 120.0
LOOK = 0.05


class NoTunnel(TorcError):
    """a machine could not be led to the server"""

    code = "no_tunnel"


class Tunnels:
    """The tunnels of a workflow.

    Parameters
    ----------
    here
        The address under which this host reaches the server.
    """

    def __init__(self, session: Session, workflow: WorkflowId, here: str) -> None:
        self._session = session
        self._workflow = workflow
        self._here = here
        self._lock = threading.Lock()
        self._files: TunnelFiles | None = None

    def port(self, worker: str) -> int:
        """The port on a machine's loopback that leads to the server.

        Raises
        ------
        NoTunnel
            If the machine does not allow it, or the server would let everybody in.
        Unavailable
            If the tunnel process does not start.
        """
        for again in (True, False):
            with self._lock:
                place = self._files = self._files or self._started()
            told = asked(place, {"add": worker})
            if told is not None and not told.get("over"):
                break
            with self._lock:
                # It was ending: another one takes its place.
                if again and self._files is place:
                    self._files = None
        if told is None or told.get("over"):
            raise Unavailable(f"the tunnel process does not answer; see {place.log}")
        if "port" not in told:
            raise NoTunnel(str(told.get("error")))
        return int(told["port"])

    def _started(self) -> TunnelFiles:
        """Start the process, unless there is one; where it is."""
        session = self._session
        place = files(session.config.environ, session.store().server_id, self._workflow)
        if serves(place):
            return place
        flags = {
            key: entry.value
            for key, entry in session.config.layers.get("flag", {}).items()
            if isinstance(entry.value, str | int | float | bool)
        }
        told = {
            "socket": str(place.socket), "lock": str(place.lock), "here": self._here, "workflow": self._workflow,
            "flags": flags,
        }  # fmt: skip
        with open(
            os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "ab"
        ) as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(self._workflow), self._here], stdin=subprocess.PIPE, stdout=log,
                stderr=log, start_new_session=True, env=dict(session.config.environ),
            )  # fmt: skip
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.close()
        deadline = time.monotonic() + START
        while not serves(place):
            if time.monotonic() > deadline or process.poll() not in (None, 0):
                raise Unavailable(f"the tunnel process did not start; see {place.log}")
            time.sleep(LOOK)
        session.note(
            f"workers that cannot reach the server are led there by process {process.pid} (log {place.log})"
        )
        return place


def serves(place: TunnelFiles) -> bool:
    """Whether there is a tunnel process that is not about to end."""
    told = asked(place, {})
    return told is not None and not told.get("over")


def asked(place: TunnelFiles, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Ask the tunnel process; None: there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
            wire.settimeout(ANSWER)
            wire.connect(str(place.socket))
            with wire.makefile("rwb") as file:
                file.write(json.dumps(request).encode() + b"\n")
                file.flush()
                line = file.readline()
        return dict(json.loads(line)) if line else None
    except (OSError, ValueError):
        return None
