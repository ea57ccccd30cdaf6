"""Where everything in a document stands, in 20 bytes per value, so that it can be kept for millions of them."""

from __future__ import annotations

from array import array

from torc_core.spec.document import Path, Position
from torc_formats.limits import Lines


class Outline:
    """The values of a document in the order in which they are written, each with its key, place and extent.

    A reader calls `open` for each value and `close` once a list or map has ended. Nothing else is needed to find a
    path again: the children of an entry follow it, each as far as its own extent.
    """

    __slots__ = ("_children", "_ends", "_keys", "_lines", "_offsets")

    def __init__(self, text: str) -> None:
        self._lines = Lines(text)
        self._keys: list[str | int] = []
        self._offsets = array("Q")
        self._ends = array("Q")
        self._children: dict[int, dict[str | int, int]] = {}

    def __len__(self) -> int:
        """Values so far, lists and maps included."""
        return len(self._keys)

    def open(self, key: str | int, offset: int) -> int:
        """Add a value that begins at this offset (an entry of a map: its key) and return its number."""
        entry = len(self._keys)
        self._keys.append(key)
        self._offsets.append(offset)
        self._ends.append(entry + 1)
        return entry

    def close(self, entry: int) -> None:
        """Everything opened since `entry` lies inside it."""
        self._ends[entry] = len(self._keys)

    def position(self, offset: int) -> Position:
        """Line and column of an offset."""
        return self._lines.position(offset)

    def offset(self, entry: int) -> int:
        """Where an entry begins."""
        return self._offsets[entry]

    def line_of(self, entry: int, key: str) -> int:
        """Line of the first entry with this key directly inside `entry`, which may still be open; else its own line."""
        end = self._ends[entry]
        if end == entry + 1:
            end = len(self._keys)
        child = entry + 1
        while child < end:
            if self._keys[child] == key:
                return self.position(self._offsets[child]).line
            child = self._ends[child]
        return self.position(self._offsets[entry]).line

    def find(self, path: Path) -> Position:
        """Where the value at this path stands, or its nearest ancestor that exists."""
        if not self._keys:
            return Position(1, 1)
        entry = 0
        for step in path:
            child = self._inside(entry).get(step)
            if child is None:
                break
            entry = child
        return self.position(self._offsets[entry])

    def _inside(self, entry: int) -> dict[str | int, int]:
        """The children of an entry; remembered, since complaints come in crowds from one list."""
        known = self._children.get(entry)
        if known is None:
            known = self._children[entry] = {}
            child, end = entry + 1, self._ends[entry]
            while child < end:
                known.setdefault(self._keys[child], child)
                child = self._ends[child]
        return known
