"""Puts the security of one server together: key file, gate, guard, front (`security.md` §2)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torc_core.model import AuditEntry, Query
from torc_core.protocols import Clock, Store
from torc_core.record import record
from torc_http.auth import keyfile
from torc_http.auth.audit import Audit
from torc_http.auth.front import Front
from torc_http.auth.gate import Gate
from torc_http.auth.keyfile import KeyFile, Keys
from torc_http.auth.settings import AuthSettings, banner

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from torc_http.call import Service

log = logging.getLogger(__name__)

HOUR = 3_600.0


@record(frozen=True, slots=True, kw_only=True)
class Security:
    """What a server needs: `complete` for its `Service`, `front` around its application."""

    settings: AuthSettings
    key: KeyFile
    key_file: Path
    gate: Gate
    audit: Audit
    store: Store
    ended: threading.Event = field(default_factory=threading.Event)

    def complete(self, service: Service) -> Service:
        """A service that asks this gate, with stores as far as callers may use them."""
        from torc_http.auth.guarding import guard

        return replace(service, gate=self.gate, guard=guard)

    def front(self, app: WSGIApplication) -> WSGIApplication:
        """The application, with foreign pages kept out and answers proven."""
        return Front(app, self.gate)

    def was_open(self) -> bool:
        """Whether the server let everybody in when it last ran, and does not any more (`security.md` S4)."""
        asked = Query(where={"operation": "server_start"}, reverse=True, limit=1)
        last = self.store.find(AuditEntry, asked).items
        return self.settings.mode != "none" and bool(last) and last[0].detail.endswith("auth none")

    def started(self, addresses: Sequence[str], version: str) -> str | None:
        """Write down that the server has started; the text that has to be shown if it lets everybody in."""
        where = ", ".join(addresses)
        self.audit.write(
            "server_start", "server", object=where, detail=f"version {version}, auth {self.settings.mode}"
        )
        for low, high in self.audit.gaps():
            log.warning("audit records are missing from=%d to=%d", low, high)
        if self.settings.mode != "none":
            return None
        self.audit.write("auth_none", "server", object=where, outcome="open")
        text = banner(self.settings, where)
        threading.Thread(target=self._remind, args=(text,), name="torc-auth-none", daemon=True).start()
        return text

    def stopped(self) -> None:
        """Write down that it stops."""
        self.ended.set()
        self.audit.write("server_stop", "server")

    def _remind(self, text: str) -> None:
        """Say every hour that everybody is let in."""
        while not self.ended.wait(HOUR):
            log.warning("%s", text)


def secured(
    store: Store,
    settings: AuthSettings,
    clock: Clock,
    environ: Mapping[str, str],
    *,
    urls: Sequence[str] = (),
    socket: str | None = None,
    fingerprint: str | None = None,
) -> Security:
    """The security of a server that will be reached under these addresses.

    Parameters
    ----------
    urls
        Every name under which it is reached: of the host, of its network, loopback.
    socket
        The path of its Unix socket.
    fingerprint
        Of its certificate, which clients pin (S11).

    Raises
    ------
    Forbidden, Invalid, NotFound
        If the key file or the password file is not as it has to be.
    """
    folder = keyfile.servers(environ)
    key = keyfile.ensured(folder, store.server_id, urls, socket, clock.now(), fingerprint)
    path = folder / f"{store.server_id}.json"
    store.set_admins(settings.admin_users)
    gate = Gate(store, settings, Keys(path), clock)
    return Security(settings=settings, key=key, key_file=path, gate=gate, audit=gate.audit, store=store)
