"""A store that is served: its application, what waits in it, and the work it does by itself."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torc_core.model import Assignment, Event, Operation, OperationStatus, Query
from torc_core.protocols import Clock, Embedded, Listening, Store
from torc_http import plugged
from torc_http.auth import capability, keyfile
from torc_http.auth.settings import AuthSettings
from torc_http.housekeeping import USUAL, Carrier, Keeping, Sweeper
from torc_http.routes import BASE
from torc_http.serving.lazy import LazyService
from torc_http.serving.listening import Listening as Doors
from torc_http.serving.settings import Application, ServingSettings

if TYPE_CHECKING:
    from torc_http.auth.assembly import Security
    from torc_http.call import Service
    from torc_http.growth import Limits
    from torc_http.serving.certificate import Certificate
    from torc_http.serving.server import HttpService
    from torc_http.serving.tls import TlsFront

log = logging.getLogger(__name__)

SWEEP_SECONDS = 10.0


class Running:
    """Serves a store of this process on sockets that listen already.

    The application and the libraries under it are loaded when somebody calls for the first time, so that a process
    that nobody asks anything pays nothing.

    Parameters
    ----------
    auth
        Who is let in; None: everybody, as the owner.
    environ
        Where key files lie follows from it.
    urls
        Every address of the API, the one for programs of this host first.
    sizes
        How long bodies may be, by kind of route; None: as usual.
    sweep_seconds
        How often time passes in the store.
    keeping
        How long events are kept.
    limits
        How far workflows may grow; None: without limit.
    beat_seconds
        How often runners are to say that they live.
    eager
        Load the application at the start: for a server that is there to be asked.
    certificate
        Serve TCP over TLS only.
    parts
        Further things that routes use, by name: backups, settings of the figures for monitoring.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        doors: Doors,
        *,
        auth: AuthSettings | None = None,
        environ: Mapping[str, str] | None = None,
        urls: Sequence[str] = (),
        settings: ServingSettings | None = None,
        sizes: Mapping[str, int] | None = None,
        sweep_seconds: float = SWEEP_SECONDS,
        keeping: Keeping = USUAL,
        limits: Limits | None = None,
        beat_seconds: int = 30,
        eager: bool = False,
        certificate: Certificate | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._auth = auth
        self._environ = environ or {}
        self._sizes = sizes
        self._began = clock.monotonic()
        self._parts: dict[str, Any] = {**(parts or {}), "running": self}
        self._sweeper = Sweeper(store, clock, sweep_seconds, keeping)
        self._limits = limits
        self._beat_seconds = beat_seconds
        self._carrier = Carrier(store)
        self._key: keyfile.KeyFile | None = None
        self._settings = settings
        self._eager = eager
        self._certificate = certificate
        self._service: LazyService | HttpService | None = None
        self._front: TlsFront | None = None
        self.doors = doors
        self.urls = tuple(urls) or tuple(f"http://127.0.0.1:{doors.port}{BASE}" for _ in [0] if doors.port)
        self.security: Security | None = None
        """Once the application is loaded."""

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic() - self._began

    @property
    def connections(self) -> int:
        """How many connections are open, those handed over aside."""
        return int(getattr(self._service, "connections", 0))

    @property
    def is_asked(self) -> bool:
        """Whether a request is being received or answered; those that are held are not meant."""
        return bool(getattr(self._service, "in_flight", False))

    @property
    def key_file(self) -> Path | None:
        """Where the key of this server lies."""
        if self._key is None:
            return None
        return keyfile.servers(self._environ) / f"{self._key.server_id}.json"

    def start(self) -> None:
        """Serve in the background, and go on with what an earlier life has left undone."""
        if self._auth is not None:
            path = None if self.doors.path is None else str(self.doors.path)
            folder = keyfile.servers(self._environ)
            self._key = keyfile.ensured(
                folder, self._store.server_id, self.urls, path, self._clock.now(), self._fingerprint
            )
        self._store.renew_leases()
        self._open()
        self._sweeper.start()
        unfinished = (OperationStatus.QUEUED.value, OperationStatus.RUNNING.value)
        for operation in self._store.find(Operation, Query(where={"status": unfinished})).items:
            self._carrier.take(operation.id)

    def close(self, grace: float = 10.0) -> bool:
        """Stop: requests in flight end within the grace, what is held is answered; whether all of them did."""
        if "turns" in self._parts:
            self._parts["turns"].close()
            self._parts["streams"].close()
        if self._front is not None:
            self._front.stop_listening()
        done = self._service is None or self._service.close(grace)
        if self._front is not None:
            self._front.close()
        self._carrier.close()
        self._sweeper.close()
        return done

    def job_url(self, given: Assignment) -> str | None:
        """The address that a job of this process may use."""
        token = self.capability(given)
        if token is None or not self.urls:
            return None
        return f"{self.urls[0].removesuffix(BASE)}/t/{token}{BASE}"

    def capability(self, given: Assignment) -> str | None:
        """What lets an attempt speak to this server (`security.md` O2)."""
        if self._key is None or given.api_access == "none":
            return None
        job = given.job
        claim = capability.JobCapability(
            workflow=job.workflow_id, job=job.id, run=job.run_id, attempt=job.attempt_id,
            generation=given.generation,
        )  # fmt: skip
        return capability.written(self._key.key, claim)

    @property
    def _fingerprint(self) -> str | None:
        return None if self._certificate is None else self._certificate.fingerprint

    @property
    def peer_identity(self) -> str:
        """How callers of this host are recognised (`security.md` K8)."""
        return getattr(self._service, "peer_identity", "not yet known")

    def _open(self) -> None:
        """Serve in the background."""
        if not self._eager:
            self._service = lazy = LazyService(self._load, self.doors.sockets, self._settings)
            lazy.start()
            return
        from torc_http.serving.server import HttpService

        tcp = [one for one in self.doors.sockets if one.family != socket.AF_UNIX]
        plain = (
            self.doors.sockets
            if self._certificate is None
            else [one for one in self.doors.sockets if one not in tcp]
        )
        self._service = service = HttpService(self._load(), plain, self._settings)
        service.start()
        if self._certificate is not None:
            from torc_http.serving.tls import TlsFront

            self._front = TlsFront(service.adopt, tcp, self._certificate)
            self._front.start()

    def _load(self) -> Application:
        from torc_http.accesslog import AccessLog
        from torc_http.app import create_app, yields

        app = create_app(self._completed())
        call = self.security.front(app) if self.security is not None else app
        return Application(call=AccessLog(call), limit_of=app.limit_of, yields=yields)

    def _completed(self) -> Service:
        from torc_http.call import Service
        from torc_http.counting import Counts
        from torc_http.growth import Growth
        from torc_http.hub.streams import Streams
        from torc_http.hub.turns import HeldTurns

        if "turns" not in self._parts:
            streams, counts = Streams(self._store), Counts()

            def heard(events: Sequence[Event]) -> None:
                for observer in (streams.heard, counts.heard):
                    try:
                        observer(events)
                    except (
                        Exception
                    ):  # who commits has done what he was asked for, whatever this one makes of it
                        log.exception(
                            "observer failed observer=%s events=%d", observer.__qualname__, len(events)
                        )

            cast("Listening", self._store).listen(heard)
            self._parts |= {
                "counts": counts,
                "turns": HeldTurns(cast("Embedded", self._store)),
                "streams": streams,
                "operations": self._carrier,
            }
        service = Service(
            store=self._store,
            clock=self._clock,
            parts=self._parts,
            sizes=self._sizes,
            routes=plugged.routes(),
            growth=None if self._limits is None else Growth(self._limits, self._clock),
            beat_seconds=self._beat_seconds,
        )
        if self._auth is None:
            return service
        from torc_http.auth.assembly import secured
        from torc_http.auth.guarding import guard

        if self.security is None:
            path = None if self.doors.path is None else str(self.doors.path)
            self.security = secured(
                self._store, self._auth, self._clock, self._environ, urls=self.urls, socket=path,
                fingerprint=self._fingerprint,
            )  # fmt: skip
        return replace(service, gate=self.security.gate, guard=guard)
