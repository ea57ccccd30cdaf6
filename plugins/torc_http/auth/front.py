"""What stands before the application: foreign pages are kept out, signed requests checked, their answers proven."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from torc_http.auth.gate import SIGNED, Gate
from torc_http.auth.session import HEADER
from torc_http.auth.sessions import Signed
from torc_http.errors import Refused, failure

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOLD = "torc.hold"

PIECE = 1024**2
"""Bytes of a body that are in memory at once while it is hashed."""


class Front:
    """A WSGI application around another one."""

    def __init__(self, app: WSGIApplication, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        try:
            self._gate.check_page(environ)
        except Refused as error:
            return _refusal(error, start_response)

        def start(status: str, headers: list[tuple[str, str]], *why: Any) -> Any:
            if status.startswith("403"):
                self._gate.tell_denied(environ)
            return start_response(status, headers, *why)

        header = environ.get("HTTP_AUTHORIZATION", "")
        if header[:5].lower() != "torc ":
            return self._app(environ, start)
        signed = self._gate.sessions.accept(
            header,
            environ["REQUEST_METHOD"],
            environ["REQUEST_URI"],
            lambda: _digest_of_body(environ),
        )
        environ[SIGNED] = signed
        if not isinstance(signed, Signed):
            return self._app(environ, start)
        if HOLD in environ:
            environ[HOLD] = ProvenHold(environ[HOLD], signed)
        return _proven(self._app, environ, start, signed)


def _proven(
    app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse, signed: Signed
) -> Iterable[bytes]:
    """The answer, whole, with its proof."""
    told: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        told[:] = [status, headers, exc_info]
        return lambda data: None

    parts = app(environ, start)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    status, headers, exc_info = told
    proof = (HEADER, signed.proof(int(status[:3]), body))
    start_response(status, [*headers, proof], *((exc_info,) if exc_info else ()))
    return [body]


def _digest_of_body(environ: WSGIEnvironment) -> bytes:
    """The SHA-256 of a body, which is left to be read once more."""
    found = hashlib.sha256()
    left = int(environ.get("CONTENT_LENGTH") or 0)
    if left:
        # NOTE: large bodies lie in a file; the application reads it from where it stands.
        body = environ["wsgi.input"]
        start = body.tell()
        while left > 0 and (piece := body.read(min(left, PIECE))):
            found.update(piece)
            left -= len(piece)
        body.seek(start)
    return found.digest()


def _refusal(error: Refused, start_response: StartResponse) -> Iterable[bytes]:
    import orjson

    failed = failure(error)
    body = orjson.dumps(failed.body)
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *failed.headers.items()]
    start_response(f"{failed.status} Forbidden", head)
    return [body]


class ProvenHold:
    """A way to answer later, or for ever, as the transport gives it; here with the proof."""

    def __init__(self, hold: Any, signed: Signed) -> None:
        self._hold = hold
        self._signed = signed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hold, name)

    def later(self, *, on_deadline: Callable[[Any], None], on_gone: Any = None, **named: Any) -> Any:
        """Answer later."""
        held = self._hold.later(
            on_deadline=lambda one: on_deadline(ProvenHeld(one, self._signed)),
            on_gone=None if on_gone is None else lambda one: on_gone(ProvenHeld(one, self._signed)),
            **named,
        )
        return None if held is None else ProvenHeld(held, self._signed)

    def stream(self, headers: Iterable[tuple[str, str]] = (), **named: Any) -> Any:
        """Answer for ever."""
        return self._hold.stream((*headers, (HEADER, self._signed.proof(200, None))), **named)


class ProvenHeld:
    """A request that waits; equal to any other face of the same one."""

    def __init__(self, held: Any, signed: Signed) -> None:
        self._held = held
        self._signed = signed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProvenHeld) and self._held is other._held

    def __hash__(self) -> int:
        return hash(self._held)

    def answer(self, status: int | str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bool:
        """Give the answer."""
        number = int(str(status)[:3])
        return bool(self._held.answer(status, (*headers, (HEADER, self._signed.proof(number, body))), body))
