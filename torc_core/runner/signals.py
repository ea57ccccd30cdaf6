"""Signals to the process reach the runner instead of ending it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
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
