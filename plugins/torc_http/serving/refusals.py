"""Answers that the transport gives by itself: the error body of the API (`wire.md` T6), never HTML."""

from __future__ import annotations

import json
from http import HTTPStatus

JSON = "application/json"


def refusal(status: int, message: str, **details: object) -> bytes:
    """The body of an error."""
    about = {
        "error": {"message": message, **details},
        "errorMessage": message,
        "errorNum": status,
        "code": status,
    }
    return json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def status_line(status: int | str) -> str:
    """`404 Not Found` for 404; what is a line already stays as it is."""
    if isinstance(status, str):
        return status
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


def whole_answer(status: int, message: str, **headers: str) -> bytes:
    """An error as bytes for a connection that is closed afterwards, for where no request exists yet."""
    body = refusal(status, message)
    lines = [
        f"HTTP/1.1 {status_line(status)}",
        f"Content-Type: {JSON}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
