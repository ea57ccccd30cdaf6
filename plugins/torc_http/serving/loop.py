"""The one thread that serves all connections: asks the kernel what happened, and looks only at what changed."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from waitress import wasyncore

log = logging.getLogger(__name__)

SWEEP = 1.0
"""Seconds between two looks for connections that are overdue."""


class Loop:
    """Runs waitress's dispatchers.

    PERF: waitress asks every connection at every turn what it waits for, 2 ms with 4,000 of them. Here a connection is
    asked after something happened to it: it *is touched*.
    """

    def __init__(self, sweep: Callable[[float], None]) -> None:
        self.map: dict[int, Any] = {}
        self.stopping = False
        self._sweep = sweep
        self._selector = selectors.DefaultSelector()
        self._masks: dict[int, int] = {}
        """What is waited for, by descriptor. PERF: the map of a selector is asked through two exceptions."""
        self._touched: deque[Any] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._woken = False
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()

    def touch(self, dispatcher: Any) -> None:
        """Something happened to it: ask it what it waits for. From any thread; of others, `wake` follows."""
        self._touched.append(dispatcher)

    def wake(self) -> None:
        """Have a turn at once. From any thread."""
        if self._woken:
            return
        with (
            self._lock
        ):  # a worker may be late, and the number of a closed descriptor belongs to somebody else
            if not self._closed:
                self._woken = True
                try:
                    self._wake_out.send(b"x")
                except BlockingIOError:
                    pass

    def call(self, function: Callable[[], None]) -> None:
        """Have a function called in the thread. From any thread."""
        self._calls.append(function)
        self.wake()

    def forget(self, fileno: int) -> None:
        """A descriptor is about to be closed."""
        if self._masks.pop(fileno, 0):
            try:
                self._selector.unregister(fileno)
            except (KeyError, ValueError):
                pass  # the selector is closed

    def start(self, name: str) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name=name, daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread, and close what is left."""
        self.stopping = True
        self.wake()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def run(self) -> None:
        """Turn until `stop`."""
        due = time.monotonic()
        try:
            while not self.stopping:
                while self._calls:
                    self._safely(self._calls.popleft())
                self._ask()
                for key, mask in self._selector.select(max(0.0, due - time.monotonic())):
                    if key.data is None:
                        self._drain()
                    elif self.map.get(key.fd) is key.data:
                        self._serve(key.data, mask)
                now = time.monotonic()
                if now >= due:
                    due = now + SWEEP
                    self._safely(partial(self._sweep, now))
        except Exception:
            # A bug here would leave a server that accepts and never answers: say so as loudly as possible.
            log.critical("the thread of all connections has ended", exc_info=True)
            raise
        finally:
            self._close()

    def _ask(self) -> None:
        while self._touched:
            one = self._touched.popleft()
            fileno = one._fileno  # noqa: SLF001 - wasyncore's own
            if fileno not in self.map or self.map[fileno] is not one:
                continue
            try:
                mask = selectors.EVENT_READ if one.readable() else 0
                if one.writable() and not one.accepting:
                    mask |= selectors.EVENT_WRITE
            except Exception:
                # One connection may not end all others; waitress writes it down and closes this one.
                one.handle_error()
                continue
            known = self._masks.get(fileno, 0)
            if mask == known:
                continue
            if not mask:
                self._selector.unregister(fileno)
                del self._masks[fileno]
                continue
            if known:
                self._selector.modify(fileno, mask, one)
            else:
                self._selector.register(fileno, mask, one)
            self._masks[fileno] = mask

    @staticmethod
    def _safely(function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            # This thread serves everybody: it goes on, and the log says what did not happen.
            log.exception("a call in the thread of all connections failed")

    def _serve(self, one: Any, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            wasyncore.read(one)
        if mask & selectors.EVENT_WRITE and one._fileno is not None:  # noqa: SLF001 - closed meanwhile
            wasyncore.write(one)
        self.touch(one)

    def _drain(self) -> None:
        try:
            while self._wake_in.recv(4096):
                pass
        except BlockingIOError:
            pass
        # NOTE: after reading, never before: else a byte sent in between is read, and the flag says for ever that one is
        # on the way. What was touched until here is asked in this turn.
        self._woken = False

    def _close(self) -> None:
        for one in list(self.map.values()):
            one.handle_close()
        with self._lock:
            self._closed = True
            self._selector.close()
            self._wake_in.close()
            self._wake_out.close()
