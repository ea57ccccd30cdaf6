"""Answers from a host, told from what its login shell prints by itself (`remote.md` RW69).

Who asks makes a marker and sends it along; the program over there prints the marker as a line of its own before its
answer. What start-up files print comes before that line, and cannot contain it.
"""

from __future__ import annotations

import os

from torc_core.errors import TorcError


class NoAnswer(TorcError):
    """a host printed something, but not the answer"""

    code = "no_answer"


def new_marker() -> str:
    """A marker that nobody can guess."""
    return f"torc-answer-{os.urandom(16).hex()}"


def frame(marker: str) -> bytes:
    """What stands before the answer: the marker on a line of its own, whatever was printed before it."""
    return f"\n{marker}\n".encode()


def answer(printed: bytes, marker: str) -> bytes:
    """The answer: everything after the marker.

    Raises
    ------
    NoAnswer
        If there is no marker.
    """
    _, found, rest = printed.partition(frame(marker))
    if not found:
        shown = printed.decode(errors="replace").strip().splitlines()
        raise NoAnswer(f"no answer, but {shown[-1][:200]!r}" if shown else "no answer")
    return rest


class Unframed:
    """Takes a stream piece by piece and gives what comes after the marker."""

    LONGEST_NOISE = 1 << 20
    """So many bytes may come before the marker."""

    def __init__(self, marker: str) -> None:
        self._marker = marker
        self._before: bytes | None = b""

    def feed(self, piece: bytes) -> bytes:
        """The part of the answer that is in this piece.

        Raises
        ------
        NoAnswer
            If too much came without the marker.
        """
        if self._before is None:
            return piece
        self._before += piece
        if frame(self._marker) in self._before:
            rest = answer(self._before, self._marker)
            self._before = None
            return rest
        if len(self._before) > self.LONGEST_NOISE:
            self.end()
        return b""

    def end(self) -> None:
        """Nothing more comes.

        Raises
        ------
        NoAnswer
            If the marker never came.
        """
        if self._before is not None:
            answer(self._before, self._marker)
