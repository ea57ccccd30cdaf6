"""What a server, or a proxy before it, refuses: as the error that was raised there, or with its own words (C15)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from torc_core.errors import (
    ERRORS,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TorcError,
    Unauthorized,
    Unavailable,
)
from torc_http.client.line import Answer

BY_STATUS: Mapping[int, type[TorcError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    422: Invalid,
}
"""Errors of servers, or proxies before them, that do not say more."""

AWAY = frozenset({429, 502, 503, 504, 507})
"""Statuses that say: not now (`runner.md` §9)."""

LONGEST = 500
"""Characters of a message that is not torc's own."""

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def refusal(answer: Answer, what: str) -> TorcError:
    """The error that an answer carries: of the class that was raised there, else by its status.

    Parameters
    ----------
    what
        Method and path; they are named where the message is not one of torc's own sentences.
    """
    told = _told(answer.body)
    error = told.get("error") if isinstance(told, dict) else None
    kind = ERRORS.get(str(error.get("kind"))) if isinstance(error, dict) else None
    hint: str | None = None
    details: Mapping[str, Any] | None = None
    if isinstance(error, dict) and "message" in error and (kind is not None or answer.status == 500):
        hint = error.get("hint") or _remedies(error.get("how"))
        details = {name: value for name, value in error.items() if name not in ("message", "kind", "hint")}
        message = str(error["message"]).removesuffix(f"; {hint}")
    else:
        message = f"the server answered {what} with {_status(answer.status)}"
        if words := _words(told if told is not None else answer.body.decode("utf-8", "replace")):
            message += f": {words}"
    if (pause := answer.headers.get("retry-after", "")).isascii() and pause.isdigit():
        details = {**(details or {}), "retry_after": int(pause)}
    if answer.status in AWAY and (kind is None or not issubclass(kind, Unavailable)):
        kind = Unavailable
    if kind is None or kind is TorcError:
        kind = BY_STATUS.get(answer.status, TorcError)
    return kind(message, hint=hint, details=details)


def is_busy(answer: Answer) -> bool:
    """Whether a server says that it has not begun, since too much of this kind is under way."""
    if answer.status != 503:
        return False
    told = _told(answer.body)
    error = told.get("error") if isinstance(told, dict) else None
    return isinstance(error, dict) and error.get("busy") is True


def is_told(answer: Answer) -> bool:
    """Whether it is what a store raised that a server tells, and no bug of it, and nobody else's words."""
    told = _told(answer.body)
    error = told.get("error") if isinstance(told, dict) else None
    return isinstance(error, dict) and str(error.get("kind")) in ERRORS


def _remedies(how: object) -> str | None:
    """What may be done instead, one of it a line (`security.md` S12)."""
    return "\n      ".join(map(str, how)) if isinstance(how, list) and how else None


def _told(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _words(told: Any) -> str:
    """The message in what was answered, whoever wrote it; empty: there is none."""
    if isinstance(told, dict):
        found = (told.get(name) for name in ("errorMessage", "message", "detail", "title", "error"))
        return next((words for one in found if one and (words := _words(one))), "")
    if not isinstance(told, str):
        return ""
    title = _TITLE.search(told)
    text = " ".join(_TAG.sub(" ", title[1] if title else told).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
