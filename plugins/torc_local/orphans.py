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


class Orphans:
    """The adopted children of this process; where the system does not let us adopt, whatever carries a mark."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self.adopted = _adopt() and os.path.exists(f"/proc/{self._pid}/task/{self._pid}/children")
        """Whether they come to us."""

    def alive(self, own: Container[int]) -> list[int]:
        """All that live, `own` being the children that we have started; only where they are adopted."""
        return [
            pid
            for pid in (trees.children(self._pid) if self.adopted else ())
            if pid not in own and trees.process_of(pid) is not None
        ]

    def marked(self, marks: set[bytes], own: Container[int]) -> dict[int, bytes]:
        """Those that carry one of these marks, and which."""
        if not self.adopted:
            return trees.marked(marks)
        return {pid: mark for pid in self.alive(own) if (mark := trees.variable(pid, trees.MARK)) in marks}


def _adopt() -> bool:
    """Become the one to whom orphaned descendants are given."""
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False
