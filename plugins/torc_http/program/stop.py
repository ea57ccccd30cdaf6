"""`torc-server stop`: end the server of a database."""

from __future__ import annotations

import os
import signal
import socket
import time

from torc_core.errors import Conflict, NotFound, Unavailable
from torc_core.given import Given
from torc_http.program.opening import path_of
from torc_http.program.owner import owner_of

PATIENCE = 20.0
"""Seconds that a server may take to stop: ten for requests in flight, and its last checkpoint."""


def stop(*, database: str | None = None, session: Given) -> str:
    """Stop the server of a database, and wait until it has ended.

    Parameters
    ----------
    database
        The database; normally that of the configuration.
    """
    path = path_of(session, database)
    owner = owner_of(path)
    if owner is None:
        raise NotFound(f"nobody serves '{path}'")
    if owner.host != socket.gethostname():
        raise Conflict(f"'{path}' is served on host {owner.host} by process {owner.pid}; stop it there")
    os.kill(owner.pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while owner.lives:
        if time.monotonic() > until:
            raise Unavailable(
                f"process {owner.pid} was asked to stop and has not ended within {PATIENCE:.0f} s"
            )
        time.sleep(0.05)
    return f"stopped process {owner.pid}, which served '{path}'"
