"""A server that is told to stop stops at once, at whatever moment it is told."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

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
        stopping.wait(NOTHING, NOTHING)
    thread.join()

    assert time.monotonic() - begin < 20
