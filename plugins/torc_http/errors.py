"""Errors as clients see them: a status, a sentence, and what a program may act on (`wire.md` T6)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torc_core.errors import (
    ERRORS,
    Conflict,
    Fenced,
    Forbidden,
    Full,
    Invalid,
    NotFound,
    TorcError,
    Unauthorized,
    Unavailable,
    UsageError,
)
from torc_core.record import record

log = logging.getLogger(__name__)

STATUSES: Mapping[type[TorcError], int] = {
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Fenced: 409,
    Invalid: 422,
    UsageError: 422,
    Full: 507,
    Unavailable: 503,
}
"""The status of an error is that of the nearest class in its ancestry; without one it is a bug."""

PAUSE = "2"
"""Seconds after which clients try again when the server is busy."""

LONGEST_SHOWN = 200
"""Characters of a wrong value that are sent back."""


class Refused(TorcError):
    """An error that HTTP itself has a status for: 400, 405, 413, 415, 429."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.status = status
        self.headers = dict(headers or {})


@record(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error, ready to be sent."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


def failure(error: Exception, request_id: str = "") -> Failure:
    """The answer to an exception; a bug is written to the log with its trace and told with the id of the record."""
    if not isinstance(error, TorcError):
        return _bug(error, request_id)
    status = status_of(error)
    if status == 500:
        return _bug(error, request_id)
    message = f"{error}; {error.hint}" if error.hint else str(error)
    details = {name: shown(value) if name == "value" else value for name, value in error.details.items()}
    if isinstance(error, Fenced):
        details["fenced"] = True
    details["kind"] = kind_of(error)
    if error.hint:
        details["hint"] = error.hint
    headers = dict(error.headers) if isinstance(error, Refused) else {}
    if status in (429, 503):
        headers.setdefault("Retry-After", PAUSE)
    if status == 401:
        headers.setdefault("WWW-Authenticate", 'Basic realm="torc", charset="UTF-8"')
    return Failure(status=status, body=told(status, message, details), headers=headers)


def status_of(error: TorcError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, Refused):
        return error.status
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def kind_of(error: TorcError) -> str:
    """The class of an error, or the nearest one that has a name on the wire."""
    return next(kind.__name__ for kind in type(error).__mro__ if ERRORS.get(kind.__name__) is kind)


def told(status: int, message: str, details: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The body of an error."""
    return {
        "error": {"message": message, **(details or {})},
        "errorMessage": message,
        "errorNum": status,
        "code": status,
    }


def shown(value: object) -> object:
    """A wrong value as far as it is worth sending back."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _bug(error: Exception, request_id: str) -> Failure:
    log.error("request failed request_id=%s", request_id, exc_info=error)
    message = f"this is a bug in the server; its log has the details under request id {request_id}"
    return Failure(status=500, body=told(500, message, {"request_id": request_id}), headers={})
