"""A service whose address is there at once and whose code is loaded when somebody calls for the first time."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torc_http.serving.listening import shut
from torc_http.serving.refusals import whole_answer
from torc_http.serving.settings import Application, ServingSettings

if TYPE_CHECKING:
    from torc_http.serving.server import HttpService

log = logging.getLogger(__name__)


class LazyService:
    """Waits on listening sockets without accepting; the first caller waits until everything is loaded.

    Parameters
    ----------
    load
        Makes the application; it imports what is heavy.
    sockets
        They listen already and belong to the service from now on.
    """

    def __init__(
        self,
        load: Callable[[], Application],
        sockets: Sequence[socket.socket],
        settings: ServingSettings | None = None,
    ) -> None:
        self.service: HttpService | None = None
        """The real one, once somebody has called."""
        self._load = load
        self._sockets = list(sockets)
        self._settings = settings
        self._lock = threading.Lock()
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._thread = threading.Thread(target=self._wait, name="torc-http-door", daemon=True)

    def start(self) -> None:
        """Wait for a caller, in the background."""
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        for one in self._sockets:
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ, one)
        self._thread.start()

    def close(self, grace: float = 10.0) -> bool:
        """Stop, as `HttpService.close` does."""
        with self._lock:
            self._closing = True
        self._wake_out.close()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._wake_in.close()
        if self.service is not None:
            return self.service.close(grace)
        for one in self._sockets:
            shut(one)
        self._selector.close()
        return True

    def _wait(self) -> None:
        while not self._closing:
            called = [key.data for key, _ in self._selector.select()]
            if self._closing or None in called or self._begin():
                return
            for one in called:
                _excuse(one)

    def _begin(self) -> bool:
        try:
            from torc_http.serving.server import HttpService

            application = self._load()
            with self._lock:
                if not self._closing:
                    service = HttpService(application, self._sockets, self._settings)
                    self.service = service
                    service.start()
                    self._selector.close()
        except Exception:
            # The process has other work than to serve; the caller is told, and the next one may be luckier.
            log.exception("the server could not be loaded")
            return False
        return True


def _excuse(listener: socket.socket) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    with connection:
        connection.settimeout(0.5)
        try:
            connection.recv(65_536)
            connection.sendall(whole_answer(500, "the server could not be loaded; its log says why"))
        except OSError:
            pass  # gone
