"""The log file of a runner: 0600, bounded."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

BYTES, KEPT = 50 * 1024**2, 3
"""Size at which a new file is begun, and how many old ones are kept (`runner.md` §13)."""
LINE = "%(asctime)s %(levelname)s %(message)s"

log = logging.getLogger("torc_core.runner")


@contextmanager
def log_to(path: str) -> Iterator[None]:
    """Write what is logged in this process to a file too: INFO and above of the runner, warnings of all others."""
    from logging.handlers import RotatingFileHandler

    class Bounded(RotatingFileHandler):
        def _open(self) -> TextIOWrapper:
            """Open the file, or begin a new one when it is full."""
            fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            return open(fd, "a", encoding="utf-8", errors="backslashreplace")

        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the library's name
            """Lose the line: where a disk is full the run goes on."""

        def emit(self, record: logging.LogRecord) -> None:
            """Write a line; one that another thread had in hand when the file was closed opens it no more."""
            if not self._closed:  # type: ignore[attr-defined]  # of every handler
                super().emit(record)

    handler = Bounded(path, maxBytes=BYTES, backupCount=KEPT - 1)
    handler.setFormatter(logging.Formatter(LINE))
    level = log.level
    log.setLevel(min(log.getEffectiveLevel(), logging.INFO))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        log.setLevel(level)
        with suppress(OSError):  # what could not be written is lost
            handler.close()
