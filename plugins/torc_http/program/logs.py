"""What a server writes down: lines for people or JSON, in files that do not grow for ever (`cli.md` §6.1)."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from torc_core.errors import Unavailable
from torc_http.auth.redaction import Redaction

LARGEST, KEPT = 10 * 1024**2, 5
"""Bytes of a file, and how many older ones are kept."""

NAME = "torc-server.log"
LEVELS = {"error": "ERROR", "warn": "WARNING", "info": "INFO", "debug": "DEBUG", "trace": "DEBUG"}
PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonLines(logging.Formatter):
    """One object per line; times are UTC, as in everything that programs read (C8)."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as JSON."""
        told = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["trace"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


class PrivateFile(RotatingFileHandler):
    """A log file for this user alone, wherever a link of that name leads."""

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o600)
        os.fchmod(descriptor, 0o600)
        self._size = os.fstat(descriptor).st_size
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, into a new file if the present one is full."""
        # PERF: its base formats each line twice and looks at the file for each; a request has a line (`security.md` D5).
        try:
            line = self.format(record) + self.terminator
            length = len(line) if line.isascii() else len(line.encode("utf-8", "backslashreplace"))
            if self._size + length > self.maxBytes:
                self.doRollover()
            stream = self.stream = self.stream or self._open()
            stream.write(line)
            stream.flush()
            self._size += length
        except Exception:
            # What `logging` does when a handler fails: nothing that is logged may end what logs it.
            self.handleError(record)


def set_up(level: str, folder: Path | None, *, as_json: bool, to_stderr: bool) -> None:
    """Write logs to stderr and, with a folder, into `torc-server.log` there; secrets are taken out of both.

    Raises
    ------
    Unavailable
        If the folder cannot be written to.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if to_stderr else []
    if folder is not None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handlers.append(PrivateFile(folder / NAME, maxBytes=LARGEST, backupCount=KEPT))
        except OSError as error:
            raise Unavailable(
                f"log folder '{folder}' cannot be written to: {error.strerror}; choose another with --log-dir"
            ) from error
    formatter = JsonLines() if as_json else logging.Formatter(PLAIN)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(Redaction())
        root.addHandler(handler)
    root.setLevel(LEVELS[level])
