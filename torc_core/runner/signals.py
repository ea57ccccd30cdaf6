"""Signals to the process reach the runner instead of ending it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

OBEYED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_to(receive: Callable[[int], None]) -> Iterator[None]:
    """Give SIGINT, SIGTERM and SIGHUP to `receive`, unless ignored at the start (nohup).

    Only the main thread of a process can do so; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    obeyed = [one for one in OBEYED if signal.getsignal(one) is not signal.SIG_IGN]
    before = [signal.signal(one, lambda number, frame: receive(number)) for one in obeyed]
    try:
        yield
    finally:
        for one, handler in zip(obeyed, before, strict=True):
            signal.signal(one, handler)


def patient(wait: Callable[[float], object], received: Sequence[int]) -> Callable[[float], None]:
    """What sleeps until the next try of something, and ends the process in its place when a signal has come.

    `wait` ends early for a signal. Only for a time at which nothing has to be put in order.
    """

    def pause(seconds: float) -> None:
        wait(seconds)
        if received:
            raise SystemExit(130 if received[0] == signal.SIGINT else 143)

    return pause
