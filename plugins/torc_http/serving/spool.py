"""Buffers whose overflow goes to unnamed files in a folder of this service, never to the shared temporary folder."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import Any

from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer


class SpoolFile(TempfileBasedBuffer):
    """What did not fit into memory; the file has no name and mode 0600."""

    def __init__(self, folder: str, from_buffer: Any = None) -> None:
        self._folder = folder
        super().__init__(from_buffer)

    def newfile(self) -> Any:
        return TemporaryFile("w+b", dir=self._folder)


class Spool(OverflowableBuffer):
    """Bytes in memory up to `overflow`, beyond it in a file."""

    buf: Any

    def __init__(self, overflow: int, folder: str) -> None:
        super().__init__(overflow)
        self._folder = folder

    def _set_large_buffer(self) -> None:
        old = self.buf
        self.buf = SpoolFile(self._folder, old)
        if old is not None:
            old.close()
        self.overflowed = True
