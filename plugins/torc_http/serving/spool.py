"""Buffers whose overflow goes to unnamed files in a folder of this service, never to the shared temporary folder."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import Any

from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer

from torc_http.serving.listening import make_private


class SpoolFolder:
    """Where the files are; None: a folder of our own, which most services never need and so do not have.

    A service that is killed leaves its own folder behind, empty.
    """

    def __init__(self, given: Path | None) -> None:
        if given is not None:
            make_private(given)
        self._lock = threading.Lock()
        self._given = given
        self._own: str | None = None

    def path(self) -> str:
        """The folder, which is there now."""
        if self._given is not None:
            return str(self._given)
        with self._lock:
            if self._own is None:
                self._own = mkdtemp(prefix="torc-spool-")
            return self._own

    def remove(self) -> None:
        """Remove our own."""
        with self._lock:
            if self._own is not None:
                shutil.rmtree(self._own, ignore_errors=True)
            self._own = None


class SpoolFile(TempfileBasedBuffer):
    """What did not fit into memory; the file has no name and mode 0600."""

    def __init__(self, folder: SpoolFolder, from_buffer: Any = None) -> None:
        self._folder = folder
        super().__init__(from_buffer)

    def newfile(self) -> Any:
        return TemporaryFile("w+b", dir=self._folder.path())


class Spool(OverflowableBuffer):
    """Bytes in memory up to `overflow`, beyond it in a file."""

    buf: Any

    def __init__(self, overflow: int, folder: SpoolFolder) -> None:
        super().__init__(overflow)
        self._folder = folder

    def _set_large_buffer(self) -> None:
        old = self.buf
        self.buf = SpoolFile(self._folder, old)
        if old is not None:
            old.close()
        self.overflowed = True
