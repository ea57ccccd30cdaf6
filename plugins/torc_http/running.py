"""A store that is served: its application, what waits in it, and the work it does by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from torc_core.model import Operation, OperationStatus, Query
from torc_core.protocols import Clock, Embedded, Listening, Store
from torc_http.housekeeping import Carrier, Sweeper
from torc_http.serving.lazy import LazyService
from torc_http.serving.listening import Listening as Doors
from torc_http.serving.settings import Application, ServingSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from torc_http.call import Service

SWEEP_SECONDS = 10.0


class Running:
    """Serves a store of this process on sockets that listen already.

    The application and the libraries under it are loaded when somebody calls for the first time, so that a process
    that nobody asks anything pays nothing.

    Parameters
    ----------
    complete
        Makes the service of what it is given: store, clock, and the parts that additions need.
    front
        Puts something before the application: `torc_http.auth.front`.
    sweep_seconds
        How often time passes in the store.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        doors: Doors,
        *,
        complete: Callable[[Service], Service] = lambda service: service,
        front: Callable[[WSGIApplication], WSGIApplication] = lambda app: app,
        settings: ServingSettings | None = None,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._complete = complete
        self._front = front
        self._parts: dict[str, Any] = {}
        self._sweeper = Sweeper(store, clock, sweep_seconds)
        self._carrier = Carrier(store)
        self.doors = doors
        self.lazy = LazyService(self._load, doors.sockets, settings)

    def start(self) -> None:
        """Serve in the background, and go on with what an earlier life has left undone."""
        getattr(self._store, "renew_leases", lambda: None)()  # TEMP
        self.lazy.start()
        self._sweeper.start()
        unfinished = (OperationStatus.QUEUED.value, OperationStatus.RUNNING.value)
        for operation in (
            self._store.find(Operation, Query(where={"status": unfinished})).items
            if hasattr(self._store, "begin")
            else ()
        ):
            self._carrier.take(operation.id)

    def close(self, grace: float = 10.0) -> bool:
        """Stop: requests in flight end within the grace, what is held is answered; whether all of them did."""
        if "turns" in self._parts:
            self._parts["turns"].close()
            self._parts["streams"].close()
        done = self.lazy.close(grace)
        self._carrier.close()
        self._sweeper.close()
        return done

    def _load(self) -> Application:
        from torc_http.app import create_app
        from torc_http.call import Service
        from torc_http.hub.streams import Streams
        from torc_http.hub.turns import HeldTurns

        if not self._parts:
            streams = Streams(self._store)
            cast("Listening", self._store).listen(streams.heard)
            self._parts.update(
                turns=HeldTurns(cast("Embedded", self._store)), streams=streams, operations=self._carrier,
                lazy=self.lazy,
            )  # fmt: skip
        service = self._complete(Service(store=self._store, clock=self._clock, parts=self._parts))
        app = create_app(replace(service, parts=self._parts))
        return Application(call=self._front(app), limit_of=app.limit_of)
