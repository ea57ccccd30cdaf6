"""One line in the log for every request: who, from where, what, how it ended, how long it took (`security.md` D5)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torc_http.auth.redaction import CLEAN, printable, redacted

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from torc_http.routes import Route

log = logging.getLogger("torc_http.request")

ROUTE, PRINCIPAL, PEER = "torc.route", "torc.principal", "torc.peer"
"""Where the environment holds the route that was found, who was let in, and whose connection it is."""

LONGEST_PATH = 200
"""Characters of a path that is no route."""

CHATTER = ("/x/nodes/", "/x/store/turn", "/ping")
"""Calls that come all the time; those that go well are told at DEBUG only."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@+/")


class AccessLog:
    """A WSGI application around the outermost one."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request, and tell of it."""
        if not log.isEnabledFor(logging.INFO):
            return self._app(environ, start_response)
        began = time.perf_counter()
        told = ["0"]

        def start(status: str, headers: list[tuple[str, str]], *why: Any) -> Any:
            told[0] = status[:3]
            return start_response(status, headers, *why)

        try:
            return self._app(environ, start)
        finally:
            _tell(environ, told[0], time.perf_counter() - began)


def _tell(environ: WSGIEnvironment, status: str, seconds: float) -> None:
    route: Route | None = environ.get(ROUTE)
    path = _unknown(environ) if route is None else route.path
    chatter = route is not None and status == "200" and path.startswith(CHATTER)
    level = logging.DEBUG if chatter else logging.INFO
    if not log.isEnabledFor(level):
        return
    principal, peer = environ.get(PRINCIPAL), environ.get(PEER)
    user = "-" if principal is None else _safe(principal.identity)
    # PERF: the record is made here with all that it says. `log.info` looks for its caller (4 µs), and the filter for
    # secrets goes through the text eight times (15 µs); no part of this line can hold one.
    record = logging.LogRecord(
        log.name, level, "", 0,
        f"request user={user} peer={_whence(peer, environ)} method={_method(environ)} route={path} status={status}"
        f" ms={seconds * 1000:.1f} request_id={environ.get('torc.request_id', '-')}",
        None, None,
    )  # fmt: skip
    setattr(record, CLEAN, True)
    log.handle(record)


def _method(environ: WSGIEnvironment) -> str:
    return _safe(environ["REQUEST_METHOD"][:20])


def _whence(peer: Any, environ: WSGIEnvironment) -> str:
    if peer is None:
        return str(environ.get("REMOTE_ADDR", "-"))
    return str(peer.address or peer.kind)


def _safe(text: str) -> str:
    """A text that cannot make two lines of one or look like another pair."""
    return text if _SAFE.issuperset(text) else repr(printable(text))


def _unknown(environ: WSGIEnvironment) -> str:
    return repr(printable(redacted(environ.get("PATH_INFO", "")[:LONGEST_PATH])))
