"""Keeps secrets and control characters out of log lines (`security.md` D5, O4, §12)."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TextIO

HIDDEN = "***"

_SECRETS = (
    re.compile(r"(/t/)[^/\s\"']+"),
    re.compile(r"(torc_[a-z0-9]{12}_)[A-Za-z0-9_-]{20,}"),
    re.compile(r"\b((?:j(?:\.[0-9]+){5}|w\.[0-9]+\.[a-z]+(?:\.[0-9]+){2})\.)[A-Za-z0-9_-]{32}"),
    re.compile(
        r"((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|torc)?\s*)[^\r\n\"']+", re.IGNORECASE
    ),
    re.compile(r"((?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+", re.IGNORECASE),
    re.compile(r"([?&](?:token|code)=)[^&\s\"']+", re.IGNORECASE),
    re.compile(
        r"((?:password|passwd|secret|api_key|client_nonce|server_nonce)[\"']?\s*[:=]\s*[\"']?)[^\s,;\"'}]+",
        re.IGNORECASE,
    ),
    re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+(?=@)", re.IGNORECASE),
)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

SECRET_NAMES = re.compile(r"KEY|TOKEN|PASS|SECRET|CREDENTIAL|^TORC_API_URL$", re.IGNORECASE)
"""Variables whose values are not shown where environments are recorded."""


def redacted(text: str) -> str:
    """A text without what looks like a secret."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def printable(text: str) -> str:
    """A text whose control characters are written out, tabs and line ends aside."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def masked(environment: dict[str, str]) -> dict[str, str]:
    """An environment that may be recorded."""
    return {name: HIDDEN if SECRET_NAMES.search(name) else value for name, value in environment.items()}


CLEAN = "clean"
"""The attribute of a record whose maker has put nothing into it that needs this; it costs more than the line itself."""


class Redaction(logging.Filter):
    """Put on a handler, it sees every line that the handler writes."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, CLEAN, False):
            return True
        # NOTE: the message is made here and not before: arguments hold the secrets as often as the text does.
        text = printable(redacted(record.getMessage())).replace("\n", "\\n")
        record.msg, record.args = text, None
        if record.exc_info and not record.exc_text:
            record.exc_text = printable(redacted(logging.Formatter().formatException(record.exc_info)))
        return True


def private_handler(path: Path) -> logging.Handler:
    """Writes log lines into a file that is this user's alone, without secrets."""
    handler = logging.StreamHandler(_opened(path))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(Redaction())
    return handler


def _opened(path: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "a", encoding="utf-8")
