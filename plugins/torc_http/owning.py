"""The server of a process that owns a database as long as it lasts: `torc run` and all that live longer than a command."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from torc_core.config import Config
from torc_core.model import Assignment
from torc_core.protocols import Clock, Store
from torc_http.auth.settings import settled
from torc_http.running import Running
from torc_http.serving.identity import is_real_root
from torc_http.serving.listening import listen
from torc_http.serving.settings import ServingSettings
from torc_http.settings import OwnerSettings

GRACE = 2.0
"""Seconds that requests in flight have to end: the process they ask is about to leave."""


class OwnerServer:
    """Serves on loopback, for jobs, and on a Unix socket, for other commands of this user on this host."""

    def __init__(self, store: Store, settings: OwnerSettings, config: Config, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._config = config
        self._clock = clock
        self._running: Running | None = None

    def start(self) -> Mapping[str, str]:
        """Listen.

        Raises
        ------
        Unavailable
            If no socket can be made.
        """
        auth = settled(
            self._config.server,
            owner=self._config.client.username,
            host=socket.gethostname(),
            real_root=is_real_root,
        )
        doors = listen(port=0, directory=self._settings.directory)
        running = self._running = Running(
            self._store,
            self._clock,
            doors,
            auth=auth,
            environ=self._config.environ,
            settings=ServingSettings(connections=self._settings.max_connections),
        )
        running.start()
        address = {"url": running.urls[0], "port": str(doors.port), "internal_host": os.uname().nodename}
        if doors.path is not None:
            address["socket"] = str(doors.path)
        if running.key_file is not None:
            address["key_file"] = str(running.key_file)
        return address

    def job_url(self, given: Assignment) -> str | None:
        """The address that a job of this process may use."""
        return None if self._running is None else self._running.job_url(given)

    def close(self) -> None:
        """Stop serving."""
        if self._running is not None:
            self._running.close(GRACE)
