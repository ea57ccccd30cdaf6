"""Processes that outlive their parents become children of the guardian, so that it finds them at once.

Only the standard library is imported here.
"""

from __future__ import annotations

import os

from torc_local import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of prctl(2)."""
AT_ONCE = 1 << 16
SURELY_ALL = 2048
"""Bytes: a file of /proc gives up to a page of 4,096 at once, so that less than this is all of it."""


class Orphans:
    """The adopted children of this process; where the system does not let us adopt, whatever carries a mark."""

    def __init__(self) -> None:
        pid = os.getpid()
        self._children = _opened(f"/proc/{pid}/task/{pid}/children") if _adopt() else None

    @property
    def adopted(self) -> bool:
        """Whether they come to us."""
        return self._children is not None

    def alive(self, own: Container[int]) -> list[int]:
        """All that live, `own` being the children that we have started; only where they are adopted."""
        return [pid for pid in self._listed() if pid not in own and trees.process_of(pid) is not None]

    def marked(self, marks: set[bytes], own: Container[int]) -> dict[int, bytes]:
        """Those that carry one of these marks, and which."""
        if not self.adopted:
            return trees.marked(marks)
        return {pid: mark for pid in self.alive(own) if (mark := trees.variable(pid, trees.MARK)) in marks}

    def _listed(self) -> list[int]:
        """All children, zombies among them."""
        if self._children is None:
            return []
        # PERF: asked whenever a job ends; the file is kept open, and one call reads it.
        text = more = os.pread(self._children, AT_ONCE, 0)
        while len(text) >= SURELY_ALL and more:
            more = os.pread(self._children, AT_ONCE, len(text))
            text += more
        return list(map(int, text.split()))


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _adopt() -> bool:
    """Become the one to whom orphaned descendants are given."""
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False
