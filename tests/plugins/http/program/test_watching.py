"""A server that is told to stop stops at once, at whatever moment it is told."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any, cast

import pytest

from torc_core.errors import Unavailable
from torc_core.protocols import Store
from torc_core.testing.memory import MemoryStore
from torc_core.testing.plugin import SetClock
from torc_http.program import watching
from torc_http.program.watching import Stopping

NOTHING: Any = None


def test_a_signal_that_does_not_interrupt_the_main_thread_is_heard_at_once() -> None:
    """As one does that comes between the last look and the sleep, or to another thread."""
    stopping = Stopping(None, stdin_eof=False)

    def told() -> None:
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    begin = time.monotonic()
    with stopping.listening():
        thread = threading.Thread(target=told)
        thread.start()
        stopping.wait(NOTHING, NOTHING, lambda: False)
    thread.join()

    assert time.monotonic() - begin < 20


class Hidden(MemoryStore):
    """A store that cannot be read the first time."""

    looks = 0

    def find(self, kind: Any, query: Any) -> Any:
        self.looks += 1
        if self.looks == 1:
            raise Unavailable("too many files are open")
        return super().find(kind, query)


def test_a_server_that_is_asked_or_cannot_look_is_not_idle(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK", 0.01)
    store, asked = Hidden(clock), iter([True, True, False, False])
    stopping = Stopping("0", stdin_eof=False)

    stopping.wait(cast("Store", store), NOTHING, lambda: next(asked))

    assert (store.looks, list(asked)) == (2, [])
