"""The same thing many times, a few at once, each with hosts of its own: two cores are kept busy, and no fault meets another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

L = TypeVar("L")


class Lanes(Generic[L]):
    """So many things at once as there are lanes.

    Parameters
    ----------
    lanes
        What each of them has to itself.
    """

    def __init__(self, lanes: Sequence[L]) -> None:
        self._count = len(lanes)
        self._free: SimpleQueue[L] = SimpleQueue()
        for lane in lanes:
            self._free.put(lane)

    def wrong(self, count: int, act: Callable[[int, L], None]) -> list[str]:
        """Do it `count` times; what it found wrong, as it asserts it."""
        with ThreadPoolExecutor(self._count) as pool:
            return [text for text in pool.map(lambda number: self._once(number, act), range(count)) if text]

    def _once(self, number: int, act: Callable[[int, L], None]) -> str | None:
        lane = self._free.get()
        try:
            act(number, lane)
        except AssertionError as error:
            return f"number {number} on {lane}: {error}"
        finally:
            self._free.put(lane)
        return None
